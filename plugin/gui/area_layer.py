"""The vector layer that holds the areas: an ordinary one, so that QGIS edits and saves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsProperty,
    QgsSingleSymbolRenderer,
    QgsSymbolLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QColor

from ..core.errors import InvalidInput

translate = QCoreApplication.translate

# By which the layer is known again, also after it was saved to a file: "1" of a layer made here,
# "chosen" of the user's own.
MARK = "speckless/areas"
MADE, CHOSEN = "1", "chosen"
# Of a layer without a field for it: the feature ids that are locked.
_LOCKED = "speckless/locked"

NAME, COLOUR, LOCKED = "name", "colour", "locked"
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")


def find() -> QgsVectorLayer | None:
    """The project's layer of areas: the one the user chose, or else the one made last."""
    layers = [layer for layer in QgsProject.instance().mapLayers().values() if is_areas(layer)]
    layers.sort(key=lambda layer: layer.customProperty(MARK) == CHOSEN)
    return layers[-1] if layers else None


def is_areas(layer: QgsMapLayer | None) -> bool:
    """Tell whether a layer holds areas of Speckless."""
    return isinstance(layer, QgsVectorLayer) and bool(layer.customProperty(MARK))


def is_polygons(layer: QgsMapLayer | None) -> bool:
    """Tell whether areas may be drawn into a layer."""
    return (
        isinstance(layer, QgsVectorLayer)
        and layer.isValid()
        and layer.geometryType() == QgsWkbTypes.GeometryType.PolygonGeometry
    )


def choose(layer: QgsVectorLayer) -> None:
    """Make a layer the project's layer of areas, whatever else it holds."""
    for other in QgsProject.instance().mapLayers().values():
        if other is not layer and other.customProperty(MARK) == CHOSEN:
            other.removeCustomProperty(MARK)
    if not layer.customProperty(MARK):
        layer.setCustomProperty(MARK, CHOSEN)


def create(like: QgsMapLayer) -> QgsVectorLayer:
    """Make a layer in memory, in the CRS of a raster, and add it to the project."""
    layer = QgsVectorLayer(
        f"Polygon?field={NAME}:string(80)&field={COLOUR}:string(9)&field={LOCKED}:integer",
        translate("Speckless", "Homogeneous areas"),
        "memory",
    )
    layer.setCrs(like.crs())
    _finish(layer)
    return layer


def save_as(layer: QgsVectorLayer, path: str) -> QgsVectorLayer:
    """Copy areas to a GeoPackage, with their style, and put it into the project in their place.

    Raises
    ------
    InvalidInput
        When it cannot be written.
    """
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "speckless_areas"
    # QGIS deletes the file first: another layer in it would be lost.
    if Path(path).exists():
        options.actionOnExistingFile = (
            QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
        )
    context = QgsProject.instance().transformContext()
    written = QgsVectorFileWriter.writeAsVectorFormatV3(layer, path, context, options)
    if written[0] != QgsVectorFileWriter.WriterError.NoError:
        raise InvalidInput(
            translate("Speckless", "The areas cannot be saved to {path}: {why}").format(
                path=path, why=written[1]
            )
        )
    saved = QgsVectorLayer(f"{path}|layername={options.layerName}", layer.name(), "ogr")
    if not saved.isValid():
        raise InvalidInput(translate("Speckless", "QGIS cannot open {path}.").format(path=path))
    _finish(saved)
    saved.saveStyleToDatabase("", "", True, "")
    return saved


def _finish(layer: QgsVectorLayer) -> None:
    """Mark and style a layer made here; above everything, but not the current layer."""
    layer.setCustomProperty(MARK, MADE)
    symbol = QgsFillSymbol.createSimple(
        {"color": "255,209,102,40", "outline_color": "255,209,102", "outline_width": "0.5"}
    )
    part = symbol.symbolLayer(0)
    part.setDataDefinedProperty(
        QgsSymbolLayer.Property.PropertyStrokeColor, QgsProperty.fromExpression(f'"{COLOUR}"')
    )
    part.setDataDefinedProperty(
        QgsSymbolLayer.Property.PropertyFillColor,
        QgsProperty.fromExpression(f"set_color_part(\"{COLOUR}\", 'alpha', 40)"),
    )
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    QgsProject.instance().addMapLayer(layer, False)
    QgsProject.instance().layerTreeRoot().insertLayer(0, layer)


# ---- what the features say ----------------------------------------------------------------------


def polygons(layer: QgsVectorLayer) -> Iterator[QgsFeature]:
    """Features that have a polygon."""
    for feature in layer.getFeatures():
        geometry = feature.geometry()
        if not geometry.isNull() and geometry.type() == QgsWkbTypes.GeometryType.PolygonGeometry:
            yield feature


def name_of(feature: QgsFeature) -> str:
    """Name of an area; its number where it has none."""
    value = _value(feature, NAME)
    return (
        str(value) if value else translate("Speckless", "Area {number}").format(number=feature.id())
    )


def colour_of(feature: QgsFeature) -> QColor:
    """Colour of an area; one of its own where the layer has none."""
    colour = QColor(str(_value(feature, COLOUR) or ""))
    return colour if colour.isValid() else QColor(COLOURS[feature.id() % len(COLOURS)])


def is_locked(layer: QgsVectorLayer, feature: QgsFeature) -> bool:
    """Tell whether an area may not be moved or deleted."""
    if has_field(layer, LOCKED):
        return bool(_value(feature, LOCKED))
    return feature.id() in locked_ids(layer)


def locked_ids(layer: QgsVectorLayer) -> set[int]:
    """Locked features of a layer that has no field for it."""
    return {int(text) for text in str(layer.customProperty(_LOCKED) or "").split(",") if text}


def set_locked_ids(layer: QgsVectorLayer, identifiers: set[int]) -> None:
    """Remember them with the project."""
    layer.setCustomProperty(_LOCKED, ",".join(map(str, sorted(identifiers))))


def has_field(layer: QgsVectorLayer, name: str) -> bool:
    """Tell whether the layer has an attribute."""
    return layer.fields().indexOf(name) >= 0


def _value(feature: QgsFeature, name: str) -> object:
    index = feature.fields().indexOf(name)
    value = feature.attribute(index) if index >= 0 else None
    # NULL of QGIS is an object that is not None, and false.
    return value or None


def transformed(
    geometry: QgsGeometry,
    source: QgsCoordinateReferenceSystem,
    target: QgsCoordinateReferenceSystem,
) -> QgsGeometry:
    """A geometry whose vertices lie at the same places in another CRS.

    Raises
    ------
    QgsCsException
        Where that has no such place.
    """
    transform = QgsCoordinateTransform(source, target, QgsProject.instance().transformContext())
    result = QgsGeometry(geometry)
    if transform.isValid() and not transform.isShortCircuited():
        result.transform(transform)
    return result

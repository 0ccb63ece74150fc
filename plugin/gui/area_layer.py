"""The vector layer that holds the areas: an ordinary one, so that QGIS edits and saves it."""

from __future__ import annotations

from collections.abc import Iterator

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsProperty,
    QgsSingleSymbolRenderer,
    QgsSymbolLayer,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QColor

translate = QCoreApplication.translate

# By which the layer is known again, also after it was saved to a file.
MARK = "speckless/areas"

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")


def find() -> QgsVectorLayer | None:
    """The project's layer of areas, the one made last."""
    layers = [layer for layer in QgsProject.instance().mapLayers().values() if is_areas(layer)]
    return layers[-1] if layers else None


def is_areas(layer: QgsMapLayer | None) -> bool:
    """Tell whether a layer holds areas of Speckless."""
    return isinstance(layer, QgsVectorLayer) and bool(layer.customProperty(MARK))


def create(like: QgsMapLayer) -> QgsVectorLayer:
    """Make a layer in the CRS of a raster and add it to the project."""
    layer = QgsVectorLayer(
        "Polygon?field=name:string(80)&field=colour:string(9)",
        translate("Speckless", "Homogeneous areas"),
        "memory",
    )
    layer.setCrs(like.crs())
    layer.setCustomProperty(MARK, "1")
    symbol = QgsFillSymbol.createSimple(
        {"color": "255,209,102,40", "outline_color": "255,209,102", "outline_width": "0.5"}
    )
    part = symbol.symbolLayer(0)
    part.setDataDefinedProperty(
        QgsSymbolLayer.Property.PropertyStrokeColor, QgsProperty.fromExpression('"colour"')
    )
    part.setDataDefinedProperty(
        QgsSymbolLayer.Property.PropertyFillColor,
        QgsProperty.fromExpression("set_color_part(\"colour\", 'alpha', 40)"),
    )
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    # Above everything, and without becoming the current layer.
    QgsProject.instance().addMapLayer(layer, False)
    QgsProject.instance().layerTreeRoot().insertLayer(0, layer)
    return layer


def add(layer: QgsVectorLayer, geometry: QgsGeometry, canvas: QgsMapCanvas) -> None:
    """Add an area drawn on the map, named and coloured; undoable while the layer is edited."""
    count = max((feature.id() for feature in layer.getFeatures()), default=0)
    feature = QgsFeature(layer.fields())
    feature.setGeometry(moved(geometry, canvas, layer))
    number = sum(1 for _ in layer.getFeatures()) + 1
    values = {
        "name": translate("Speckless", "Area {number}").format(number=number),
        "colour": COLOURS[max(count, 0) % len(COLOURS)],
    }
    for name, value in values.items():
        if layer.fields().indexOf(name) >= 0:
            feature.setAttribute(name, value)
    if layer.isEditable():
        layer.addFeature(feature)
    else:
        layer.dataProvider().addFeatures([feature])
        layer.updateExtents()
    layer.triggerRepaint()


def remove(layer: QgsVectorLayer, identifiers: list[int]) -> None:
    """Delete areas; undoable while the layer is edited."""
    if layer.isEditable():
        layer.deleteFeatures(identifiers)
    else:
        layer.dataProvider().deleteFeatures(identifiers)
        layer.updateExtents()
    layer.triggerRepaint()


def polygons(layer: QgsVectorLayer) -> Iterator[QgsFeature]:
    """Features that have a polygon."""
    for feature in layer.getFeatures():
        geometry = feature.geometry()
        if not geometry.isNull() and geometry.type() == QgsWkbTypes.GeometryType.PolygonGeometry:
            yield feature


def name_of(feature: QgsFeature) -> str:
    """Name of an area; its number where it has none."""
    index = feature.fields().indexOf("name")
    value = feature.attribute(index) if index >= 0 else None
    return (
        str(value) if value else translate("Speckless", "Area {number}").format(number=feature.id())
    )


def colour_of(feature: QgsFeature) -> QColor:
    """Colour of an area."""
    index = feature.fields().indexOf("colour")
    colour = QColor(str(feature.attribute(index))) if index >= 0 else QColor()
    return colour if colour.isValid() else QColor(COLOURS[0])


def moved(geometry: QgsGeometry, canvas: QgsMapCanvas, layer: QgsMapLayer) -> QgsGeometry:
    """A geometry of the map in the CRS of a layer; raises QgsCsException where that fails."""
    return transformed(geometry, canvas.mapSettings().destinationCrs(), layer.crs())


def transformed(geometry: QgsGeometry, source: object, target: object) -> QgsGeometry:
    """A geometry in another CRS, its sides bent as they must be."""
    transform = QgsCoordinateTransform(source, target, QgsProject.instance().transformContext())
    result = QgsGeometry(geometry)
    if not transform.isShortCircuited():
        result = result.densifyByCount(8)
        if result.transform(transform) != Qgis.GeometryOperationResult.Success:
            return QgsGeometry(geometry)
    return result

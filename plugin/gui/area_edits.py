"""Changes of areas, made in the layer's own edit session: QGIS undoes, redoes and saves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qgis.core import QgsFeature, QgsGeometry, QgsVectorLayer, QgsWkbTypes
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import InvalidInput
from .area_layer import (
    COLOUR,
    COLOURS,
    LOCKED,
    NAME,
    has_field,
    is_locked,
    locked_ids,
    set_locked_ids,
)

translate = QCoreApplication.translate


@contextmanager
def command(layer: QgsVectorLayer, title: str) -> Iterator[None]:
    """One step of the layer's undo stack; the edit session is started if need be.

    Raises
    ------
    InvalidInput
        When the layer cannot be edited.
    """
    if not layer.isEditable() and not layer.startEditing():
        raise InvalidInput(
            translate(
                "Speckless",
                "The layer {layer} cannot be edited: it is read-only. Save the areas to a "
                "GeoPackage, or choose another layer.",
            ).format(layer=layer.name())
        )
    layer.beginEditCommand(title)
    try:
        yield
    except BaseException:
        layer.destroyEditCommand()
        raise
    layer.endEditCommand()
    layer.triggerRepaint()


def add(layer: QgsVectorLayer, geometries: Sequence[QgsGeometry], title: str = "") -> list[int]:
    """Add areas, given in the layer's CRS, named and coloured; return their feature ids.

    Raises
    ------
    InvalidInput
        When the layer takes none.
    """
    title = title or translate("Speckless", "Area {number}")
    taken = _names(layer)
    added = []
    with command(layer, translate("Speckless", "Draw an area")):
        for geometry in geometries:
            feature = QgsFeature(layer.fields())
            if QgsWkbTypes.isMultiType(layer.wkbType()):
                geometry = QgsGeometry(geometry)
                geometry.convertToMultiType()
            feature.setGeometry(geometry)
            number = next(
                n for n in range(1, len(taken) + 2) if title.format(number=n) not in taken
            )
            name = title.format(number=number)
            values = {NAME: name, COLOUR: COLOURS[len(taken) % len(COLOURS)], LOCKED: 0}
            for field, value in values.items():
                if has_field(layer, field) and _takes(layer, field, value):
                    feature.setAttribute(field, value)
            if not layer.addFeature(feature):
                raise InvalidInput(
                    translate("Speckless", "The layer {layer} does not take the area.").format(
                        layer=layer.name()
                    )
                )
            taken.append(name)
            added.append(feature.id())
    return added


def remove(layer: QgsVectorLayer, identifiers: Sequence[int]) -> list[int]:
    """Delete areas that are not locked; return those that are left for being locked."""
    locked = [each for each in identifiers if _is_locked(layer, each)]
    free = [each for each in identifiers if each not in locked]
    if free:
        with command(layer, translate("Speckless", "Delete areas")):
            layer.deleteFeatures(free)
    return locked


def move(layer: QgsVectorLayer, identifier: int, geometry: QgsGeometry) -> bool:
    """Give an area another outline, in the layer's CRS; False where it is locked."""
    if _is_locked(layer, identifier):
        return False
    with command(layer, translate("Speckless", "Move an area")):
        layer.changeGeometry(identifier, geometry)
    return True


def rename(layer: QgsVectorLayer, identifier: int, name: str) -> None:
    """Give an area another name."""
    _set(layer, [identifier], NAME, name, translate("Speckless", "Rename an area"))


def recolour(layer: QgsVectorLayer, identifiers: Sequence[int], colour: str) -> None:
    """Give areas another colour, as #rrggbb."""
    _set(layer, identifiers, COLOUR, colour, translate("Speckless", "Colour areas"))


def lock(layer: QgsVectorLayer, identifiers: Sequence[int], locked: bool) -> None:
    """Lock areas, or unlock them; in the project where the layer has no field for it."""
    if has_field(layer, LOCKED):
        _set(layer, identifiers, LOCKED, int(locked), translate("Speckless", "Lock areas"))
        return
    known = locked_ids(layer)
    set_locked_ids(layer, known | set(identifiers) if locked else known - set(identifiers))


def save(layer: QgsVectorLayer) -> None:
    """Keep the changes for good and end the edit session; they cannot be undone afterwards.

    Raises
    ------
    InvalidInput
        When the layer's file does not take them.
    """
    if layer.isEditable() and not layer.commitChanges():
        raise InvalidInput("\n".join(layer.commitErrors()))


def _set(
    layer: QgsVectorLayer, identifiers: Sequence[int], field: str, value: Any, title: str
) -> None:
    index = layer.fields().indexOf(field)
    if index < 0:
        raise InvalidInput(
            translate(
                "Speckless", "The layer {layer} has no field '{field}'; add one in its properties."
            ).format(layer=layer.name(), field=field)
        )
    with command(layer, title):
        for identifier in identifiers:
            layer.changeAttributeValue(identifier, index, value)


def _is_locked(layer: QgsVectorLayer, identifier: int) -> bool:
    return is_locked(layer, layer.getFeature(identifier))


def _names(layer: QgsVectorLayer) -> list[str]:
    index = layer.fields().indexOf(NAME)
    return [str(feature.attribute(index)) if index >= 0 else "" for feature in layer.getFeatures()]


def _takes(layer: QgsVectorLayer, field: str, value: Any) -> bool:
    """Whether a field of the user's own, which may only happen to have the name, takes the kind."""
    found = layer.fields().field(field)
    return not found.isDateOrTime() and found.isNumeric() == isinstance(value, int)

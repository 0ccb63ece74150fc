"""The layer the areas are kept in: which one it is, and every change of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCsException,
    QgsFeature,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from ..core.errors import SpecklessError
from . import area_edits, area_layer
from .lock_guard import LockGuard

translate = QCoreApplication.translate


class AreaStore(QObject):
    """Keeps areas in a polygon layer of the project. What the layer refuses is told, not raised.

    Parameters
    ----------
    raster : callable
        Gives the raster that new layers take their CRS from, or None.
    parent : QObject
    """

    edited = pyqtSignal()
    layer_changed = pyqtSignal(object)  # QgsVectorLayer or None
    told = pyqtSignal(str)  # words to the user

    def __init__(self, raster: Callable[[], QgsMapLayer | None], parent: QObject) -> None:
        super().__init__(parent)
        self.layer: QgsVectorLayer | None = None
        self._raster = raster
        self._guard = LockGuard(self)
        self._guard.restored.connect(self._tell_kept)

    def open(self) -> None:
        """Begin, with the project's layer of areas if it has one."""
        QgsProject.instance().layersAdded.connect(self._on_added)
        QgsProject.instance().layersRemoved.connect(self._on_removed)
        self._adopt(area_layer.find())

    def close(self) -> None:
        """Let go of the layer, which stays."""
        QgsProject.instance().layersAdded.disconnect(self._on_added)
        QgsProject.instance().layersRemoved.disconnect(self._on_removed)
        self._let_go()

    # ---- which layer ----------------------------------------------------------------------

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Keep areas in another polygon layer of the project."""
        if layer is not self.layer:
            if layer is not None:
                area_layer.choose(layer)
            self._adopt(layer)

    def new_layer(self) -> bool:
        """Begin with a new layer in memory; tell whether there is one."""
        raster = self._raster()
        if raster is None:
            self.told.emit(translate("Speckless", "Choose a raster first."))
            return False
        self._adopt(area_layer.create(raster))
        return True

    def save_as(self, path: str) -> None:
        """Keep the areas in a GeoPackage from now on."""
        if self.layer is None and not self.new_layer():
            return
        layer = self.layer
        assert layer is not None
        saved = self._tried(lambda: area_layer.save_as(layer, path))
        if saved is None:
            return
        self._adopt(saved)
        if layer.dataProvider().name() == "memory":
            QgsProject.instance().removeMapLayer(layer.id())

    def save(self) -> None:
        """End the edit session, keeping what was changed."""
        self._change(area_edits.save)

    # ---- areas ----------------------------------------------------------------------------

    def features(self) -> list[QgsFeature]:
        """Areas there are, in the order they were made; that of an edited layer changes."""
        if self.layer is None:
            return []
        # Ids of features not saved yet count downwards from zero.
        return sorted(area_layer.polygons(self.layer), key=lambda f: (f.id() < 0, abs(f.id())))

    def locked(self) -> set[int]:
        """Feature ids of those that are locked."""
        layer = self.layer
        if layer is None:
            return set()
        return {f.id() for f in self.features() if area_layer.is_locked(layer, f)}

    def add(
        self, outlines: list[QgsGeometry], crs: QgsCoordinateReferenceSystem, title: str = ""
    ) -> list[int]:
        """Add areas, named by a title with ``{number}``; return their feature ids."""
        if self.layer is None and not self.new_layer():
            return []
        layer = self.layer
        assert layer is not None
        try:
            moved = [area_layer.transformed(each, crs, layer.crs()) for each in outlines]
        except QgsCsException as error:
            self.told.emit(str(error))
            return []
        return self._tried(lambda: area_edits.add(layer, moved, title)) or []

    def remove(self, identifiers: list[int]) -> None:
        """Delete areas that are not locked."""
        if not identifiers:
            return
        left = self._change(lambda layer: area_edits.remove(layer, identifiers))
        if left:
            self.tell_locked(left[0])

    def move(self, identifier: int, geometry: QgsGeometry) -> None:
        """Give an area another outline, in the layer's CRS."""
        if self._change(lambda layer: area_edits.move(layer, identifier, geometry)) is False:
            self.tell_locked(identifier)

    def rename(self, identifier: int, name: str) -> None:
        """Name an area."""
        self._change(lambda layer: area_edits.rename(layer, identifier, name))

    def recolour(self, identifiers: list[int], colour: str) -> None:
        """Colour areas, as #rrggbb."""
        self._change(lambda layer: area_edits.recolour(layer, identifiers, colour))

    def lock(self, identifiers: list[int], locked: bool) -> None:
        """Keep areas from being moved and deleted, or let them."""
        self._change(lambda layer: area_edits.lock(layer, identifiers, locked))

    def undo(self, again: bool = False) -> None:
        """Undo the layer's last change, or redo it."""
        if self.layer is not None and self.layer.isEditable():
            stack = self.layer.undoStack()
            stack.redo() if again else stack.undo()
            self.layer.triggerRepaint()
            self.edited.emit()

    def keep_locked(self) -> None:
        """Guard what is locked, as it is now."""
        layer = self.layer
        if layer is not None:
            self._guard.keep(f for f in self.features() if area_layer.is_locked(layer, f))

    def tell_locked(self, identifier: int) -> None:
        """Say why an area stays as it is."""
        if self.layer is not None:
            self._tell_kept(area_layer.name_of(self.layer.getFeature(identifier)))

    # ---- helpers --------------------------------------------------------------------------

    def _tell_kept(self, name: str) -> None:
        self.told.emit(
            translate("Speckless", "{name} is locked: unlock it to move or delete it.").format(
                name=name
            )
        )
        self.edited.emit()

    def _change(self, change: Callable[[QgsVectorLayer], Any]) -> Any:
        layer = self.layer
        if layer is None:
            return None
        result = self._tried(lambda: change(layer))
        self.edited.emit()
        return result

    def _tried(self, change: Callable[[], Any]) -> Any:
        """Do what the layer may refuse, and say so; None then."""
        try:
            return change()
        except SpecklessError as error:
            self.told.emit(str(error))
            return None

    def _on_added(self, layers: Sequence[QgsMapLayer]) -> None:
        # Those of a project just opened; after the user chose none, it stays so.
        if self.layer is None and any(area_layer.is_areas(layer) for layer in layers):
            self._adopt(area_layer.find())

    def _on_removed(self, _: object) -> None:
        layer = self.layer
        if layer is None:
            return
        if sip.isdeleted(layer) or QgsProject.instance().mapLayer(layer.id()) is None:
            self._adopt(area_layer.find())

    def _adopt(self, layer: QgsVectorLayer | None) -> None:
        self._let_go()
        self.layer = layer
        self._guard.watch(layer)
        if layer is not None:
            for signal in self._signals(layer):
                signal.connect(self._on_edit)
        self.layer_changed.emit(layer)

    def _let_go(self) -> None:
        layer, self.layer = self.layer, None
        self._guard.watch(None)
        if layer is not None and not sip.isdeleted(layer):
            for signal in self._signals(layer):
                signal.disconnect(self._on_edit)

    @staticmethod
    def _signals(layer: QgsVectorLayer) -> list[Any]:
        return [
            layer.geometryChanged, layer.featureAdded, layer.featureDeleted,
            layer.attributeValueChanged, layer.editingStarted, layer.editingStopped,
            layer.dataChanged,
        ]  # fmt: skip

    def _on_edit(self, *_: object) -> None:
        self.edited.emit()

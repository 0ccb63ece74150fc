"""Keeps locked areas as they are, also from QGIS's own editing tools."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsFeature, QgsGeometry, QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QObject, QTimer, pyqtSignal

from . import area_edits
from .area_layer import name_of

translate = QCoreApplication.translate


class LockGuard(QObject):
    """Puts back what is done to locked areas; QGIS itself knows no lock of single features."""

    restored = pyqtSignal(str)  # name of an area

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._layer: QgsVectorLayer | None = None
        self._kept: dict[int, QgsFeature] = {}
        self._touched: set[int] = set()
        self._ending = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._restore)

    def watch(self, layer: QgsVectorLayer | None) -> None:
        """Guard another layer, or none."""
        old, self._layer = self._layer, layer
        self._kept, self._ending = {}, False
        self._touched.clear()
        self._timer.stop()
        if old is not None and not sip.isdeleted(old):
            for signal, slot in self._slots(old):
                signal.disconnect(slot)
        if layer is not None:
            for signal, slot in self._slots(layer):
                signal.connect(slot)

    def keep(self, locked: Iterable[QgsFeature]) -> None:
        """Take note of what is locked, as it is now."""
        if not self._touched:
            self._kept = {feature.id(): QgsFeature(feature) for feature in locked}

    def _slots(self, layer: QgsVectorLayer) -> tuple[tuple[object, object], ...]:
        return (
            (layer.geometryChanged, self._on_geometry),
            (layer.featureDeleted, self._on_deleted),
            (layer.beforeCommitChanges, self._on_ending),
            (layer.beforeRollBack, self._on_ending),
            (layer.afterCommitChanges, self._on_ended),
            (layer.afterRollBack, self._on_ended),
        )

    def _on_ending(self, *_: object) -> None:
        # Saved features get other ids, those not saved go: neither is the user's deed.
        self._ending = True

    def _on_ended(self) -> None:
        self._ending = False
        self._kept = {}

    def _on_geometry(self, identifier: int, geometry: QgsGeometry) -> None:
        kept = self._kept.get(identifier)
        if kept is not None and not self._ending and not geometry.equals(kept.geometry()):
            self._touch(identifier)

    def _on_deleted(self, identifier: int) -> None:
        if identifier in self._kept and not self._ending:
            self._touch(identifier)

    def _touch(self, identifier: int) -> None:
        # Later: the layer is in the middle of a change.
        self._touched.add(identifier)
        self._timer.start(0)

    def _restore(self) -> None:
        touched, self._touched = self._touched, set()
        layer = self._layer
        if layer is None or not layer.isEditable():
            return
        for identifier in touched:
            kept = self._kept.get(identifier)
            if kept is None:
                continue
            with area_edits.command(layer, translate("Speckless", "Keep a locked area")):
                if layer.getFeature(identifier).isValid():
                    layer.changeGeometry(identifier, kept.geometry())
                else:
                    again = QgsFeature(kept)
                    layer.addFeature(again)
            self.restored.emit(name_of(kept))

"""Looks for homogeneous areas in the part of the scene that is in view, in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsGeometry, QgsPointXY, QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from ..jobs.scene_cache import Scene
from ..jobs.suggesting import Suggestions, suggest_areas
from .background import Background
from .places import visible_window

translate = QCoreApplication.translate

COUNT = 5


class Suggesting(QObject):
    """Finds areas and tells of them.

    Parameters
    ----------
    canvas : QgsMapCanvas
    looked_at : callable
        Gives layer and scene, or None of each.
    parent : QObject
    """

    found = pyqtSignal(object, object)  # list of QgsGeometry, their CRS
    told = pyqtSignal(str)

    def __init__(
        self,
        canvas: QgsMapCanvas,
        looked_at: Callable[[], tuple[QgsRasterLayer | None, Scene | None]],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._canvas, self._looked_at = canvas, looked_at
        self._search = Background("suggestions", self)
        self._search.done.connect(self._take)
        self._search.failed.connect(self._take_failure)

    @property
    def is_busy(self) -> bool:
        """Whether a search is under way."""
        return self._search.is_busy

    def close(self) -> None:
        """End the search and its thread."""
        self._search.close()

    def start(self, size: int) -> None:
        """Look for areas of so many pixels to a side."""
        layer, scene = self._looked_at()
        if layer is None or scene is None:
            self.told.emit(translate("Speckless", "Choose a raster first."))
            return
        window = visible_window(self._canvas, layer, scene.placement)
        if window is None:
            self.told.emit(translate("Speckless", "The layer is not in view."))
            return
        self.told.emit(translate("Speckless", "Looking for homogeneous areas …"))
        path, band, domain = scene.path, scene.band, scene.domain
        self._search.submit(
            layer.crs(),
            lambda stopped: suggest_areas(path, band, domain, window, size, COUNT, stopped),
        )

    def _take(self, crs: Any, suggestions: Suggestions) -> None:
        if not suggestions.windows:
            self.told.emit(
                translate("Speckless", "There is no such area: too much of it is without data.")
            )
            return
        outlines = [
            QgsGeometry.fromPolygonXY([[QgsPointXY(x, y) for x, y in outline]])
            for outline in suggestions.outlines
        ]
        self.found.emit(outlines, crs)
        text = translate(
            "Speckless",
            "{n} areas. The best of many is so in part by chance, and its ENL too high: draw "
            "larger ones around them for the looks.",
        ).format(n=len(outlines))
        if suggestions.share < 1:
            text += " " + translate(
                "Speckless", "{share:.0%} of the part in view was looked through."
            ).format(share=suggestions.share)
        self.told.emit(text)

    def _take_failure(self, crs: Any, error: Exception) -> None:
        self.told.emit(str(error))

"""What the tools that draw and move areas on the map have in common."""

from __future__ import annotations

from qgis.core import QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QColor

COLOUR = QColor("#ffd166")


class CanvasTool(QgsMapTool):
    """A tool with rubber bands that sees keys before QGIS's own actions do, by `eventFilter`.

    Parameters
    ----------
    canvas : QgsMapCanvas
    """

    undo_asked = pyqtSignal(bool)  # of the last change, there being no sketch; True: redo
    left = pyqtSignal()  # another map tool was chosen

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._bands: list[QgsRubberBand] = []

    def activate(self) -> None:
        """Called by the canvas when the tool is chosen."""
        super().activate()
        self._canvas.installEventFilter(self)
        self._canvas.setFocus()

    def deactivate(self) -> None:
        """Called by the canvas when another tool is chosen."""
        self._canvas.removeEventFilter(self)
        self.reset()
        super().deactivate()
        self.left.emit()

    def close(self) -> None:
        """Take everything off the canvas."""
        self.reset()
        self._canvas.removeEventFilter(self)
        if self._canvas.mapTool() is self:
            self._canvas.unsetMapTool(self)
        scene = self._canvas.scene()
        if scene is not None:
            for band in self._bands:
                scene.removeItem(band)

    def reset(self) -> None:
        """Give up what is being drawn or dragged."""
        raise NotImplementedError

    def _rubber_band(self, kind: QgsWkbTypes.GeometryType, opacity: int) -> QgsRubberBand:
        """Make a band whose areas are filled with this opacity, 0 to 255."""
        band = QgsRubberBand(self._canvas, kind)
        band.setStrokeColor(COLOUR)
        band.setSecondaryStrokeColor(QColor(0, 0, 0, 160))
        band.setWidth(2)
        fill = QColor(COLOUR)
        fill.setAlpha(opacity)
        band.setFillColor(fill)
        self._bands.append(band)
        return band

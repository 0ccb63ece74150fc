"""Dragging the line between original and preview, with whatever map tool is active."""

from __future__ import annotations

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QCursor

from .preview_item import PreviewItem

_REACH = 7  # pixels from the line that count as on it


class Swipe(QObject):
    """Watches the mouse over the canvas while there is a line.

    Parameters
    ----------
    canvas : QgsMapCanvas
    item : PreviewItem
    parent : QObject
    """

    moved = pyqtSignal(float)

    def __init__(self, canvas: QgsMapCanvas, item: PreviewItem, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas, self._item = canvas, item
        self._dragging = self._over = False
        self._cursor = QCursor()
        canvas.viewport().installEventFilter(self)

    def close(self) -> None:
        """Leave the canvas alone."""
        self._set_over(False)
        self._canvas.viewport().removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the mouse on the line, leave it to the map tool elsewhere."""
        kind = event.type()
        if kind == QEvent.Type.MouseMove:
            if self._dragging:
                self._move_to(event.pos().x())
                return True
            self._set_over(not event.buttons() and self._is_on_line(event.pos().x()))
        elif kind == QEvent.Type.MouseButtonPress:
            if event.button() == Qt.MouseButton.LeftButton and self._is_on_line(event.pos().x()):
                self._dragging = True
                return True
        elif kind == QEvent.Type.MouseButtonRelease and self._dragging:
            self._dragging = False
            self._move_to(event.pos().x())
            return True
        return False

    def _is_on_line(self, x: int) -> bool:
        split = self._item.split
        if split is None or not self._item.isVisible():
            return False
        return abs(split * self._canvas.viewport().width() - x) <= _REACH

    def _move_to(self, x: int) -> None:
        split = min(max(x / max(self._canvas.viewport().width(), 1), 0.02), 0.98)
        self._item.set_split(split)
        self.moved.emit(split)

    def _set_over(self, over: bool) -> None:
        if over == self._over:
            return
        self._over = over
        viewport = self._canvas.viewport()
        if over:
            self._cursor = QCursor(viewport.cursor())
            viewport.setCursor(Qt.CursorShape.SplitHCursor)
        else:
            viewport.setCursor(self._cursor)

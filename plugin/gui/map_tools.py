"""Drawing an area on the map: corner by corner, as a rectangle, or by a stroke."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsPointXY, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent
from qgis.PyQt.QtCore import QEvent, QObject, QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence

from .canvas_tool import CanvasTool

_FEWEST = 3  # corners of an area
# Pixels the mouse must have been dragged for a rectangle, and between points of a stroke.
_DRAG = 5

POLYGON, RECTANGLE, FREEHAND = "polygon", "rectangle", "freehand"


class AreaTool(CanvasTool):
    """Draws one polygon after the other.

    Esc gives the sketch up, right click or double click closes it, Ctrl+Z or Backspace takes the
    last corner away. Rectangles are dragged or clicked at two corners, strokes end where the
    button is let go.

    Parameters
    ----------
    canvas : QgsMapCanvas
    shape : {"polygon", "rectangle", "freehand"}
    """

    sketched = pyqtSignal(object)  # QgsGeometry in the CRS of the map, or None
    finished = pyqtSignal(object)  # QgsGeometry

    def __init__(self, canvas: QgsMapCanvas, shape: str = POLYGON) -> None:
        super().__init__(canvas)
        self.shape = shape
        self._points: list[QgsPointXY] = []
        self._mouse: QgsPointXY | None = None
        self._pressed: QPoint | None = None
        self._last = QPoint()
        self._closed_by_click = False
        self._band = self._rubber_band(QgsWkbTypes.GeometryType.PolygonGeometry, 40)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def set_shape(self, shape: str) -> None:
        """Draw another kind of area from now on."""
        self.shape = shape
        self.reset()

    def reset(self) -> None:
        """Give up the sketch."""
        had = bool(self._points)
        self._points, self._mouse, self._pressed = [], None, None
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        if had:
            self.sketched.emit(None)

    # ---- events ---------------------------------------------------------------------------

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Set a corner, or begin to drag."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._closed_by_click = False  # should the second release of a double click not have come
        self._pressed = self._last = event.pos()
        if self.shape == FREEHAND or (self.shape == RECTANGLE and not self._points):
            self._points = [event.mapPoint()]
        self._mouse = event.mapPoint()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Let the sketch follow the mouse."""
        if not self._points:
            return
        if self.shape == FREEHAND:
            if (event.pos() - self._last).manhattanLength() < _DRAG:
                return
            self._points.append(event.mapPoint())
            self._last = event.pos()
        self._mouse = event.mapPoint()
        self._show()

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Set a corner; close by the right button, or at the end of a drag."""
        if event.button() == Qt.MouseButton.RightButton:
            self._mouse = None
            self._finish()
            return
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if self._closed_by_click:  # the second release of a double click
            self._closed_by_click = False
            return
        pressed, self._pressed = self._pressed, None
        dragged = pressed is not None and (event.pos() - pressed).manhattanLength() >= _DRAG
        self._mouse = event.mapPoint()
        if self.shape == POLYGON:
            self._points.append(event.mapPoint())
            self._show()
        elif (
            self.shape == FREEHAND
            or dragged
            or (len(self._points) == 1 and self._is_apart(event.pos()))
        ):
            self._finish()

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:
        """Close; the first click has set the last corner."""
        if self.shape == POLYGON and self._points:
            self._closed_by_click = True
            self._mouse = None
            self._finish()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc, Ctrl+Z, Backspace, Return."""
        if event.key() == Qt.Key.Key_Escape and self._points:
            self.reset()
        elif self._is_undo(event) and self._points:
            self._points.pop()
            if self._points:
                self._show()
            else:
                self.reset()
                self.sketched.emit(None)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._points:
            self._mouse = None
            self._finish()
        elif event.matches(QKeySequence.StandardKey.Undo):
            self.undo_asked.emit(False)
        elif event.matches(QKeySequence.StandardKey.Redo) and not self._points:
            self.undo_asked.emit(True)
        else:
            event.ignore()
            return
        # Once a tool accepts this key, QGIS deletes what is selected in the current layer.
        event.setAccepted(event.key() != Qt.Key.Key_Backspace)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep these keys from QGIS's own actions, which mean the current layer."""
        # While a button is held the canvas passes no keys on.
        if event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            had = bool(self._points)
            self.reset()
            return had
        if event.type() == QEvent.Type.ShortcutOverride and (
            event.matches(QKeySequence.StandardKey.Undo)
            or event.matches(QKeySequence.StandardKey.Redo)
            or (self._points and event.key() in (Qt.Key.Key_Backspace, Qt.Key.Key_Escape))
        ):
            event.accept()
            return True
        return False

    # ---- the sketch -----------------------------------------------------------------------

    @staticmethod
    def _is_undo(event: QKeyEvent) -> bool:
        return event.matches(QKeySequence.StandardKey.Undo) or event.key() == Qt.Key.Key_Backspace

    def _is_apart(self, position: QPoint) -> bool:
        """Whether a click is the second one of a rectangle."""
        if not self._points:
            return False
        first = self.toCanvasCoordinates(self._points[0])
        return (position - first).manhattanLength() >= _DRAG

    def _geometry(self) -> QgsGeometry | None:
        points = list(self._points)
        if self.shape == RECTANGLE:
            if not points or self._mouse is None:
                return None
            rectangle = QgsRectangle(points[0], self._mouse)
            return None if rectangle.isEmpty() else QgsGeometry.fromRect(rectangle)
        if self._mouse is not None and self.shape == POLYGON:
            points.append(self._mouse)
        # A double click sets its corner twice.
        points = [p for n, p in enumerate(points) if n == 0 or p != points[n - 1]]
        if len(points) < _FEWEST:
            return None
        return QgsGeometry.fromPolygonXY([[*points, points[0]]])

    def _show(self) -> None:
        geometry = self._geometry()
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        if geometry is not None:
            self._band.setToGeometry(geometry, None)
        else:
            for point in [*self._points, *([self._mouse] if self._mouse else [])]:
                self._band.addPoint(point)
        self.sketched.emit(geometry)

    def _finish(self) -> None:
        geometry = self._geometry()
        self.reset()
        if geometry is not None and geometry.area() > 0:
            self.finished.emit(geometry)

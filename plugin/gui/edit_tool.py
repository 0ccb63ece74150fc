"""Moving the corners of areas, and whole areas, on the map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qgis.core import QgsCsException, QgsGeometry, QgsPointXY, QgsVectorLayer, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent, QObject, QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent, QKeySequence

from .canvas_tool import CanvasTool

_NEAR = 9  # pixels of the screen within which a corner or a side is meant
_FEWEST = 4  # vertices of a ring, its first one counted twice


@dataclass(frozen=True)
class Editable:
    """An area as the tool sees it; the geometry in the CRS of its layer."""

    identifier: int
    geometry: QgsGeometry
    locked: bool


@dataclass
class _Drag:
    layer: QgsVectorLayer
    area: Editable
    vertex: int | None  # None: the whole of it
    start: QgsPointXY  # in the CRS of the layer
    geometry: QgsGeometry


class AreaEditTool(CanvasTool):
    """Drags corners and whole areas; a double click on a side adds a corner, Delete takes one.

    Esc gives a drag up, Ctrl+Z undoes the last change. Locked areas stay as they are.

    Parameters
    ----------
    canvas : QgsMapCanvas
    areas : callable
        Gives the layer (or None) and its areas, the one to look at first in front.
    """

    sketched = pyqtSignal(object, object)  # feature id, QgsGeometry in the layer's CRS; or None
    moved = pyqtSignal(object, object)  # feature id, QgsGeometry in the layer's CRS
    picked = pyqtSignal(object)  # feature id
    refused = pyqtSignal(object)  # feature id of a locked area

    def __init__(
        self,
        canvas: QgsMapCanvas,
        areas: Callable[[], tuple[QgsVectorLayer | None, list[Editable]]],
    ) -> None:
        super().__init__(canvas)
        self._areas = areas
        self._drag: _Drag | None = None
        self._hovered: tuple[Editable, int] | None = None
        self._known: tuple[QgsVectorLayer | None, list[Editable]] = (None, [])
        self._band = self._rubber_band(QgsWkbTypes.GeometryType.PolygonGeometry, 0)
        self._handles = self._rubber_band(QgsWkbTypes.GeometryType.PointGeometry, 0)
        self._handles.setIcon(QgsRubberBand.IconType.ICON_FULL_BOX)
        self._handles.setIconSize(8)
        self.setCursor(Qt.CursorShape.ArrowCursor)

    def activate(self) -> None:
        """Called by the canvas when the tool is chosen."""
        super().activate()
        self.show_handles()

    def deactivate(self) -> None:
        """Called by the canvas when another tool is chosen."""
        self._handles.reset(QgsWkbTypes.GeometryType.PointGeometry)
        super().deactivate()

    def reset(self) -> None:
        """Give up a drag."""
        had, self._drag = self._drag is not None, None
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        if had:
            self.sketched.emit(None, None)

    def show_handles(self) -> None:
        """Mark the corners that can be moved; none of locked areas."""
        self._handles.reset(QgsWkbTypes.GeometryType.PointGeometry)
        if self._canvas.mapTool() is not self:
            return
        # Kept for the mouse's way over them: reading the layer takes time where it has many.
        layer, areas = self._known = self._areas()
        for area in areas:
            if layer is None or area.locked:
                continue
            for vertex in area.geometry.vertices():
                place = self._on_map(layer, QgsPointXY(vertex.x(), vertex.y()))
                if place is not None:
                    self._handles.addPoint(place, True)

    # ---- events ---------------------------------------------------------------------------

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        """Take hold of a corner, or of the area under the mouse."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        layer, areas = self._areas()
        if layer is None:
            return
        point = self._in_layer(layer, event.mapPoint())
        if point is None:
            return
        found = self._vertex_at(layer, areas, event.pos())
        area, vertex = found if found else (self._area_at(areas, point), None)
        if area is None:
            return
        self.picked.emit(area.identifier)
        if area.locked:
            self.refused.emit(area.identifier)
            return
        self._drag = _Drag(layer, area, vertex, point, QgsGeometry(area.geometry))

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        """Let corner or area follow the mouse."""
        drag = self._drag
        if drag is None:
            self._hover(event.pos())
            return
        point = self._in_layer(drag.layer, event.mapPoint())
        if point is None:
            return
        drag.geometry = QgsGeometry(drag.area.geometry)
        if drag.vertex is None:
            drag.geometry.translate(point.x() - drag.start.x(), point.y() - drag.start.y())
        else:
            drag.geometry.moveVertex(point.x(), point.y(), drag.vertex)
        self._band.setToGeometry(drag.geometry, drag.layer)
        self.sketched.emit(drag.area.identifier, drag.geometry)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        """Let go."""
        drag, self._drag = self._drag, None
        self._band.reset(QgsWkbTypes.GeometryType.PolygonGeometry)
        if drag is None:
            return
        if drag.geometry.equals(drag.area.geometry) or drag.geometry.area() <= 0:
            self.sketched.emit(None, None)
        else:
            self.moved.emit(drag.area.identifier, drag.geometry)

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:
        """Add a corner to a side."""
        layer, areas = self._areas()
        point = None if layer is None else self._in_layer(layer, event.mapPoint())
        if layer is None or point is None or self._vertex_at(layer, areas, event.pos()):
            return
        for area in areas:
            _, nearest, after, _ = area.geometry.closestSegmentWithContext(point)
            if self._pixels_to(layer, nearest, event.pos()) <= _NEAR and after >= 0:
                self._drag = None
                if area.locked:
                    self.refused.emit(area.identifier)
                    return
                geometry = QgsGeometry(area.geometry)
                if geometry.insertVertex(point.x(), point.y(), after):
                    self.moved.emit(area.identifier, geometry)
                return

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc, Delete, Ctrl+Z and the keys of redo."""
        if event.key() == Qt.Key.Key_Escape and self._drag is not None:
            self.reset()
        elif event.matches(QKeySequence.StandardKey.Undo):
            self.undo_asked.emit(False)
        elif event.matches(QKeySequence.StandardKey.Redo):
            self.undo_asked.emit(True)
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._hovered:
            self._delete_hovered()
        else:
            event.ignore()
            return
        # Once a tool accepts these keys, QGIS deletes what is selected in the current layer.
        event.setAccepted(event.key() not in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep these keys from QGIS's own actions, which mean the current layer."""
        # While a button is held the canvas passes no keys on.
        if event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            had = self._drag is not None
            self.reset()
            return had
        if event.type() == QEvent.Type.ShortcutOverride and (
            event.matches(QKeySequence.StandardKey.Undo)
            or event.matches(QKeySequence.StandardKey.Redo)
            or event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
        ):
            event.accept()
            return True
        return False

    # ---- helpers --------------------------------------------------------------------------

    def _hover(self, position: QPoint) -> None:
        """Show by the cursor whether there is a corner to take hold of."""
        layer, areas = self._known
        self._hovered = None
        if layer is not None and not sip.isdeleted(layer):
            self._hovered = self._vertex_at(layer, areas, position)
        takes = self._hovered is not None and not self._hovered[0].locked
        self.setCursor(Qt.CursorShape.SizeAllCursor if takes else Qt.CursorShape.ArrowCursor)

    def _delete_hovered(self) -> None:
        assert self._hovered is not None
        (area, vertex), self._hovered = self._hovered, None
        if area.locked:
            self.refused.emit(area.identifier)
            return
        geometry = QgsGeometry(area.geometry)
        ring_ends = sum(1 for _ in geometry.vertices())
        if ring_ends > _FEWEST and geometry.deleteVertex(vertex) and geometry.area() > 0:
            self.moved.emit(area.identifier, geometry)

    def _vertex_at(
        self, layer: QgsVectorLayer, areas: list[Editable], position: QPoint
    ) -> tuple[Editable, int] | None:
        point = self._in_layer(layer, self.toMapCoordinates(position))
        if point is None:
            return None
        for area in areas:
            corner, vertex, _, _, _ = area.geometry.closestVertex(point)
            if vertex >= 0 and self._pixels_to(layer, corner, position) <= _NEAR:
                return area, vertex
        return None

    @staticmethod
    def _area_at(areas: list[Editable], point: QgsPointXY) -> Editable | None:
        return next((area for area in areas if area.geometry.contains(point)), None)

    def _pixels_to(self, layer: QgsVectorLayer, place: QgsPointXY, position: QPoint) -> float:
        on_map = self._on_map(layer, place)
        if on_map is None:
            return float("inf")
        return (self.toCanvasCoordinates(on_map) - position).manhattanLength()

    def _in_layer(self, layer: QgsVectorLayer, place: QgsPointXY) -> QgsPointXY | None:
        try:
            return self.toLayerCoordinates(layer, place)
        except QgsCsException:
            return None

    def _on_map(self, layer: QgsVectorLayer, place: QgsPointXY) -> QgsPointXY | None:
        try:
            return self.toMapCoordinates(layer, place)
        except QgsCsException:
            return None

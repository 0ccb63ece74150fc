"""The preview as it lies over the map, and the line that parts it from the original."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QLineF, QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter, QPen, QPolygonF, QTransform
from qgis.PyQt.QtWidgets import QStyleOptionGraphicsItem, QWidget

from .places import Cell

Images = tuple[QImage, QImage]

# Above the map, below rubber bands.
_HEIGHT = -5.0
_GRIP = 9.0


class PreviewItem(QgsMapCanvasItem):
    """Draws a picture where it belongs on the map, whatever the canvas shows meanwhile.

    Parameters
    ----------
    canvas : QgsMapCanvas
    """

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._images: Images | None = None
        self._cells: Sequence[Cell] = ()
        # The last whole picture stays below one of which tiles are still missing.
        self._below: tuple[Images, Sequence[Cell]] | None = None
        self._is_whole = False
        self._captions = ("", "")
        self._split: float | None = None
        self._original = False
        self.setZValue(_HEIGHT)
        self.hide()

    @property
    def split(self) -> float | None:
        """Where the line is, as part of the canvas's width; None without one."""
        return self._split

    def set_picture(
        self, images: Images | None, cells: Sequence[Cell], is_whole: bool = True
    ) -> None:
        """Show a picture; as long as tiles of it are missing, above the last whole one.

        Parameters
        ----------
        images : (QImage, QImage) or None
            The original, for the left of the line, and the preview.
        cells : sequence of Cell
        is_whole : bool
        """
        if images is None or is_whole:
            self._below = None
        elif self._is_whole and self._images is not None:
            self._below = (self._images, self._cells)
        self._images, self._cells, self._is_whole = images, cells, is_whole
        self.update()

    def set_split(self, split: float | None) -> None:
        """Show the picture right of a line only."""
        self._split = None if split is None else min(max(split, 0.0), 1.0)
        self.update()

    @property
    def shows_original(self) -> bool:
        """Whether the original is shown in the preview's place."""
        return self._original

    def set_original(self, shown: bool) -> None:
        """Show the original everywhere, pixel for pixel in the preview's place."""
        self._original = shown
        self.update()

    def set_captions(self, left: str, right: str) -> None:
        """Words at the two sides of the line."""
        self._captions = (left, right)
        self.update()

    def updatePosition(self) -> None:
        """Called by the canvas when it shows another extent."""
        self.prepareGeometryChange()
        self.update()

    def boundingRect(self) -> QRectF:
        """All of the view, wherever panning has taken it."""
        return QRectF(self._canvas.sceneRect())

    def split_x(self) -> float | None:
        """The line's place in the scene."""
        if self._split is None:
            return None
        view = self._canvas.sceneRect()
        return view.left() + self._split * view.width()

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        """Draw the picture, then the line."""
        view = self._canvas.sceneRect()
        line = view.right() if self._original else self.split_x()
        left = view.left() if line is None else line
        sides = [QRectF(left, view.top(), view.right() - left, view.height())]
        if line is not None:
            sides.insert(0, QRectF(view.left(), view.top(), left - view.left(), view.height()))
        for side, number in zip(reversed(sides), (1, 0)):
            painter.save()
            painter.setClipRect(side)
            for images, cells in (self._below or (None, ()), (self._images, self._cells)):
                if images is not None:
                    self._draw_picture(painter, images[number], cells)
            painter.restore()
        if self._original:
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw_caption(painter, view, line, self._captions[0], -1)
            painter.restore()
        elif line is not None:
            self._draw_line(painter, view, line)

    def _draw_picture(self, painter: QPainter, image: QImage, cells: Sequence[Cell]) -> None:
        before = painter.transform()
        for part, place in cells:
            corners = QPolygonF([self._on_canvas(point) for point in place])
            source = QPolygonF([part.topLeft(), part.topRight(), part.bottomRight(),
                                part.bottomLeft()])  # fmt: skip
            transform = QTransform()
            if not QTransform.quadToQuad(source, corners, transform):
                continue
            painter.setTransform(transform * before)
            # Large pixels stay sharp, as those of the layer do.
            smaller = abs(transform.determinant()) < 0.9
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smaller)
            painter.drawImage(part, image, part)
        painter.setTransform(before)

    def _on_canvas(self, place: QPointF) -> QPointF:
        return self.toCanvasCoordinates(QgsPointXY(place))

    def _draw_line(self, painter: QPainter, view: QRectF, x: float) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = QLineF(x, view.top(), x, view.bottom())
        for colour, width in ((QColor(0, 0, 0, 140), 4.0), (QColor(255, 255, 255, 235), 1.6)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(line)
        middle = QPointF(x, view.center().y())
        painter.setPen(QPen(QColor(0, 0, 0, 140), 1.2))
        painter.setBrush(QColor(255, 255, 255, 240))
        painter.drawEllipse(middle, _GRIP, _GRIP)
        painter.setPen(QPen(QColor(60, 60, 60), 1.6))
        for side in (-1, 1):
            tip = QPointF(middle.x() + side * 6, middle.y())
            for dy in (-3, 3):
                painter.drawLine(tip, QPointF(tip.x() - side * 3, tip.y() + dy))
        for text, flag in zip(self._captions, (-1, 1)):
            self._draw_caption(painter, view, x, text, flag)
        painter.restore()

    def _draw_caption(
        self, painter: QPainter, view: QRectF, x: float, text: str, side: int
    ) -> None:
        if not text:
            return
        font = QFont(self._canvas.font())
        font.setBold(True)
        painter.setFont(font)
        metrics = painter.fontMetrics()
        width, height = metrics.horizontalAdvance(text) + 14, metrics.height() + 6
        left = x + 8 if side > 0 else x - 8 - width
        box = QRectF(left, view.top() + 10, width, height)
        if box.left() < view.left() or box.right() > view.right():
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

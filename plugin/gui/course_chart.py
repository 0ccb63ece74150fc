"""A small chart of the risk over the epochs of a fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QCoreApplication, QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from .widgets import ink

translate = QCoreApplication.translate

_HEIGHT = 96
_RADIUS = 3.0
# Half a point of an axis with only one value on it.
_LEAST_SPREAD = 1e-12

# Epoch, risk, standard error of its change since the start.
Point = tuple[float, float, float]


class CourseChart(QWidget):
    """Draws points with their errors, joined by a line; the least one is emphasised."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: tuple[Point, ...] = ()
        self._epochs = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.85)
        self.setFont(font)
        self.setAccessibleName(translate("Speckless", "Risk over the epochs"))
        self.setToolTip(
            translate(
                "Speckless",
                "Estimated risk of pixels held out of the learning, by epoch; 0 is the network "
                "before. Bars: standard error of the change since then.",
            )
        )

    @property
    def points(self) -> tuple[Point, ...]:
        """What is shown."""
        return self._points

    def set_points(self, points: Sequence[Point], epochs: int) -> None:
        """Show these points on an axis of so many epochs."""
        self._points, self._epochs = tuple(points), max(epochs, 1)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(180, _HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics, text = self.fontMetrics(), ink(self)
        faint = QColor(text)
        faint.setAlpha(90)
        low, high = self._range()
        labels = [f"{value:.3g}" for value in (high, low)]
        left = max(metrics.horizontalAdvance(label) for label in labels) + 6
        line = metrics.height()
        plot = QRectF(left, line / 2 + 2, self.width() - left - 8, self.height() - 2 * line - 2)
        painter.setPen(QPen(faint, 1))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        painter.drawLine(plot.topLeft(), plot.bottomLeft())
        painter.setPen(text)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if self._points:
            for label, y in zip(labels, (plot.top(), plot.bottom())):
                painter.drawText(QRectF(0, y - line / 2, left - 4, line), int(right), label)
        below = QRectF(plot.left(), plot.bottom() + 2, plot.width(), line)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignLeft), "0")
        painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), str(self._epochs))
        painter.drawText(below, int(Qt.AlignmentFlag.AlignHCenter), translate("Speckless", "epoch"))
        self._draw_points(painter, plot, low, high)
        painter.end()

    def _draw_points(self, painter: QPainter, plot: QRectF, low: float, high: float) -> None:
        def place(epoch: float, value: float) -> QPointF:
            x = plot.left() + plot.width() * epoch / self._epochs
            return QPointF(x, plot.bottom() - plot.height() * (value - low) / (high - low))

        colour = self.palette().color(QPalette.ColorRole.Highlight)
        painter.setPen(QPen(colour, 1.6))
        dots = [place(epoch, value) for epoch, value, _ in self._points]
        for first, second in zip(dots, dots[1:]):
            painter.drawLine(first, second)
        for epoch, value, error in self._points:
            painter.drawLine(place(epoch, value - error), place(epoch, value + error))
        least = min((value for _, value, _ in self._points), default=None)
        for dot, (_, value, _) in zip(dots, self._points):
            painter.setBrush(
                colour if value == least else self.palette().color(QPalette.ColorRole.Base)
            )
            painter.drawEllipse(dot, _RADIUS, _RADIUS)

    def _range(self) -> tuple[float, float]:
        ends = [value + sign * error for _, value, error in self._points for sign in (-1, 1)]
        if not ends:
            return 0.0, 1.0
        low, high = min(ends), max(ends)
        spread = max(high - low, _LEAST_SPREAD, 1e-6 * abs(high))
        return low - 0.08 * spread, high + 0.08 * spread

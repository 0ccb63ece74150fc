"""The histogram of an area, with the law of speckle fitted to it. Paints numbers; computes none."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication, QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..core.area_statistics import SpeckleStatistics
from ..core.gamma_fit import Histogram
from .numbers import number
from .widgets import ink

translate = QCoreApplication.translate

_HEIGHT = 96
_MARGIN = 4


class HistogramView(QWidget):
    """Bars of what was counted and the curve of what the law says, in the layer's own values."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._histogram: Histogram | None = None
        self._looks: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(translate("Speckless", "Histogram of the area"))
        self.show_statistics(None)

    @property
    def title(self) -> str:
        """What the curve is."""
        found = self._histogram
        if found is None:
            return ""
        names = {
            "Gamma": translate("Speckless", "Gamma"),
            "Nakagami": translate("Speckless", "Nakagami"),
            "log-Gamma": translate("Speckless", "log-Gamma"),
            "exponential": translate("Speckless", "Exponential"),
            "Rayleigh": translate("Speckless", "Rayleigh"),
            "log-exponential": translate("Speckless", "log-exponential"),
        }
        looks = number(self._looks, 3)
        return translate("Speckless", "{law}, L = {looks}").format(
            law=names.get(found.law, found.law), looks=looks
        )

    def show_statistics(self, image: SpeckleStatistics | None) -> None:
        """Show the histogram of one image; None empties it."""
        self._histogram = None if image is None else image.histogram
        self._looks = None if image is None else image.gamma_looks
        units = {
            "intensity": translate("Speckless", "linear intensity"),
            "amplitude": translate("Speckless", "amplitude"),
            "db": translate("Speckless", "decibels"),
        }
        tip = translate("Speckless", "Appears with the numbers of an area.")
        if self._histogram is not None and image is not None:
            tip = translate(
                "Speckless",
                "Bars: pixels of the area by value ({unit}). Curve: the law of speckle, "
                "{law} by maximum likelihood; greatest distance of the two distributions "
                "(Kolmogorov-Smirnov) {ks}. {n} pixels lie outside the picture.",
            ).format(
                unit=units[self._histogram.domain],
                law=self.title,
                ks=number(image.ks_distance, 2),
                n=self._histogram.outside,
            )
        self.setToolTip(tip)
        self.setAccessibleDescription(tip)
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(200, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint bars, curve and words in the colours of the theme."""
        painter = QPainter(self)
        palette = self.palette()
        painter.fillRect(self.rect(), palette.color(QPalette.ColorRole.Base))
        faint = ink(self)
        faint.setAlpha(60)
        painter.setPen(faint)
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        font = painter.font()
        font.setPointSizeF(font.pointSizeF() * 0.85)
        painter.setFont(font)
        line = painter.fontMetrics().height()
        inner = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN + line, -_MARGIN, -_MARGIN - line)
        found = self._histogram
        if found is None:
            painter.setPen(ink(self))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "–")
            return
        self._paint_bars(painter, inner, found)
        painter.setPen(ink(self))
        head = QRectF(inner.left(), _MARGIN, inner.width(), line)
        painter.drawText(head, Qt.AlignmentFlag.AlignRight, self.title)
        foot = QRectF(inner.left(), inner.bottom() + 1, inner.width(), line)
        painter.drawText(foot, Qt.AlignmentFlag.AlignLeft, number(float(found.edges[0]), 3))
        painter.drawText(foot, Qt.AlignmentFlag.AlignRight, number(float(found.edges[-1]), 3))

    def _paint_bars(self, painter: QPainter, inner: QRectF, found: Histogram) -> None:
        palette = self.palette()
        top = max(float(found.density.max()), float(found.fitted.max()))
        if top <= 0:
            return
        low, high = float(found.edges[0]), float(found.edges[-1])
        across, up = inner.width() / (high - low), inner.height() / top
        bars = ink(self)
        bars.setAlpha(90)
        curve = QPolygonF()
        for left, right, density, fitted in zip(
            found.edges[:-1], found.edges[1:], found.density, found.fitted
        ):
            x, width = inner.left() + (left - low) * across, (right - left) * across
            height = density * up
            painter.fillRect(QRectF(x, inner.bottom() - height, width, height), bars)
            curve.append(QPointF(x + width / 2, inner.bottom() - fitted * up))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Highlight), 2))
        painter.drawPolyline(curve)

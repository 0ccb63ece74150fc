"""The estimated risk over the knob, drawn below the slider it belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable

from qgis.PyQt.QtCore import QCoreApplication, QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..jobs.knob_search import RiskCurve

translate = QCoreApplication.translate

_HEIGHT = 64
_DOT = 3.5


class RiskPlot(QWidget):
    """Draws a curve it is given; the horizontal axis is that of a slider above.

    Parameters
    ----------
    place : callable
        Gives the x of a knob, in pixels of this widget; None where it is beyond the slider.
    """

    def __init__(self, place: Callable[[float], float | None], parent: QWidget | None = None):
        super().__init__(parent)
        self._place = place
        self._curve: RiskCurve | None = None
        self._knob: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(translate("Speckless", "Estimated risk over the knob"))
        self.setToolTip(
            translate(
                "Speckless",
                "Squared error over squared brightness, as estimated without knowing the clean "
                "image, on windows all over the scene. Band: one standard error of the "
                "difference from the least. Solid line: this knob; dashed: the true L; dot: the "
                "least risk.",
            )
        )

    def sizeHint(self) -> QSize:
        """Low enough for a narrow panel."""
        return QSize(150, _HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Any width will do."""
        return QSize(50, _HEIGHT)

    @property
    def curve(self) -> RiskCurve | None:
        """What is drawn."""
        return self._curve

    def set_curve(self, curve: RiskCurve | None) -> None:
        """Draw another curve."""
        self._curve = curve
        self.update()

    def set_knob(self, knob: float | None) -> None:
        """Mark another knob."""
        self._knob = knob
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw band, curve and marks in the colours of the theme."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Mid), 1))
        painter.setBrush(palette.color(QPalette.ColorRole.Base))
        painter.drawRect(frame)
        curve = self._curve
        if curve is None:
            return
        painter.setClipRect(frame)
        self._draw_marks(painter, frame, curve)
        self._draw_curve(painter, frame, curve)
        painter.end()

    def _draw_marks(self, painter: QPainter, frame: QRectF, curve: RiskCurve) -> None:
        # Dark themes of QGIS colour text by style sheets, which the palette does not tell.
        is_dark = self.palette().color(QPalette.ColorRole.Base).lightness() < 128
        text = QColor("#dddddd" if is_dark else "#222222")
        for knob, style in (
            (curve.looks, Qt.PenStyle.DashLine),
            (self._knob, Qt.PenStyle.SolidLine),
        ):
            x = None if knob is None else self._place(knob)
            if x is not None:
                painter.setPen(QPen(text, 1.2, style))
                painter.drawLine(QPointF(x, frame.top()), QPointF(x, frame.bottom()))

    def _draw_curve(self, painter: QPainter, frame: QRectF, curve: RiskCurve) -> None:
        low, high = curve.bounds
        inner = frame.adjusted(0, 6, 0, -8)

        def y(value: float) -> float:
            # What is far beyond the frame is cut off; Qt draws no infinite lines.
            part = min(max((value - low) / (high - low), -1.0), 5.0)
            return inner.bottom() - part * inner.height()

        places = [(self._place(point.knob), point) for point in curve.points]
        shown = [(x, point) for x, point in places if x is not None]
        if not shown:
            return
        colour = QColor(self.palette().color(QPalette.ColorRole.Highlight))
        style = Qt.PenStyle.DotLine if curve.caution else Qt.PenStyle.SolidLine
        band = QColor(colour)
        band.setAlpha(40 if curve.caution else 80)
        outline = [QPointF(x, y(point.high)) for x, point in shown]
        outline += [QPointF(x, y(point.low)) for x, point in reversed(shown)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(band)
        painter.drawPolygon(QPolygonF(outline))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.8, style))
        painter.drawPolyline(QPolygonF([QPointF(x, y(point.risk)) for x, point in shown]))
        best = self._place(curve.best)
        if best is not None and math.isfinite(curve.least):
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Base), 1))
            painter.setBrush(colour)
            painter.drawEllipse(QPointF(best, y(curve.least)), _DOT, _DOT)

"""Which colours of a view stand for which values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qgis.PyQt.QtCore import QRectF, QSize, Qt
from qgis.PyQt.QtGui import QFont, QImage, QPainter, QPaintEvent, QPalette, QTextOption
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..core.display import Colours
from .numbers import number
from .widgets import ink

_BAR = 8


class Legend(QWidget):
    """A bar of colours with the values at its ends and in its middle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._texts: Sequence[str] = ()
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.85)
        self.setFont(font)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    @property
    def texts(self) -> Sequence[str]:
        """What is written below the bar."""
        return self._texts

    def sizeHint(self) -> QSize:
        """A bar and a line of text."""
        return QSize(120, _BAR + 2 + self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        """Any width will do."""
        return QSize(50, self.sizeHint().height())

    def set_scale(
        self, colours: Colours | None, values: Sequence[float] = (), unit: str = ""
    ) -> None:
        """Show colours, and the values at even distances along them; None for no legend.

        Parameters
        ----------
        colours : ndarray of uint32
        values : sequence of float
            From the first colour's to the last's.
        unit : str
            Written after the last one.
        """
        self.setVisible(colours is not None)
        self._image, self._texts = None, ()
        if colours is not None:
            row = np.ascontiguousarray(colours, np.uint32)[None]
            image = QImage(row.data, row.shape[1], 1, 4 * row.shape[1], QImage.Format.Format_RGB32)
            self._image = image.copy()
            self._texts = [number(value, 2).replace("-", "\u2212") for value in values]
            self._texts[-1] += f" {unit}" if unit else ""
            self.setAccessibleName(" … ".join(self._texts))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the bar, and the values below it in the colour of the theme's text."""
        if self._image is None:
            return
        painter = QPainter(self)
        width = self.width()
        bar = QRectF(0.5, 0.5, width - 1, _BAR)
        painter.drawImage(bar, self._image, QRectF(self._image.rect()))
        painter.setPen(self.palette().color(QPalette.ColorRole.Mid))
        painter.drawRect(bar)
        painter.setPen(ink(self))
        below = QRectF(0, _BAR + 2, width, self.height() - _BAR - 2)
        last = len(self._texts) - 1
        for index, text in enumerate(self._texts):
            flag = Qt.AlignmentFlag.AlignHCenter
            if index in (0, last):
                flag = Qt.AlignmentFlag.AlignRight if index else Qt.AlignmentFlag.AlignLeft
            painter.drawText(below, text, QTextOption(flag))
        painter.end()

"""Which colours of a view stand for which values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qgis.PyQt.QtCore import QRectF, QSize, Qt
from qgis.PyQt.QtGui import QImage, QPainter, QPaintEvent, QPalette
from qgis.PyQt.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ..core.display import Colours
from .numbers import number
from .widgets import small

_BAR = 8
_SIDES = (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignRight)


class Legend(QWidget):
    """A bar of colours with the values at its ends and in its middle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = _Bar()
        self._labels = [small("") for _ in _SIDES]
        row = QHBoxLayout()
        row.setSpacing(2)
        for label, side in zip(self._labels, _SIDES):
            label.setAlignment(side)
            label.setMinimumWidth(10)
            row.addWidget(label, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addWidget(self._bar)
        box.addLayout(row)
        self.hide()

    @property
    def texts(self) -> list[str]:
        """What is written below the bar."""
        return [label.text() for label in self._labels]

    def set_scale(
        self,
        colours: Colours | None,
        values: tuple[float, float, float] = (0, 0, 0),
        unit: str = "",
    ) -> None:
        """Show colours and values; None for no legend.

        Parameters
        ----------
        colours : ndarray of uint32
        values : tuple of float
            Of the first colour, of that in the middle, of the last.
        unit : str
            Written after the last one.
        """
        self.setVisible(colours is not None)
        self._bar.set_colours(colours)
        texts = ["", "", ""]
        if colours is not None:
            texts = [number(value, 2).replace("-", "\u2212") for value in values]
            texts[-1] += f" {unit}" if unit else ""
        for label, text in zip(self._labels, texts):
            label.setText(text)
        self.setAccessibleName(" … ".join(texts))


class _Bar(QWidget):
    """The colours, from left to right."""

    def __init__(self) -> None:
        super().__init__()
        self._image: QImage | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_colours(self, colours: Sequence[int] | Colours | None) -> None:
        """Show others."""
        self._image = None
        if colours is not None:
            row = np.ascontiguousarray(colours, np.uint32)[None]
            image = QImage(row.data, row.shape[1], 1, 4 * row.shape[1], QImage.Format.Format_RGB32)
            self._image = image.copy()
        self.update()

    def sizeHint(self) -> QSize:
        """Low, and of any width."""
        return QSize(50, _BAR + 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw them in a frame."""
        if self._image is None:
            return
        painter = QPainter(self)
        bar = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawImage(bar, self._image, QRectF(self._image.rect()))
        painter.setPen(self.palette().color(QPalette.ColorRole.Mid))
        painter.drawRect(bar)
        painter.end()

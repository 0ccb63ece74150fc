"""The table of an area's numbers, original beside despeckled."""

from __future__ import annotations

import math

from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QLabel, QSizePolicy, QWidget

from ..core.area_statistics import AreaStatistics, SpeckleStatistics

translate = QCoreApplication.translate

_NONE = "–"


class Numbers(QFrame):
    """Shows the statistics of one area."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        # The widest text there is, so that a narrow panel cuts none.
        widest = self.fontMetrics().horizontalAdvance("78.2–83.9")
        for column in (1, 2):
            grid.setColumnMinimumWidth(column, widest)
        self._cells: dict[tuple[str, int], QLabel] = {}
        for column, title in (
            (1, translate("Speckless", "Original")),
            (2, translate("Speckless", "Despeckled")),
        ):
            head = QLabel(title)
            head.setAlignment(Qt.AlignmentFlag.AlignRight)
            grid.addWidget(head, 0, column)
        digits = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
        for row, (key, title, tip) in enumerate(_rows(), 1):
            label = QLabel(title)
            label.setToolTip(tip)
            grid.addWidget(label, row, 0)
            for column in (1, 2):
                cell = QLabel(_NONE)
                cell.setFont(digits)
                cell.setAlignment(Qt.AlignmentFlag.AlignRight)
                cell.setToolTip(tip)
                cell.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                cell.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
                grid.addWidget(cell, row, column)
                self._cells[key, column] = cell

    def show_statistics(self, statistics: AreaStatistics | None) -> None:
        """Fill the table; None empties it."""
        self._fill(1, None if statistics is None else statistics.original)
        self._fill(2, None if statistics is None else statistics.despeckled)
        ratio = None if statistics is None else statistics.mean_ratio
        gain = None if statistics is None else statistics.enl_gain
        self._cells["ratio", 1].setText("")
        self._cells["gain", 1].setText("")
        self._cells["gain", 2].setText(_NONE if gain is None else f"× {number(gain, 3)}")
        self._cells["ratio", 2].setText(number(ratio, 4))

    def text(self, key: str, column: int) -> str:
        """What a cell says; column 1 is the original, 2 the despeckled."""
        return self._cells[key, column].text()

    def _fill(self, column: int, image: SpeckleStatistics | None) -> None:
        values = {"n": _NONE, "mean": _NONE, "std": _NONE, "cx": _NONE, "enl": _NONE}
        interval, along, across = _NONE, _NONE, _NONE
        if image is not None:
            values = {
                "n": f"{image.n_pixels:,}".replace(",", "\u202f"),
                "mean": number(image.mean, 4),
                "std": number(image.std, 3),
                "cx": number(image.cx, 3),
                "enl": number(image.enl, 3),
            }
            if image.enl_low is not None and image.enl_high is not None:
                interval = f"{number(image.enl_low, 3)}–{number(image.enl_high, 3)}"
            along, across = _correlation(image.correlation_x), _correlation(image.correlation_y)
        for key, text in {
            **values,
            "range": interval,
            "correlation_x": along,
            "correlation_y": across,
        }.items():
            self._cells[key, column].setText(text)


def _rows() -> tuple[tuple[str, str, str], ...]:
    """Key, title and tip of each row."""
    independent = translate("Speckless", "Near 0 where speckle is independent from pixel to pixel.")
    return (
        ("n", translate("Speckless", "Pixels"), translate("Speckless", "Valid pixels")),
        (
            "mean",
            translate("Speckless", "Mean"),
            translate("Speckless", "Mean of the linear intensity"),
        ),
        (
            "std",
            translate("Speckless", "Std. dev."),
            translate("Speckless", "Standard deviation of the linear intensity"),
        ),
        (
            "cx",
            "Cx",
            translate("Speckless", "Coefficient of variation: standard deviation over mean"),
        ),
        (
            "enl",
            "ENL",
            translate("Speckless", "Equivalent number of looks, 1/Cx²"),
        ),
        (
            "range",
            translate("Speckless", "95 %"),
            translate("Speckless", "Range the true ENL lies in with 95 % confidence"),
        ),
        (
            "correlation_x",
            translate("Speckless", "Corr. →"),
            translate("Speckless", "Correlation of neighbours in a row (lag 1).")
            + " "
            + independent,
        ),
        (
            "correlation_y",
            translate("Speckless", "Corr. ↓"),
            translate("Speckless", "Correlation of neighbours in a column (lag 1).")
            + " "
            + independent,
        ),
        (
            "gain",
            translate("Speckless", "Gain"),
            translate("Speckless", "ENL after despeckling over ENL before"),
        ),
        (
            "ratio",
            translate("Speckless", "Ratio"),
            translate(
                "Speckless",
                "Mean of input over estimate: 1 where the mean is kept",
            ),
        ),
    )


def _correlation(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def number(value: float | None, digits: int) -> str:
    """A number to some significant digits; a dash for none."""
    if value is None or not math.isfinite(value):
        return _NONE
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    places = 0 if not value else max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{places}f}"

"""The preview's switches and the knob between smooth and sharp."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QAction,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QSlider,
    QWidget,
)

from .widgets import Section, caption, note, theme_icon, tool_button

translate = QCoreApplication.translate

# The slider goes in sixteenths of an octave, four octaves either way.
OCTAVES = 4
_STEPS = 16


class KnobSection(Section):
    """Preview on or off, split, view, and L to despeckle for."""

    preview_toggled = pyqtSignal(bool)
    split_toggled = pyqtSignal(bool)
    view_changed = pyqtSignal(str)
    turn_changed = pyqtSignal(float)  # knob over looks

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("knob", translate("Speckless", "Preview and knob"), parent)
        self._looks: float | None = None
        self._add_switches()
        self._add_knob()
        self.progress = QProgressBar()
        self.progress.setMaximumHeight(5)
        self.progress.setTextVisible(False)
        self.progress.setRange(0, 1000)
        policy = self.progress.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress.setSizePolicy(policy)
        self.progress.hide()
        self.status = note()
        self.box.addWidget(self.progress)
        self.box.addWidget(self.status)

    def _add_switches(self) -> None:
        self.preview = QAction(
            theme_icon("mActionShowAllLayers"), translate("Speckless", "&Preview"), self
        )
        self.preview.setCheckable(True)
        self.preview.setShortcut(QKeySequence("F8"))
        self.preview.setToolTip(
            translate("Speckless", "Despeckle what the map shows, in the background") + " (F8)"
        )
        self.split = QAction(
            theme_icon("mActionSplitFeatures"), translate("Speckless", "&Split"), self
        )
        self.split.setCheckable(True)
        self.split.setShortcut(QKeySequence("Shift+F8"))
        self.split.setToolTip(
            translate("Speckless", "Original on the left of a line you can drag, preview right")
            + " (Shift+F8)"
        )
        self.views = QComboBox()
        for key, title, tip in (
            ("despeckled", translate("Speckless", "Despeckled"), ""),
            (
                "ratio",
                translate("Speckless", "Ratio"),
                translate("Speckless", "Input over estimate: should show nothing but speckle"),
            ),
            (
                "difference",
                translate("Speckless", "Difference"),
                translate("Speckless", "Input less estimate, in the layer's own unit"),
            ),
            (
                "a",
                translate("Speckless", "Slope a"),
                translate("Speckless", "Estimate = a·input + b: near 0 smoothed, near 1 kept"),
            ),
            ("b", translate("Speckless", "Bias b"), ""),
        ):
            self.views.addItem(title, key)
            self.views.setItemData(self.views.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.views.setToolTip(translate("Speckless", "What the preview shows"))
        self.views.setAccessibleName(translate("Speckless", "View"))
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(tool_button(self.preview, text_beside=True))
        row.addWidget(tool_button(self.split, text_beside=True))
        row.addStretch(1)
        self.box.addLayout(row)
        self.views.setMinimumContentsLength(6)
        self.views.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.views.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        grid = self.add_form()
        grid.addWidget(caption(translate("Speckless", "&View"), self.views), 0, 0)
        grid.addWidget(self.views, 0, 1)
        self.preview.toggled.connect(self.preview_toggled)
        self.split.toggled.connect(self.split_toggled)
        self.views.currentIndexChanged.connect(self._on_view)

    def _add_knob(self) -> None:
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(-OCTAVES * _STEPS, OCTAVES * _STEPS)
        self.slider.setPageStep(_STEPS // 2)
        self.slider.setTickInterval(_STEPS)
        self.slider.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.slider.setMinimumWidth(50)
        tip = translate(
            "Speckless",
            "Number of looks the result is made for: left of the true L smoother, right of it "
            "sharper. Arrow keys turn it by a sixteenth of an octave, Page keys by half of one.",
        )
        self.slider.setToolTip(tip)
        self.slider.setAccessibleName(translate("Speckless", "Knob"))
        self.value = QDoubleSpinBox()
        self.value.setRange(0.01, 9999.0)
        self.value.setDecimals(2)
        self.value.setKeyboardTracking(False)
        self.value.setToolTip(tip)
        self.reset = QAction(theme_icon("mActionUndo"), translate("Speckless", "True L"), self)
        self.reset.setToolTip(
            translate("Speckless", "Back to the true number of looks: the least error on average")
        )
        grid = self.add_form()
        grid.setHorizontalSpacing(4)
        grid.addWidget(caption(translate("Speckless", "&Knob"), self.slider), 0, 0)
        grid.addWidget(self.slider, 0, 1)
        grid.addWidget(self.value, 0, 2)
        grid.addWidget(tool_button(self.reset), 0, 3)
        ends = QHBoxLayout()
        smooth = QLabel(translate("Speckless", "smoother"))
        sharp = QLabel(translate("Speckless", "sharper"))
        for end in (smooth, sharp):
            font = end.font()
            font.setPointSizeF(font.pointSizeF() * 0.85)
            end.setFont(font)
        ends.addWidget(smooth)
        ends.addStretch(1)
        ends.addWidget(sharp)
        grid.addLayout(ends, 1, 1)
        self.slider.valueChanged.connect(self._on_slider)
        self.value.valueChanged.connect(self._on_value)
        self.reset.triggered.connect(self._on_reset)

    @property
    def turn(self) -> float:
        """Knob over looks."""
        if self._looks is None:
            return 1.0
        turn = self.value.value() / self._looks
        # What the spin box rounds away is no turn.
        return 1.0 if abs(self.value.value() - self._looks) <= 0.0051 else turn

    def set_looks(self, looks: float | None, turn: float) -> None:
        """Take over the true L, and the knob in relation to it, without telling of it."""
        self._looks = looks
        for widget in (self.slider, self.value):
            widget.setEnabled(looks is not None)
        if looks is not None:
            self._set_value(looks * turn)
            self._set_slider(turn)

    def set_views(self, views: Sequence[str]) -> None:
        """Enable the views that there are."""
        for index in range(self.views.count()):
            self.views.model().item(index).setEnabled(self.views.itemData(index) in views)
        if self.views.currentData() not in views:
            self.views.setCurrentIndex(0)

    def show_progress(self, part: float) -> None:
        """Show the part of the preview that is done."""
        self.progress.setVisible(part < 1)
        self.progress.setValue(round(1000 * part))

    def _on_view(self) -> None:
        self.view_changed.emit(self.views.currentData())

    def _on_slider(self, position: int) -> None:
        if self._looks is not None:
            self._set_value(self._looks * 2 ** (position / _STEPS))
            self.turn_changed.emit(2 ** (position / _STEPS))

    def _on_value(self) -> None:
        if self._looks is not None:
            self._set_slider(self.turn)
            self.turn_changed.emit(self.turn)

    def _on_reset(self) -> None:
        self.set_looks(self._looks, 1.0)
        self.turn_changed.emit(1.0)

    def _set_value(self, value: float) -> None:
        self.value.blockSignals(True)
        self.value.setValue(value)
        self.value.setSingleStep(max(0.01, round(value / 20, 2)))
        self.value.blockSignals(False)

    def _set_slider(self, turn: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(_STEPS * math.log2(turn)))
        self.slider.blockSignals(False)

"""The preview's switches and the knob between smooth and sharp."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qgis.PyQt.QtCore import QCoreApplication, QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QAction,
    QDoubleSpinBox,
    QHBoxLayout,
    QProgressBar,
    QSlider,
    QStyle,
    QStyleOptionSlider,
    QWidget,
)

from ..jobs.knob_search import RiskCurve
from .legend import Legend
from .risk_plot import RiskPlot
from .widgets import Section, button_row, caption, combo, note, small, theme_icon

translate = QCoreApplication.translate

# The slider goes in sixteenths of an octave, four octaves either way.
OCTAVES = 4
_STEPS = 16


class KnobSection(Section):
    """Preview on or off, split, view, and L to despeckle for."""

    preview_toggled = pyqtSignal(bool)
    split_toggled = pyqtSignal(bool)
    original_toggled = pyqtSignal(bool)
    view_changed = pyqtSignal(str)
    turn_changed = pyqtSignal(float)  # knob over looks
    auto_asked = pyqtSignal()
    area_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("knob", translate("Speckless", "Preview and knob"), parent)
        self._looks: float | None = None
        self._has_knob = True
        self._add_switches()
        self._add_views()
        self._add_knob()
        self._add_buttons()
        for widget in (self.slider, self.value, self.views):
            widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            widget.installEventFilter(self)
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

    @property
    def shortcuts(self) -> tuple[QAction, ...]:
        """Actions whose keys work wherever the focus is."""
        return self.preview, self.split, self.original

    def _add_switches(self) -> None:
        self.preview = self._switch(
            "mActionShowAllLayers",
            translate("Speckless", "&Preview"),
            "F8",
            translate("Speckless", "Despeckle what the map shows, in the background"),
        )
        self.split = self._switch(
            "mActionSplitFeatures",
            translate("Speckless", "&Split"),
            "Shift+F8",
            translate("Speckless", "Original on the left of a line you can drag, preview right"),
        )
        self.original = self._switch(
            "mActionHideAllLayers",
            translate("Speckless", "Ori&ginal"),
            "Ctrl+F8",
            translate("Speckless", "Original in place of the preview, to compare to and fro"),
        )
        self.original.setEnabled(False)
        self.box.addLayout(button_row(self.shortcuts))
        self.preview.toggled.connect(self._on_preview)
        self.split.toggled.connect(self.split_toggled)
        self.original.toggled.connect(self.original_toggled)

    def _add_views(self) -> None:
        self.views = combo(
            (
                (
                    "despeckled",
                    translate("Speckless", "Despeckled"),
                    translate("Speckless", "In the layer's own style"),
                ),
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
                (
                    "b",
                    translate("Speckless", "Bias b"),
                    translate("Speckless", "What the surroundings add, in the layer's own style"),
                ),
            )
        )
        self.views.setToolTip(translate("Speckless", "What the preview shows"))
        self.views.setAccessibleName(translate("Speckless", "View"))
        self.legend = Legend()
        grid = self.add_form()
        grid.addWidget(caption(translate("Speckless", "&View"), self.views), 0, 0)
        grid.addWidget(self.views, 0, 1)
        grid.addWidget(self.legend, 1, 1)
        self.views.currentIndexChanged.connect(self._on_view)

    def _switch(self, icon: str, title: str, keys: str, tip: str) -> QAction:
        action = QAction(theme_icon(icon), title, self)
        action.setCheckable(True)
        action.setShortcut(QKeySequence(keys))
        action.setToolTip(f"{tip} ({keys})")
        return action

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
        self.value.setPrefix("L = ")
        self.value.setKeyboardTracking(False)
        self.value.setToolTip(tip)
        self.value.setAccessibleName(translate("Speckless", "Knob as number of looks"))
        self.readiness = small("")
        self.plot = RiskPlot(self.place_of)
        self.plot.hide()
        self.risk_note = note()
        row = QHBoxLayout()
        row.addWidget(caption(translate("Speckless", "&Knob"), self.slider))
        row.addWidget(self.value)
        row.addWidget(self.readiness, 1, Qt.AlignmentFlag.AlignRight)
        ends = QHBoxLayout()
        ends.addWidget(small(translate("Speckless", "smoother")))
        ends.addStretch(1)
        ends.addWidget(small(translate("Speckless", "sharper")))
        self.box.addLayout(row)
        self.box.addWidget(self.slider)
        self.box.addWidget(self.plot)
        self.box.addLayout(ends)
        self.box.addWidget(self.risk_note)
        self.slider.valueChanged.connect(self._on_slider)
        self.value.valueChanged.connect(self._on_value)

    def _add_buttons(self) -> None:
        self.auto = QAction(
            theme_icon("processingAlgorithm"), translate("Speckless", "A&uto"), self
        )
        self.from_area = QAction(
            theme_icon("mActionAddPolygon"), translate("Speckless", "From area"), self
        )
        self.from_area.setToolTip(
            translate("Speckless", "The ENL of the homogeneous area that is selected")
        )
        self.reset = QAction(theme_icon("mActionUndo"), translate("Speckless", "True L"), self)
        self.reset.setToolTip(
            translate("Speckless", "Back to the true number of looks: the least error on average")
        )
        self.box.addLayout(button_row((self.auto, self.from_area, self.reset)))
        self.auto.triggered.connect(self.auto_asked)
        self.from_area.triggered.connect(self.area_asked)
        self.reset.triggered.connect(self._on_reset)
        self.set_auto(translate("Speckless", "Choose a raster first."))

    # ---- what is shown ----------------------------------------------------------------------

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
        self._enable()
        if looks is not None:
            self._set_value(looks * turn)
            self._set_slider(turn)
            self.plot.set_knob(looks * turn)

    def set_knob(self, knob: float) -> None:
        """Turn the knob to an L, and tell of it."""
        if self._looks is not None and self._has_knob:
            self._set_value(knob)
            self._set_slider(knob / self._looks)
            self._tell(knob / self._looks)

    def set_reach(self, octaves: int) -> None:
        """How far the slider goes to either side; 0 where the model has no knob."""
        self._has_knob = octaves > 0
        self.slider.blockSignals(True)
        steps = max(octaves, 1) * _STEPS
        self.slider.setRange(-steps, steps)
        self.slider.blockSignals(False)
        if self._looks is not None:
            self._set_slider(self.turn)
        self._enable()

    def set_views(self, views: Sequence[str]) -> None:
        """Enable the views that there are."""
        for index in range(self.views.count()):
            self.views.model().item(index).setEnabled(self.views.itemData(index) in views)
        if self.views.currentData() not in views:
            self.views.setCurrentIndex(0)

    def set_auto(self, why_not: str) -> None:
        """Offer the knob of least risk, or say why there is none."""
        self.auto.setEnabled(not why_not)
        what = translate(
            "Speckless", "The knob of least estimated risk over the scene, as KNOB_AUTO of a run"
        )
        self.auto.setToolTip(why_not or what)

    def show_curve(self, curve: RiskCurve | None) -> None:
        """Draw the risk below the slider; None takes the plot away."""
        self.plot.set_curve(curve)
        self.plot.setVisible(curve is not None)

    def show_risk_note(self, text: str, tip: str = "") -> None:
        """Say what there is to say of the risk."""
        self.risk_note.setText(text)
        self.risk_note.setToolTip(tip)
        self.risk_note.setVisible(bool(text))

    def show_readiness(self, text: str, tip: str = "") -> None:
        """Say whether the knob turns at once."""
        self.readiness.setText(text)
        self.readiness.setToolTip(tip)

    def show_progress(self, part: float) -> None:
        """Show the part of the preview that is done."""
        self.progress.setVisible(part < 1)
        self.progress.setValue(round(1000 * part))

    def place_of(self, knob: float) -> float | None:
        """Where the slider's handle is at a knob, in pixels; None beyond its ends."""
        if self._looks is None:
            return None
        steps = _STEPS * math.log2(knob / self._looks)
        low, high = self.slider.minimum(), self.slider.maximum()
        if not low - 0.5 <= steps <= high + 0.5:
            return None
        option = QStyleOptionSlider()
        self.slider.initStyleOption(option)
        metric = QStyle.PixelMetric.PM_SliderLength
        handle = self.slider.style().pixelMetric(metric, option, self.slider)
        part = (steps - low) / (high - low)
        return handle / 2 + part * (self.slider.width() - handle)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the wheel scroll the panel, and turn only what has the focus."""
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False

    # ---- signals ----------------------------------------------------------------------------

    def _on_preview(self, active: bool) -> None:
        self.original.setEnabled(active)
        if not active:
            self.original.setChecked(False)
        self.preview_toggled.emit(active)

    def _on_view(self) -> None:
        self.view_changed.emit(self.views.currentData())

    def _on_slider(self, position: int) -> None:
        if self._looks is not None:
            self._set_value(self._looks * 2 ** (position / _STEPS))
            self._tell(2 ** (position / _STEPS))

    def _on_value(self) -> None:
        if self._looks is not None:
            self._set_slider(self.turn)
            self._tell(self.turn)

    def _on_reset(self) -> None:
        self.set_looks(self._looks, 1.0)
        self._tell(1.0)

    def _tell(self, turn: float) -> None:
        if self._looks is not None:
            self.plot.set_knob(self._looks * turn)
            self.turn_changed.emit(turn)

    def _enable(self) -> None:
        usable = self._looks is not None and self._has_knob
        for widget in (self.slider, self.value, self.from_area, self.reset):
            widget.setEnabled(usable)

    def _set_value(self, value: float) -> None:
        self.value.blockSignals(True)
        self.value.setValue(value)
        self.value.setSingleStep(max(0.01, round(value / 20, 2)))
        self.value.blockSignals(False)

    def _set_slider(self, turn: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(_STEPS * math.log2(turn)))
        self.slider.blockSignals(False)

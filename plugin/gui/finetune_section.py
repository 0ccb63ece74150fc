"""Fine-tuning at the knob: where from, how far it got, and what to do with the result."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QAction,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from ..toolbelt.settings import GROUP
from .course_chart import CourseChart, Point
from .widgets import RunningRow, Section, caption, combo, note, theme_icon, tool_button

translate = QCoreApplication.translate

VISIBLE, AREAS = "visible", "areas"


class FineTuneSection(Section):
    """What is seen of the fine-tuning."""

    start_asked = pyqtSignal()
    stop_asked = pyqtSignal()
    tuned_toggled = pyqtSignal(bool)
    keep_asked = pyqtSignal(str)  # name
    drop_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("finetune", translate("Speckless", "Fine-tuning"), parent)
        self._problem, self._quiet = "", False
        self._add_choices()
        self.start = QPushButton(theme_icon("mActionStart"), "")
        self.box.addWidget(self.start)
        self.reason = note()
        self.box.addWidget(self.reason)
        self._running = RunningRow(
            translate("Speckless", "Ca&ncel"),
            translate("Speckless", "Stop; the same tuning goes on from there the next time"),
        )
        self.progress, self.stop = self._running.progress, self._running.stop
        self.box.addWidget(self._running)
        self.chart = CourseChart()
        self.box.addWidget(self.chart)
        self.outcome = note()
        self.box.addWidget(self.outcome)
        self._add_trial()
        self.start.clicked.connect(self.start_asked)
        self.stop.clicked.connect(self.stop_asked)
        self.set_knob(None)
        self.set_running(False)
        self.set_points((), 1)
        self.set_trial("")
        self.say("")
        self.set_problem(translate("Speckless", "Choose a raster first."))

    def _add_choices(self) -> None:
        settings = QgsSettings()
        self.sources = combo(
            (
                (VISIBLE, translate("Speckless", "Visible part of the layer"), ""),
                (AREAS, translate("Speckless", "Areas drawn"), ""),
            )
        )
        self.sources.setToolTip(
            translate(
                "Speckless",
                "Pixels the network learns from, without a clean image: those that matter to you",
            )
        )
        self.depths = combo(
            (
                (
                    "full",
                    translate("Speckless", "Whole network"),
                    translate("Speckless", "As in the paper; slow without a GPU"),
                ),
                (
                    "head",
                    translate("Speckless", "Last layers"),
                    translate("Speckless", "Only what makes a and b of the features: fast"),
                ),
                (
                    "scale",
                    translate("Speckless", "Scale of features"),
                    translate("Speckless", "Fewest parameters: fast, and hard to spoil"),
                ),
            )
        )
        self.depths.setToolTip(translate("Speckless", "How much of the network is tuned"))
        grid = self.add_form()
        for row, (text, box, key) in enumerate(
            (
                (translate("Speckless", "&Learn from"), self.sources, "tune_on"),
                (translate("Speckless", "&Tune"), self.depths, "tune_depth"),
            )
        ):
            grid.addWidget(caption(text, box), row, 0)
            grid.addWidget(box, row, 1)
            stored = box.findData(settings.value(f"{GROUP}/dock/{key}", "", type=str))
            box.setCurrentIndex(max(stored, 0))
            box.activated.connect(
                lambda _, box=box, key=key: QgsSettings().setValue(
                    f"{GROUP}/dock/{key}", box.currentData()
                )
            )

    def _add_trial(self) -> None:
        self.tuned = QAction(
            theme_icon("mActionShowSelectedLayers"), translate("Speckless", "Tuned"), self
        )
        self.tuned.setCheckable(True)
        self.tuned.setShortcut(QKeySequence("Ctrl+F8"))
        self.tuned.setToolTip(
            translate("Speckless", "Preview and run with the tuned network, or with that before it")
            + " (Ctrl+F8)"
        )
        self.tuned.toggled.connect(self._on_tuned)
        self.name = QLineEdit()
        self.name.setPlaceholderText(translate("Speckless", "Name in the list of networks"))
        self.name.setToolTip(self.name.placeholderText())
        self.keep = QPushButton(theme_icon("mActionFileSave"), translate("Speckless", "&Keep"))
        self.keep.setToolTip(
            translate("Speckless", "Put the tuned network into the list, under this name")
        )
        self.drop = QPushButton(
            theme_icon("mActionDeleteSelected"), translate("Speckless", "D&rop")
        )
        self.drop.setToolTip(translate("Speckless", "Forget the tuned network"))
        self._trial = QWidget()
        grid = QGridLayout(self._trial)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(caption(translate("Speckless", "Na&me"), self.name), 0, 0)
        grid.addWidget(self.name, 0, 1)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(tool_button(self.tuned, text_beside=True))
        row.addStretch(1)
        row.addWidget(self.keep)
        row.addWidget(self.drop)
        grid.addLayout(row, 1, 0, 1, 2)
        self.box.addWidget(self._trial)
        self.name.textChanged.connect(self._on_name)
        self.name.returnPressed.connect(self._on_keep)
        self.keep.clicked.connect(self._on_keep)
        self.drop.clicked.connect(self.drop_asked)

    # ---- from outside -----------------------------------------------------------------------

    @property
    def source(self) -> str:
        """What to learn from: `VISIBLE` or `AREAS`."""
        return self.sources.currentData()

    @property
    def depth(self) -> str:
        """One of `core.tuning.DEPTHS`."""
        return self.depths.currentData()

    @property
    def is_running(self) -> bool:
        """Whether a tuning is shown."""
        return self._running.is_running

    def set_knob(self, knob: float | None) -> None:
        """Say at which L it would tune."""
        self.start.setText(
            translate("Speckless", "&Fine-tune at this L")
            if knob is None
            else translate("Speckless", "&Fine-tune at L = {knob:.3g}").format(knob=knob)
        )

    def set_problem(self, problem: str) -> None:
        """Say why it cannot begin; "" where it can."""
        self._problem = problem
        self.reason.setText(problem)
        self.reason.setVisible(bool(problem))
        self.start.setToolTip(
            problem
            or translate(
                "Speckless",
                "Adapt the network to this image at the knob's L, as a task in the background; "
                "then compare",
            )
        )
        self._enable()

    def set_running(self, running: bool) -> None:
        """Show progress and the button to stop, or take them away."""
        self._running.set_running(running)
        self._enable()

    def show_progress(self, percent: float) -> None:
        """Show how much is done."""
        self._running.show_progress(percent)

    def set_points(self, points: Sequence[Point], epochs: int) -> None:
        """Draw the course of the risk; nothing of it where there are no points."""
        self.chart.setVisible(bool(points))
        self.chart.set_points(points, epochs)

    def say(self, text: str) -> None:
        """Show words below the chart."""
        self.outcome.setText(text)
        self.outcome.setVisible(bool(text))

    def set_trial(self, name: str) -> None:
        """Offer to compare, keep or drop a tuned network of this name; "" for none."""
        self._trial.setVisible(bool(name))
        self.tuned.setEnabled(bool(name))
        if not name:
            self.show_tuned(False)
        self.name.setText(name)

    def show_tuned(self, on: bool) -> None:
        """Check the switch without telling of it."""
        # Not by blocking signals: the button needs them to follow its action.
        self._quiet = True
        self.tuned.setChecked(on)
        self._quiet = False

    # ---- inside -------------------------------------------------------------------------------

    def _enable(self) -> None:
        self.start.setEnabled(not self._problem and not self.is_running)
        for box in (self.sources, self.depths):
            box.setEnabled(not self.is_running)

    def _on_tuned(self, on: bool) -> None:
        if not self._quiet:
            self.tuned_toggled.emit(on)

    def _on_name(self, text: str) -> None:
        self.keep.setEnabled(bool(text.strip()))

    def _on_keep(self) -> None:
        if self.keep.isEnabled():
            self.keep_asked.emit(self.name.text())

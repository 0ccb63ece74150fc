"""The section of the areas: tools, list, and the numbers of the one drawn or chosen."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qgis.core import QgsFeature
from qgis.gui import QgsColorDialog
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QToolButton, QWidget

from ..core.area_statistics import AreaStatistics
from .area_layer import colour_of
from .area_list import AreaList
from .area_tools import AreaTools
from .histogram import HistogramView
from .numbers import Numbers
from .widgets import Section, note

translate = QCoreApplication.translate

ORIGINAL, DESPECKLED = 0, 1


class AreasSection(Section):
    """What is seen of the areas."""

    selected = pyqtSignal(object)  # feature id or None
    zoom_asked = pyqtSignal(int)
    delete_asked = pyqtSignal(object)  # list of ids
    lock_asked = pyqtSignal(object, bool)  # list of ids
    colour_asked = pyqtSignal(object, str)  # list of ids, #rrggbb
    looks_taken = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("areas", translate("Speckless", "Homogeneous areas"), parent)
        self._statistics: dict[int, tuple[AreaStatistics | None, str]] = {}
        self._features: dict[int, QgsFeature] = {}
        self._locked: set[int] = set()
        self._editing = False
        self._is_live = False
        self._shown: AreaStatistics | None = None
        self.tools = AreaTools()
        self.box.addWidget(self.tools)
        self.list = AreaList()
        self.list.selected.connect(self._on_selection)
        self.list.itemDoubleClicked.connect(self._on_zoom)
        self.box.addWidget(self.list)
        self._connect_tools()
        self.message = note()
        self.message.hide()
        self.box.addWidget(self.message)
        self.numbers = Numbers()
        self.box.addWidget(self.numbers)
        self._add_histogram()
        self._add_use()
        self._enable()
        self._show(None, "")

    @property
    def delete(self) -> object:
        """The action that deletes the areas chosen."""
        return self.tools.delete

    @property
    def actions_by_shape(self) -> dict[str, object]:
        """The actions of the tools."""
        return self.tools.by_tool

    def _connect_tools(self) -> None:
        tools = self.tools
        actions = [tools.zoom, tools.rename, tools.colour, tools.lock, tools.delete]
        self.list.addActions(actions)
        tools.zoom.triggered.connect(self._on_zoom)
        tools.rename.triggered.connect(self.list.rename_current)
        tools.colour.triggered.connect(self._on_colour)
        tools.lock.triggered.connect(self._on_lock)
        tools.delete.triggered.connect(self._on_delete)

    def _add_histogram(self) -> None:
        self.histogram = HistogramView()
        self.box.addWidget(self.histogram)
        self.which = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(2)
        for key, title in (
            (ORIGINAL, translate("Speckless", "Original")),
            (DESPECKLED, translate("Speckless", "Despeckled")),
        ):
            button = QToolButton()
            button.setText(title)
            button.setCheckable(True)
            button.setAutoRaise(True)
            button.setChecked(key == ORIGINAL)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setToolTip(translate("Speckless", "Which image the histogram is of"))
            self.which.addButton(button, key)
            row.addWidget(button)
        row.addStretch(1)
        self.box.addLayout(row)
        self.which.buttonClicked.connect(lambda *_: self._show_histogram())

    def _add_use(self) -> None:
        self.remark = note()
        self.use = QPushButton(translate("Speckless", "&Use ENL as looks"))
        self.use.setToolTip(
            translate("Speckless", "Take this area's ENL for the number of looks of the speckle")
        )
        self.use.setEnabled(False)
        self.use.clicked.connect(self._on_use)
        row = QHBoxLayout()
        row.addWidget(self.remark, 1)
        row.addWidget(self.use, 0, Qt.AlignmentFlag.AlignBottom)
        self.box.addLayout(row)

    # ---- from outside -----------------------------------------------------------------------

    def set_features(
        self,
        features: Sequence[QgsFeature],
        selected: int | None,
        locked: Collection[int] = (),
        editing: bool = False,
    ) -> None:
        """List these areas; numbers come by `show_measured`."""
        self._features = {feature.id(): feature for feature in features}
        self._locked, self._editing = set(locked), editing
        self.list.set_features(features, selected, locked)
        known = self._statistics.items()
        self._statistics = {key: value for key, value in known if key in self._features}
        for identifier, (statistics, _) in self._statistics.items():
            self.list.show_numbers(identifier, statistics)
        self._enable()
        if not self._is_live:
            self._show_current()

    def show_measured(
        self, identifier: int, statistics: AreaStatistics | None, problem: str
    ) -> None:
        """Take in the numbers of a listed area."""
        self._statistics[identifier] = (statistics, problem)
        self.list.show_numbers(identifier, statistics)
        if not self._is_live and identifier == self.list.current():
            self._show(statistics, problem)

    def show_live(self, statistics: AreaStatistics | None, problem: str) -> None:
        """Show the numbers of the sketch; with nothing, those of the area chosen."""
        self._is_live = statistics is not None or bool(problem)
        if self._is_live:
            self.tell("")
            self._show(statistics, problem)
        else:
            self._show_current()

    def set_tool(self, shape: str) -> None:
        """Check the button of a tool; "" for none."""
        self.tools.set_tool(shape)

    def tell(self, text: str) -> None:
        """Say something beside the numbers; "" takes it away."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def current(self) -> int | None:
        """Feature id of the area chosen."""
        return self.list.current()

    # ---- inside -------------------------------------------------------------------------------

    def _show_current(self) -> None:
        chosen = self.list.current()
        self._show(*self._statistics.get(chosen, (None, "")) if chosen is not None else (None, ""))

    def _show(self, statistics: AreaStatistics | None, problem: str) -> None:
        self._shown = statistics
        self.numbers.show_statistics(statistics)
        self._show_histogram()
        text = problem
        if statistics is not None:
            text = statistics.original.too_small
            if not text and statistics.is_sampled:
                text = translate("Speckless", "Measured on a sample of {n} pixels.").format(
                    n=statistics.original.n_pixels
                )
            elif not text and statistics.despeckled is None:
                text = translate(
                    "Speckless", "With the preview at full resolution, numbers after come too."
                )
        elif not text and not self.list.topLevelItemCount():
            text = translate("Speckless", "Draw where the land is even: numbers follow the mouse.")
        self.remark.setText(text)
        self.use.setEnabled(statistics is not None and statistics.original.enl is not None)

    def _show_histogram(self) -> None:
        shown = self._shown
        after = None if shown is None else shown.despeckled
        button = self.which.button(DESPECKLED)
        button.setEnabled(after is not None)
        image = None if shown is None else shown.original
        if button.isChecked() and after is not None:
            image = after
        self.histogram.show_statistics(image)

    def _enable(self) -> None:
        chosen = self.list.chosen()
        locked = bool(chosen) and all(each in self._locked for each in chosen)
        self.tools.set_state(bool(chosen), len(chosen) == 1, locked, self._editing)

    def _on_selection(self, identifier: int | None) -> None:
        self._enable()
        self.tell("")
        self._show_current()
        self.selected.emit(identifier)

    def _on_zoom(self, *_: object) -> None:
        chosen = self.list.current()
        if chosen is not None:
            self.zoom_asked.emit(chosen)

    def _on_delete(self) -> None:
        self.delete_asked.emit(self.list.chosen())

    def _on_lock(self, locked: bool) -> None:
        self.lock_asked.emit(self.list.chosen(), locked)

    def _on_colour(self) -> None:
        chosen = self.list.chosen()
        if not chosen:
            return
        before = colour_of(self._features[chosen[0]])
        title = translate("Speckless", "Colour of the areas")
        colour = QgsColorDialog.getColor(before, self, title)
        if colour.isValid():
            self.colour_asked.emit(chosen, colour.name())

    def _on_use(self) -> None:
        if self._shown is not None and self._shown.original.enl is not None:
            self.looks_taken.emit(self._shown.original.enl)

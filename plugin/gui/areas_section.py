"""Drawing tools, the list of areas, and the numbers of the one drawn or chosen."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsFeature
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QKeySequence, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QAction,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from ..core.area_statistics import AreaStatistics
from .area_layer import colour_of, name_of
from .map_tools import FREEHAND, POLYGON, RECTANGLE
from .numbers import Numbers, number
from .widgets import Section, note, theme_icon, tool_button

translate = QCoreApplication.translate

_ROWS = 4


class AreasSection(Section):
    """What is seen of the areas."""

    draw_toggled = pyqtSignal(str)  # shape, or "" for none
    selected = pyqtSignal(object)  # feature id or None
    zoom_asked = pyqtSignal(int)
    delete_asked = pyqtSignal(object)  # list of ids
    looks_taken = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("areas", translate("Speckless", "Homogeneous areas"), parent)
        self._statistics: dict[int, tuple[AreaStatistics | None, str]] = {}
        self._is_live = False
        self._shown: AreaStatistics | None = None
        self._add_tools()
        self._add_list()
        self.numbers = Numbers()
        self.box.addWidget(self.numbers)
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
        self._show(None, "")

    def _add_tools(self) -> None:
        self.actions_by_shape: dict[str, QAction] = {}
        row = QHBoxLayout()
        row.setSpacing(2)
        end = translate(
            "Speckless", "Right click or double click closes, Esc cancels, Ctrl+Z takes back."
        )
        for shape, icon, title, tip in (
            (
                POLYGON,
                "mActionAddPolygon",
                translate("Speckless", "Draw a polygon"),
                translate("Speckless", "Draw a polygon, corner by corner.") + " " + end,
            ),
            (
                RECTANGLE,
                "mActionAddBasicRectangle",
                translate("Speckless", "Draw a rectangle"),
                translate("Speckless", "Draw a rectangle: drag it, or click two corners."),
            ),
            (
                FREEHAND,
                "mActionFreehandPolygon",
                translate("Speckless", "Draw freehand"),
                translate("Speckless", "Draw round an area with the button held down."),
            ),
        ):
            action = QAction(self._icon(icon), title, self)
            action.setCheckable(True)
            action.setToolTip(tip)
            action.setData(shape)
            action.triggered.connect(self._on_tool)
            self.actions_by_shape[shape] = action
            row.addWidget(tool_button(action))
        row.addStretch(1)
        self.zoom = QAction(
            theme_icon("mActionZoomToSelected"), translate("Speckless", "Zoom to the area"), self
        )
        self.zoom.triggered.connect(self._on_zoom)
        self.delete = QAction(
            theme_icon("mActionDeleteSelected"), translate("Speckless", "Delete the areas"), self
        )
        self.delete.setShortcut(QKeySequence(QKeySequence.StandardKey.Delete))
        self.delete.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self.delete.triggered.connect(self._on_delete)
        row.addWidget(tool_button(self.zoom))
        row.addWidget(tool_button(self.delete))
        self.box.addLayout(row)

    @staticmethod
    def _icon(name: str) -> QIcon:
        icon = theme_icon(name)
        return icon if not icon.isNull() else theme_icon("mActionCapturePolygon")

    def _add_list(self) -> None:
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setHeaderLabels(
            [
                translate("Speckless", "Area"),
                translate("Speckless", "Pixels"),
                translate("Speckless", "ENL"),
                translate("Speckless", "after"),
            ]
        )
        header = self.list.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2, 3):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            self.list.headerItem().setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
        header.setMinimumSectionSize(30)
        height = self.list.fontMetrics().height() + 6
        self.list.setFixedHeight((_ROWS + 1) * height + 6)
        self.list.setAccessibleName(translate("Speckless", "Areas"))
        self.list.addAction(self.delete)
        self.list.itemSelectionChanged.connect(self._on_selection)
        self.list.itemDoubleClicked.connect(self._on_zoom)
        self.box.addWidget(self.list)

    # ---- from outside -----------------------------------------------------------------------

    def set_features(self, features: Sequence[QgsFeature], selected: int | None) -> None:
        """List these areas; numbers come by `show_measured`."""
        self.list.blockSignals(True)
        self.list.clear()
        for feature in features:
            item = QTreeWidgetItem([name_of(feature)])
            item.setData(0, Qt.ItemDataRole.UserRole, feature.id())
            swatch = QPixmap(12, 12)
            swatch.fill(colour_of(feature))
            item.setIcon(0, QIcon(swatch))
            for column in (1, 2, 3):
                item.setTextAlignment(
                    column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                )
            self.list.addTopLevelItem(item)
            if feature.id() == selected:
                self.list.setCurrentItem(item)
            if feature.id() in self._statistics:
                self._fill(item, self._statistics[feature.id()][0])
        self.list.blockSignals(False)
        known = {feature.id() for feature in features}
        self._statistics = {k: v for k, v in self._statistics.items() if k in known}
        self._enable()
        if not self._is_live:
            self._show_current()

    def show_measured(
        self, identifier: int, statistics: AreaStatistics | None, problem: str
    ) -> None:
        """Take in the numbers of a listed area."""
        self._statistics[identifier] = (statistics, problem)
        for index in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(index)
            if item.data(0, Qt.ItemDataRole.UserRole) == identifier:
                self._fill(item, statistics)
        if not self._is_live and identifier == self.current():
            self._show(statistics, problem)

    def show_live(self, statistics: AreaStatistics | None, problem: str) -> None:
        """Show the numbers of the sketch; with nothing, those of the area chosen."""
        self._is_live = statistics is not None or bool(problem)
        if self._is_live:
            self._show(statistics, problem)
        else:
            self._show_current()

    def set_tool(self, shape: str) -> None:
        """Check the button of a tool; "" for none."""
        for key, action in self.actions_by_shape.items():
            action.setChecked(key == shape)

    def current(self) -> int | None:
        """Feature id of the area chosen."""
        item = self.list.currentItem()
        return None if item is None else item.data(0, Qt.ItemDataRole.UserRole)

    # ---- inside -------------------------------------------------------------------------------

    @staticmethod
    def _fill(item: QTreeWidgetItem, statistics: AreaStatistics | None) -> None:
        after = None if statistics is None else statistics.despeckled
        before = None if statistics is None else statistics.original
        item.setText(1, "–" if before is None else f"{before.n_pixels}")
        item.setText(2, number(None if before is None else before.enl, 3))
        item.setText(3, number(None if after is None else after.enl, 3))

    def _show_current(self) -> None:
        chosen = self.current()
        self._show(*self._statistics.get(chosen, (None, "")) if chosen is not None else (None, ""))

    def _show(self, statistics: AreaStatistics | None, problem: str) -> None:
        self._shown = statistics
        self.numbers.show_statistics(statistics)
        text = problem
        if statistics is not None:
            text = statistics.original.too_small
            if not text and statistics.is_sampled:
                text = translate("Speckless", "Measured on a sample of {n} pixels.").format(
                    n=statistics.original.n_pixels
                )
            elif not text and statistics.enl_gain is not None:
                text = translate("Speckless", "ENL × {gain} by despeckling.").format(
                    gain=number(statistics.enl_gain, 3)
                )
            elif not text and statistics.despeckled is None:
                text = translate(
                    "Speckless", "With the preview at full resolution, numbers after come too."
                )
        elif not text and not self.list.topLevelItemCount():
            text = translate("Speckless", "Draw where the land is even: numbers follow the mouse.")
        self.remark.setText(text)
        self.use.setEnabled(statistics is not None and statistics.original.enl is not None)

    def _selected_ids(self) -> list[int]:
        return [item.data(0, Qt.ItemDataRole.UserRole) for item in self.list.selectedItems()]

    def _enable(self) -> None:
        some = bool(self.list.selectedItems())
        self.zoom.setEnabled(some)
        self.delete.setEnabled(some)

    def _on_tool(self, checked: bool) -> None:
        shape = self.sender().data() if checked else ""
        self.set_tool(shape)
        self.draw_toggled.emit(shape)

    def _on_selection(self) -> None:
        self._enable()
        self._show_current()
        self.selected.emit(self.current())

    def _on_zoom(self, *_: object) -> None:
        chosen = self.current()
        if chosen is not None:
            self.zoom_asked.emit(chosen)

    def _on_delete(self) -> None:
        self.delete_asked.emit(self._selected_ids())

    def _on_use(self) -> None:
        if self._shown is not None and self._shown.original.enl is not None:
            self.looks_taken.emit(self._shown.original.enl)

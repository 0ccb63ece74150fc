"""The list of areas: names, colours, locks, and what matters most of their numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qgis.core import QgsFeature
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from ..core.area_statistics import AreaStatistics
from .area_layer import colour_of, name_of
from .numbers import number
from .widgets import theme_icon

translate = QCoreApplication.translate

_ROWS = 4
_ID = Qt.ItemDataRole.UserRole
_NAME, _PIXELS, _ENL, _AFTER = range(4)


class AreaList(QTreeWidget):
    """One row an area; F2 renames it."""

    selected = pyqtSignal(object)  # feature id or None
    renamed = pyqtSignal(int, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        # A double click zooms.
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHeaderLabels(
            [
                translate("Speckless", "Area"),
                translate("Speckless", "Pixels"),
                translate("Speckless", "ENL"),
                translate("Speckless", "after"),
            ]
        )
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column in (_PIXELS, _ENL, _AFTER):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            self.headerItem().setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
        header.setMinimumSectionSize(30)
        height = self.fontMetrics().height() + 6
        self.setFixedHeight((_ROWS + 1) * height + 6)
        self.setAccessibleName(translate("Speckless", "Areas"))
        self.setToolTip(
            translate("Speckless", "F2 renames an area, Delete deletes it, a double click zooms.")
        )
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.itemSelectionChanged.connect(lambda: self.selected.emit(self.current()))
        self.itemChanged.connect(self._on_changed)

    def set_features(
        self, features: Sequence[QgsFeature], selected: int | None, locked: Collection[int]
    ) -> None:
        """List these areas."""
        self.blockSignals(True)
        self.clear()
        for feature in features:
            item = QTreeWidgetItem([name_of(feature)])
            item.setData(_NAME, _ID, feature.id())
            item.setIcon(_NAME, self._swatch(colour_of(feature)))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            if feature.id() in locked:
                item.setIcon(_PIXELS, theme_icon("locked"))
                item.setToolTip(
                    _PIXELS, translate("Speckless", "Locked: can be neither moved nor deleted")
                )
            for column in (_PIXELS, _ENL, _AFTER):
                item.setTextAlignment(
                    column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                )
            self.addTopLevelItem(item)
            if feature.id() == selected:
                self.setCurrentItem(item)
        self.blockSignals(False)

    def show_numbers(self, identifier: int, statistics: AreaStatistics | None) -> None:
        """Fill the row of an area."""
        item = self._item(identifier)
        if item is None:
            return
        after = None if statistics is None else statistics.despeckled
        before = None if statistics is None else statistics.original
        self.blockSignals(True)
        item.setText(_PIXELS, "–" if before is None else f"{before.n_pixels}")
        item.setText(_ENL, number(None if before is None else before.enl, 3))
        item.setText(_AFTER, number(None if after is None else after.enl, 3))
        self.blockSignals(False)
        # Without its signals the model tells nobody.
        self.viewport().update()

    def current(self) -> int | None:
        """Feature id of the area chosen."""
        item = self.currentItem()
        return None if item is None else item.data(_NAME, _ID)

    def chosen(self) -> list[int]:
        """Feature ids of all areas chosen."""
        return [item.data(_NAME, _ID) for item in self.selectedItems()]

    def rename_current(self) -> None:
        """Let the user type another name."""
        if self.currentItem() is not None:
            self.editItem(self.currentItem(), _NAME)

    def _item(self, identifier: int) -> QTreeWidgetItem | None:
        items = (self.topLevelItem(index) for index in range(self.topLevelItemCount()))
        return next((item for item in items if item.data(_NAME, _ID) == identifier), None)

    def _on_changed(self, item: QTreeWidgetItem, column: int) -> None:
        if column == _NAME and item.text(_NAME).strip():
            self.renamed.emit(item.data(_NAME, _ID), item.text(_NAME).strip())

    @staticmethod
    def _swatch(colour: QColor) -> QIcon:
        swatch = QPixmap(12, 12)
        swatch.fill(colour)
        return QIcon(swatch)

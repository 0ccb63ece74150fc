"""The buttons of the areas: drawing, moving, locking, deleting, suggesting, and where to keep."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsVectorLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QAction,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .map_tools import FREEHAND, POLYGON, RECTANGLE
from .widgets import caption, keep_narrow, theme_icon, tool_button

translate = QCoreApplication.translate

EDIT = "edit"
SUGGESTED_SIZES = (16, 32, 64)


class AreaTools(QWidget):
    """What can be done with areas, as actions; the list shares those of single areas."""

    tool_toggled = pyqtSignal(str)  # a shape or "edit", or "" for none
    layer_chosen = pyqtSignal(object)  # QgsVectorLayer or None
    new_asked = pyqtSignal()
    save_as_asked = pyqtSignal(str)  # path
    suggest_asked = pyqtSignal(int)  # side in pixels

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(4)
        self._add_layer()
        row = QHBoxLayout()
        row.setSpacing(0)
        self._add_tools(row)
        row.addStretch(1)
        self._add_changes(row)
        self._box.addLayout(row)

    def set_tool(self, shape: str) -> None:
        """Check the button of a tool; "" for none."""
        for key, action in self.by_tool.items():
            action.setChecked(key == shape)

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Show where areas are kept, without telling of it."""
        self.layers.blockSignals(True)
        self.layers.setLayer(layer)
        self.layers.blockSignals(False)

    def set_state(self, some: bool, one: bool, locked: bool, editing: bool) -> None:
        """Enable what there is something for.

        Parameters
        ----------
        some, one : bool
            Whether areas, or just one, are chosen.
        locked : bool
            Whether all of them are locked.
        editing : bool
            Whether the layer has changes that are not saved.
        """
        for action in (self.zoom, self.delete, self.colour, self.lock):
            action.setEnabled(some)
        self.rename.setEnabled(one)
        self.lock.setChecked(some and locked)
        for action in (self.undo, self.redo, self.save):
            action.setEnabled(editing)

    # ---- parts ----------------------------------------------------------------------------

    def _add_layer(self) -> None:
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.layers.setAllowEmptyLayer(True)
        keep_narrow(self.layers, 8)
        self.layers.setToolTip(
            translate(
                "Speckless",
                "Polygon layer the areas are kept in: an ordinary one, which QGIS edits, undoes "
                "and saves. With none, the first area drawn makes a temporary one.",
            )
        )
        self.layers.layerChanged.connect(self._on_layer)
        self.new = self._action(
            "mActionNewVectorLayer", translate("Speckless", "New temporary layer")
        )
        self.new.triggered.connect(self.new_asked)
        self.save_as = self._action(
            "mActionNewGeoPackageLayer", translate("Speckless", "Keep areas in a GeoPackage …")
        )
        self.save_as.triggered.connect(self._on_save_as)
        self.save = self._action(
            "mActionSaveEdits", translate("Speckless", "Save edits of the areas")
        )
        self.undo = self._action("mActionUndo", translate("Speckless", "Undo"))
        self.undo.setToolTip(
            translate("Speckless", "Undo the last change of the areas (Ctrl+Z on the map)")
        )
        self.redo = self._action("mActionRedo", translate("Speckless", "Redo"))
        self.rename = self._action("mActionToggleEditing", translate("Speckless", "Rename (F2)"))
        self.colour = self._action("mIconColorPicker", translate("Speckless", "Colour …"))
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.addActions([self.undo, self.redo, self.save])
        menu.addSeparator()
        menu.addActions([self.rename, self.colour])
        menu.addSeparator()
        menu.addActions([self.new, self.save_as])
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(caption(translate("Speckless", "&In"), self.layers))
        row.addWidget(self.layers, 1)
        row.addWidget(
            self._menu_button(
                menu, "mActionOptions", translate("Speckless", "More: undo, names, files")
            )
        )
        self._box.addLayout(row)

    def _add_tools(self, row: QHBoxLayout) -> None:
        self.by_tool: dict[str, QAction] = {}
        end = translate(
            "Speckless", "Right click or double click closes, Esc cancels, Ctrl+Z takes back."
        )
        for tool, icon, title, tip in (
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
                "mActionCapturePolygon",
                translate("Speckless", "Draw freehand"),
                translate("Speckless", "Draw round an area with the button held down."),
            ),
            (
                EDIT,
                "mActionVertexTool",
                translate("Speckless", "Move corners and areas"),
                translate(
                    "Speckless",
                    "Drag corners, or whole areas; the numbers follow. A double click on a side "
                    "adds a corner, Delete takes the one under the mouse away, Esc gives a drag "
                    "up, Ctrl+Z undoes.",
                ),
            ),
        ):
            action = self._action(icon, title)
            action.setCheckable(True)
            action.setToolTip(tip)
            action.setData(tool)
            action.triggered.connect(self._on_tool)
            self.by_tool[tool] = action
            row.addWidget(tool_button(action))

    def _add_changes(self, row: QHBoxLayout) -> None:
        menu = QMenu(self)
        for size in SUGGESTED_SIZES:
            action = menu.addAction(
                translate("Speckless", "Areas of {size} × {size} pixels").format(size=size)
            )
            action.setData(size)
            action.triggered.connect(self._on_suggest)
        self.suggestions = menu.actions()
        self.suggest = self._menu_button(
            menu,
            "mActionHighlightFeature",
            translate("Speckless", "Suggest areas: the most homogeneous ones of the part in view"),
        )
        self.zoom = self._action(
            "mActionZoomToSelected", translate("Speckless", "Zoom to the area")
        )
        self.lock = self._action("locked", translate("Speckless", "Lock"))
        self.lock.setCheckable(True)
        self.lock.setToolTip(
            translate("Speckless", "Lock the areas: they can be neither moved nor deleted")
        )
        self.delete = self._action(
            "mActionDeleteSelected", translate("Speckless", "Delete the areas")
        )
        self.delete.setShortcut(QKeySequence(QKeySequence.StandardKey.Delete))
        self.delete.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        row.addWidget(self.suggest)
        for action in (self.zoom, self.lock, self.delete):
            row.addWidget(tool_button(action))

    def _action(self, icon: str, title: str) -> QAction:
        return QAction(theme_icon(icon), title, self)

    def _menu_button(self, menu: QMenu, icon: str, title: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(theme_icon(icon))
        button.setToolTip(title)
        button.setAccessibleName(title)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setMenu(menu)
        return button

    # ---- slots ----------------------------------------------------------------------------

    def _on_tool(self, checked: bool) -> None:
        tool = self.sender().data() if checked else ""
        self.set_tool(tool)
        self.tool_toggled.emit(tool)

    def _on_layer(self, layer: QgsMapLayer | None) -> None:
        self.layer_chosen.emit(layer)

    def _on_suggest(self) -> None:
        self.suggest_asked.emit(self.sender().data())

    def _on_save_as(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, translate("Speckless", "Keep areas in a GeoPackage"), "", "GeoPackage (*.gpkg)"
        )
        if path:
            self.save_as_asked.emit(path if path.lower().endswith(".gpkg") else f"{path}.gpkg")

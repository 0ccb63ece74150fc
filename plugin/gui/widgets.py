"""Small parts that the sections of the dock share."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsApplication
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QIcon, QPalette, QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAction,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

_ICON = 16
_CONTRAST = 100  # in lightness, 0 to 255


class Section(QgsCollapsibleGroupBox):
    """A group of the dock that can be folded; QGIS remembers whether it was.

    Parameters
    ----------
    name : str
        For the settings.
    title : str
    """

    def __init__(self, name: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self.setObjectName(f"speckless_{name}")
        self.setSettingGroup("speckless")
        self.setSaveCollapsedState(True)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(6, 6, 6, 6)
        self.box.setSpacing(6)

    def add_form(self) -> QGridLayout:
        """A grid of captions and widgets; captions take no more room than they need."""
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        self.box.addLayout(grid)
        return grid


class Content(QWidget):
    """Sections one below the other, as high as their wrapped words need at the width there is.

    Parameters
    ----------
    parts : sequence of QWidget
    """

    def __init__(self, parts: Sequence[QWidget]) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(4, 4, 4, 4)
        self._column.setSpacing(6)
        for part in parts:
            self._column.addWidget(part)
        self._column.addStretch(1)

    def minimumSizeHint(self) -> QSize:
        """What a scroll area goes by; Qt's own is for the narrowest width."""
        width = max(self.width(), 1)
        return QSize(self._column.minimumSize().width(), self._column.totalHeightForWidth(width))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask the scroll area anew when the width changes the height."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()


def caption(text: str, buddy: QWidget) -> QLabel:
    """Label whose mnemonic leads to a widget."""
    label = QLabel(text)
    label.setBuddy(buddy)
    return label


def note(text: str = "") -> QLabel:
    """Words in smaller print that break into lines and can be selected."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * 0.92)
    label.setFont(font)
    # A long word must not force the panel wide.
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setMinimumWidth(40)
    return label


def small(text: str) -> QLabel:
    """Label in still smaller print, on one line."""
    label = QLabel(text)
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * 0.85)
    label.setFont(font)
    return label


def combo(entries: Sequence[tuple[str, str, str]] = ()) -> QComboBox:
    """Box of (key, title, tip), as wide as its column, that does not force the panel wide."""
    box = QComboBox()
    for key, title, tip in entries:
        box.addItem(title, key)
        box.setItemData(box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
    keep_narrow(box, 6)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return box


def keep_narrow(box: QComboBox, characters: int) -> None:
    """Let a box be as narrow as so many characters, however long its entries are."""
    box.setMinimumContentsLength(characters)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)


class RunningRow(QWidget):
    """Progress of a task and the button to stop it, hidden while there is none.

    Parameters
    ----------
    title, tip : str
        Of the button.
    """

    def __init__(self, title: str, tip: str) -> None:
        super().__init__()
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setFormat("%p %")
        self.stop = QPushButton(theme_icon("mActionStop"), title)
        self.stop.setToolTip(tip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.progress, 1)
        row.addWidget(self.stop)

    @property
    def is_running(self) -> bool:
        """Whether a task is shown."""
        return not self.isHidden()

    def set_running(self, running: bool) -> None:
        """Show a task that begins, or take it away."""
        self.setVisible(running)
        self.progress.setValue(0)
        self.stop.setEnabled(True)

    def show_progress(self, percent: float) -> None:
        """Show how much is done."""
        self.progress.setValue(round(10 * percent))


def button_row(actions: Sequence[QAction]) -> QHBoxLayout:
    """Buttons with text beside each other, to the left."""
    row = QHBoxLayout()
    row.setSpacing(2)
    for action in actions:
        row.addWidget(tool_button(action, text_beside=True))
    row.addStretch(1)
    return row


def tool_button(action: QAction, text_beside: bool = False) -> QToolButton:
    """Flat button of an action, which also has its shortcut and its tooltip."""
    button = QToolButton()
    button.setDefaultAction(action)
    button.setAutoRaise(True)
    button.setIconSize(QSize(_ICON, _ICON))
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if text_beside:
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return button


def ink(widget: QWidget) -> QColor:
    """Colour to write with on a widget's base.

    Themes of QGIS are style sheets, which change some roles of a palette and leave others.
    """
    palette = widget.palette()
    base = palette.color(QPalette.ColorRole.Base).lightness()
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText):
        colour = palette.color(role)
        if abs(colour.lightness() - base) > _CONTRAST:
            return colour
    return QColor("#1a1a1a" if base > 127 else "#e6e6e6")


def theme_icon(name: str) -> QIcon:
    """Icon of QGIS's theme, by the file's name without ending."""
    return QgsApplication.getThemeIcon(f"/{name}.svg")

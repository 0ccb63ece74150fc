"""What to do where the engine cannot run: what is missing, and the exact command."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..toolbelt.settings import Settings
from .widgets import note, theme_icon

translate = QCoreApplication.translate

CLASSICAL = "speckless:refinedlee"


class HelpPanel(QFrame):
    """Shown above the sections as long as the engine says it cannot compute."""

    retry = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("speckless_help")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        title = QLabel(translate("Speckless", "The networks cannot run yet"))
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        icon = QLabel()
        icon.setPixmap(theme_icon("mIconWarning").pixmap(16, 16))
        head = QHBoxLayout()
        head.addWidget(icon)
        head.addWidget(title, 1)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.text.setMinimumHeight(150)
        self.text.setMaximumHeight(220)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(title.text())
        meanwhile = note(
            translate(
                "Speckless",
                "Meanwhile areas can be drawn and measured here, and the classical filters (Lee, "
                "Frost, Gamma MAP, non-local means …) and all statistics run from the Processing "
                "toolbox: they need no torch.",
            )
        )
        classical = QPushButton(
            theme_icon("processingAlgorithm"), translate("Speckless", "Classical &filter …")
        )
        classical.setToolTip(
            translate("Speckless", "Open the refined Lee filter, which needs no torch")
        )
        classical.clicked.connect(self._open_classical)
        self.classical = classical
        copy = QPushButton(theme_icon("mActionEditCopy"), translate("Speckless", "&Copy"))
        copy.setToolTip(translate("Speckless", "Copy this text"))
        again = QPushButton(theme_icon("mActionRefresh"), translate("Speckless", "&Try again"))
        again.setToolTip(translate("Speckless", "Look for torch again"))
        choose = QPushButton(theme_icon("mActionFileOpen"), translate("Speckless", "&Python …"))
        choose.setToolTip(
            translate("Speckless", "Choose the Python that has torch, for the engine to run in")
        )
        choose.clicked.connect(self._choose)
        copy.clicked.connect(self._copy)
        again.clicked.connect(self.retry)
        buttons = QHBoxLayout()
        buttons.addWidget(choose)
        buttons.addWidget(copy)
        buttons.addWidget(again)
        box = QVBoxLayout(self)
        box.addLayout(head)
        box.addWidget(self.text)
        box.addWidget(meanwhile)
        box.addLayout(buttons)
        box.addWidget(classical)
        self.hide()

    def show_problem(self, text: str) -> None:
        """Show the engine's own words."""
        self.text.setPlainText(text)
        self.show()

    def _choose(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, translate("Speckless", "Python of the engine"), str(Path.home())
        )
        if path:
            settings = Settings.load()
            settings.engine_python = path
            settings.save()
            self.retry.emit()

    @staticmethod
    def _open_classical() -> None:
        import processing

        dialog = processing.createAlgorithmDialog(CLASSICAL, {})
        if dialog is not None:
            dialog.show()

    def _copy(self) -> None:
        QgsApplication.clipboard().setText(self.text.toPlainText())

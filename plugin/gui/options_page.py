"""The page "Speckless" of QGIS's options: what is chosen once for all."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication
from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import QCoreApplication, QSize
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..engine.client import Hello
from ..engine.interpreter import VARIABLE
from ..jobs.engine_state import try_engine
from ..toolbelt.paths import plugin_path
from ..toolbelt.settings import Settings
from .background import Background
from .diagnostics import report
from .widgets import caption, note, theme_icon

translate = QCoreApplication.translate

_DEVICES = ("auto", "cpu", "cuda", "mps")


class OptionsFactory(QgsOptionsWidgetFactory):
    """Gives QGIS the page.

    Parameters
    ----------
    on_saved : callable
        Called after settings were stored.
    """

    def __init__(self, on_saved: Callable[[], None]) -> None:
        super().__init__()
        self._on_saved = on_saved
        self.setTitle("Speckless")

    def icon(self) -> QIcon:
        """Of the entry in the list of pages."""
        return QIcon(str(plugin_path("resources", "icons", "speckless.svg")))

    def createWidget(self, parent: QWidget | None = None) -> OptionsPage:
        """Called by QGIS whenever the options are opened."""
        return OptionsPage(self._on_saved, parent)


class OptionsPage(QgsOptionsPageWidget):
    """Shows the settings; stores them when the options are accepted."""

    def __init__(self, on_saved: Callable[[], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("SpecklessOptions")
        self._on_saved = on_saved
        self._hello: Hello | None = None
        self._problem = ""
        self._test: Background | None = None
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._engine_group())
        box.addWidget(self._models_group())
        box.addWidget(self._diagnostics_group(), 1)
        self._show(Settings.load())

    def apply(self) -> None:
        """Called by QGIS when the options are accepted."""
        self.settings().save()
        self._on_saved()

    def settings(self) -> Settings:
        """What the page shows."""
        return Settings(
            engine_python=self.python.filePath().strip(),
            device=self.device.currentText().strip() or "auto",
            model_folder=self.models.filePath().strip(),
            threads=self.threads.value(),
            memory_limit=self.memory.value(),
        )

    def hideEvent(self, event: Any) -> None:
        """The dialog is closed, perhaps: no thread may outlive it."""
        self._end_test()
        super().hideEvent(event)

    # ---- parts ----------------------------------------------------------------------------

    def _engine_group(self) -> QGroupBox:
        group = QGroupBox(translate("Speckless", "Engine of the networks"))
        grid = QGridLayout(group)
        grid.setColumnStretch(1, 1)
        self.python = QgsFileWidget()
        self.python.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.python.setToolTip(
            translate(
                "Speckless",
                "Python that has torch and safetensors; empty for QGIS's own. Networks run in "
                "a process of their own, so it may be any environment.",
            )
        )
        self.python.lineEdit().setPlaceholderText(translate("Speckless", "QGIS's own Python"))
        grid.addWidget(caption(translate("Speckless", "&Python"), self.python), 0, 0)
        grid.addWidget(self.python, 0, 1)
        self.test = QPushButton(theme_icon("mActionStart"), translate("Speckless", "&Test"))
        self.test.setToolTip(
            translate("Speckless", "Start an engine with these settings and say what it finds")
        )
        self.test.clicked.connect(self._on_test)
        grid.addWidget(self.test, 0, 2)
        self.device = QComboBox()
        self.device.setEditable(True)
        self.device.addItems(_DEVICES)
        self.device.setToolTip(
            translate(
                "Speckless",
                'What "auto" stands for: auto takes a GPU if torch can use one. A second GPU is '
                "cuda:1.",
            )
        )
        grid.addWidget(caption(translate("Speckless", "&Device"), self.device), 1, 0)
        grid.addWidget(self.device, 1, 1, 1, 2)
        self.threads = self._number(0, 512, "")
        self.threads.setSpecialValueText(translate("Speckless", "automatic"))
        self.threads.setToolTip(
            translate("Speckless", "Processor threads the networks compute with; one a core")
        )
        grid.addWidget(caption(translate("Speckless", "T&hreads"), self.threads), 2, 0)
        grid.addWidget(self.threads, 2, 1, 1, 2)
        self.memory = self._number(0, 2**20, " MiB")
        self.memory.setSingleStep(512)
        self.memory.setSpecialValueText(translate("Speckless", "unbounded"))
        self.memory.setToolTip(
            translate(
                "Speckless",
                "Memory the engine may take, about: main memory, and of each CUDA GPU. With "
                "little it computes in smaller parts, slower. Fine-tuning on the processor is "
                "not bound.",
            )
        )
        grid.addWidget(caption(translate("Speckless", "&Memory"), self.memory), 3, 0)
        grid.addWidget(self.memory, 3, 1, 1, 2)
        self.outcome = note()
        grid.addWidget(self.outcome, 4, 0, 1, 3)
        if os.environ.get(VARIABLE, "").strip():
            self.outcome.setText(
                translate(
                    "Speckless", "The variable {name} is set; its Python goes before this one."
                ).format(name=VARIABLE)
            )
        return group

    def _models_group(self) -> QGroupBox:
        group = QGroupBox(translate("Speckless", "Models"))
        row = QHBoxLayout(group)
        self.models = QgsFileWidget()
        self.models.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.models.setToolTip(
            translate(
                "Speckless", "Folder with more weights; fine-tuned models are found there too"
            )
        )
        self.models.lineEdit().setPlaceholderText(
            translate("Speckless", "speckless/models in the profile")
        )
        row.addWidget(caption(translate("Speckless", "&Folder"), self.models))
        row.addWidget(self.models, 1)
        return group

    def _diagnostics_group(self) -> QGroupBox:
        group = QGroupBox(translate("Speckless", "Diagnostics"))
        box = QVBoxLayout(group)
        self.report = QPlainTextEdit()
        self.report.setReadOnly(True)
        self.report.setTabChangesFocus(True)
        self.report.setMinimumHeight(120)
        self.report.setAccessibleName(group.title())
        box.addWidget(self.report, 1)
        copy = QPushButton(theme_icon("mActionEditCopy"), translate("Speckless", "&Copy report"))
        copy.setToolTip(
            translate(
                "Speckless", "Copy versions, engine and last errors, without paths of your data"
            )
        )
        copy.clicked.connect(lambda: QgsApplication.clipboard().setText(self.report.toPlainText()))
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(copy)
        box.addLayout(row)
        self.copy = copy
        return group

    @staticmethod
    def _number(low: int, high: int, suffix: str) -> QSpinBox:
        spin = QSpinBox()
        spin.setRange(low, high)
        spin.setSuffix(suffix)
        return spin

    # ---- what happens ---------------------------------------------------------------------

    def _show(self, settings: Settings) -> None:
        self.python.setFilePath(settings.engine_python)
        self.device.setCurrentText(settings.device)
        self.models.setFilePath(settings.model_folder)
        self.threads.setValue(settings.threads)
        self.memory.setValue(settings.memory_limit)
        self.report.setPlainText(report(self._hello, self._problem))

    def _on_test(self) -> None:
        chosen = self.settings()
        self.test.setEnabled(False)
        self._test = Background("engine test", self)
        self._test.done.connect(self._take)
        self._test.failed.connect(self._take_failure)
        self.outcome.setText(translate("Speckless", "Starting the engine …"))
        self._test.submit(
            None,
            lambda stop: try_engine(
                chosen.engine_python or None,
                chosen.threads or None,
                chosen.memory_limit or None,
                stop,
            ),
        )

    def _end_test(self) -> None:
        test, self._test = self._test, None
        self.test.setEnabled(True)
        if test is not None:
            test.close()
            test.deleteLater()

    def _take(self, key: Any, state: tuple[Hello, str]) -> None:
        self._end_test()
        self._hello, self._problem = state
        hello = self._hello
        if self._problem:
            self.outcome.setText(self._problem)
        else:
            text = translate(
                "Speckless", "It works: torch {torch} on {device}, {threads} threads."
            ).format(torch=hello.torch, device=hello.default_device, threads=hello.threads)
            self.outcome.setText(" ".join(part for part in (text, hello.why_no_gpu()) if part))
            names = [*_DEVICES, *(d.name for d in hello.devices if d.name not in _DEVICES)]
            current = self.device.currentText()
            self.device.clear()
            self.device.addItems(names)
            self.device.setCurrentText(current)
        self.report.setPlainText(report(self._hello, self._problem))

    def _take_failure(self, key: Any, error: Exception) -> None:
        self._end_test()
        self._hello, self._problem = None, str(error)
        self.outcome.setText(str(error))
        self.report.setPlainText(report(None, self._problem))

    def sizeHint(self) -> QSize:
        """Room for the report."""
        return QSize(520, 480)

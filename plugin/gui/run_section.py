"""The run on the whole layer, and the same call for terminals and the toolbox."""

from __future__ import annotations

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAction,
    QCheckBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QToolButton,
    QWidget,
)

from .widgets import RunningRow, Section, caption, note, theme_icon

translate = QCoreApplication.translate


class RunSection(Section):
    """Where the result goes, start, progress and stop."""

    run_asked = pyqtSignal()
    stop_asked = pyqtSignal()
    copy_asked = pyqtSignal()
    open_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("run", translate("Speckless", "Run"), parent)
        grid = self.add_form()
        self.output = QgsFileWidget()
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter("GeoTIFF (*.tif *.tiff)")
        self.output.setDialogTitle(translate("Speckless", "Despeckled raster"))
        self.output.lineEdit().setPlaceholderText(translate("Speckless", "[temporary file]"))
        self.output.setToolTip(
            translate("Speckless", "File of the result; empty for a temporary one")
        )
        grid.addWidget(caption(translate("Speckless", "&Output"), self.output), 0, 0)
        grid.addWidget(self.output, 0, 1)
        self.all_bands = QCheckBox(translate("Speckless", "&All bands"))
        self.all_bands.setToolTip(
            translate("Speckless", "Each with these looks and this knob; else the band chosen")
        )
        grid.addWidget(self.all_bands, 1, 1)

        self._add_run()
        self._running = RunningRow(
            translate("Speckless", "&Cancel"),
            translate("Speckless", "Stop; nothing half-done is left"),
        )
        self.progress, self.stop = self._running.progress, self._running.stop
        self.box.addWidget(self._running)
        self.outcome = note()
        self.box.addWidget(self.outcome)

        self.run.clicked.connect(self.run_asked)
        self.stop.clicked.connect(self.stop_asked)
        self.copy.triggered.connect(self.copy_asked)
        self.open.triggered.connect(self.open_asked)
        self.set_bands(1)
        self.set_ready(False)
        self.set_running(False)

    def _add_run(self) -> None:
        self.run = QPushButton(
            theme_icon("mActionStart"), translate("Speckless", "&Despeckle layer")
        )
        self.run.setToolTip(
            translate(
                "Speckless",
                "Despeckle the whole layer with these settings, as a task in the background",
            )
        )
        self.more = QToolButton()
        self.more.setText("…")
        self.more.setToolTip(translate("Speckless", "The same run elsewhere"))
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        self.copy = QAction(
            theme_icon("mActionEditCopy"),
            translate("Speckless", "Copy as qgis_process command"),
            self,
        )
        self.open = QAction(
            theme_icon("processingAlgorithm"), translate("Speckless", "Open in Processing …"), self
        )
        menu.addAction(self.copy)
        menu.addAction(self.open)
        self.more.setMenu(menu)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.run, 1)
        row.addWidget(self.more)
        self.box.addLayout(row)

    def set_ready(self, ready: bool) -> None:
        """Enable what needs a layer and its looks."""
        self._ready = ready
        self.run.setEnabled(ready and not self.is_running)
        self.more.setEnabled(ready)

    def set_bands(self, bands: int) -> None:
        """Offer all bands where there are several."""
        self.all_bands.setVisible(bands > 1)
        if bands == 1:
            self.all_bands.setChecked(False)

    @property
    def is_running(self) -> bool:
        """Whether a run is shown."""
        return self._running.is_running

    def set_running(self, running: bool) -> None:
        """Show progress and the button to stop, or take them away."""
        self._running.set_running(running)
        self.run.setEnabled(self._ready and not running)

    def show_progress(self, percent: float) -> None:
        """Show how much is done."""
        self._running.show_progress(percent)

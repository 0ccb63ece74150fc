"""Runs inside the real QGIS window (--code): despeckles the sample by its dialog, grabs both."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import processing
from qgis.core import QgsMapThemeCollection, QgsProject
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

FOLDER = Path(os.environ["SPECKLESS_WINDOW_FOLDER"])
SAMPLE = os.environ["SPECKLESS_WINDOW_SAMPLE"]
MILLISECONDS = 120_000


def scenario() -> None:
    project, window = QgsProject.instance(), iface.mainWindow()
    window.resize(1500, 900)
    before = iface.addRasterLayer(SAMPLE, "Sentinel-1 VV")
    dialog = processing.createAlgorithmDialog(
        "speckless:despeckle", {"INPUT": before.id(), "OUTPUT": str(FOLDER / "despeckled.tif")}
    )
    dialog.resize(900, 700)
    dialog.show()
    QTest.qWait(500)
    dialog.grab().save(str(FOLDER / "dialog.png"))
    dialog.runAlgorithm()
    for _ in range(MILLISECONDS // 50):
        if len(project.mapLayers()) == 2:
            break
        QTest.qWait(50)
    dialog.grab().save(str(FOLDER / "log.png"))
    dialog.close()

    # The input in a map view of its own, beside the result.
    record = QgsMapThemeCollection.MapThemeRecord()
    record.addLayerRecord(QgsMapThemeCollection.MapThemeLayerRecord(before))
    project.mapThemeCollection().insert("input", record)
    view = iface.createNewMapCanvas("input")
    view.setTheme("input")
    dock = view.parent()
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()
    dock.setFloating(False)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    window.findChild(QDockWidget, "Browser").hide()
    layers = window.findChild(QDockWidget, "Layers")
    window.resizeDocks([dock], [700], Qt.Orientation.Horizontal)
    window.resizeDocks([layers, dock], [110, 600], Qt.Orientation.Vertical)
    iface.messageBar().clearWidgets()
    for canvas in (view, iface.mapCanvas()):
        canvas.setDestinationCrs(before.crs())
        canvas.setExtent(before.extent())
        canvas.refresh()
    QTest.qWait(3000)
    window.grab().save(str(FOLDER / "window.png"))


def main() -> None:
    try:
        scenario()
    except Exception:
        (FOLDER / "error.txt").write_text(traceback.format_exc())
    # Otherwise QGIS would ask whether to save the project.
    QgsProject.instance().clear()
    iface.actionExit().trigger()


QTimer.singleShot(1500, main)

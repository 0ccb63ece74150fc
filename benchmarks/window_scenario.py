"""Runs inside the real QGIS window (--code): the sample in the dialog and in the dock, pictures."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

import processing
from qgis.core import QgsMapThemeCollection, QgsProject
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface, plugins

FOLDER = Path(os.environ["SPECKLESS_WINDOW_FOLDER"])
SAMPLE = os.environ["SPECKLESS_WINDOW_SAMPLE"]
MILLISECONDS = 120_000


def scenario() -> None:
    despeckle()
    work_with_dock()


def work_with_dock() -> None:
    """Preview beside the original, an area drawn, its numbers."""
    QgsProject.instance().clear()
    for view in iface.mapCanvases():
        if view is not iface.mapCanvas():
            iface.closeMapCanvas(view.objectName())
    window, canvas = iface.mainWindow(), iface.mapCanvas()
    layer = iface.addRasterLayer(SAMPLE, "Sentinel-1 VV")
    plugin = plugins["speckless"]
    dock = plugin.dock
    # The plugin's package, whatever QGIS calls it, is there only in QGIS.
    from speckless.plugin.core.quality import best_window_enl

    dock.setUserVisible(True)
    window.resize(1600, 1000)
    layers = window.findChild(QDockWidget, "Layers")
    window.resizeDocks([layers, dock], [200, 370], Qt.Orientation.Horizontal)
    dock.model_section.setCollapsed(True)
    iface.messageBar().clearWidgets()
    QTest.qWait(500)
    canvas.setExtent(layer.extent())
    dock.knob_section.preview.setChecked(True)

    def is_whole() -> bool:
        picture = dock.previewer.picture
        return picture is not None and picture.part >= 1 and not dock.previewer.is_busy

    wait_for(is_whole)
    dock.areas_section.actions_by_shape["polygon"].trigger()
    view = canvas.viewport()
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    preview = dock.previewer.picture.preview
    transform = canvas.getCoordinateTransform()
    # The most homogeneous window there is, and one in the fields.
    _, best = best_window_enl(preview.intensity, 24)
    for x, y, side in ((best.x, best.y, 24), (195, 172, 20)):
        pixels = [(x, y + 2), (x + side, y), (x + side + 2, y + side), (x + 1, y + side + 1)]
        places = preview.scene.placement.to_map(pixels)
        points = [transform.transform(*place).toQPointF().toPoint() for place in places]
        for point in points:
            QTest.mouseMove(view, point)
            QTest.mouseClick(view, button, none, point)
            QTest.qWait(50)
        QTest.mouseClick(view, Qt.MouseButton.RightButton, none, points[-1])
        QTest.qWait(500)
    wait_for(is_whole)
    QTest.qWait(1500)
    window.grab().save(str(FOLDER / "dock.png"))


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(MILLISECONDS // 50):
        if condition():
            return
        QTest.qWait(50)


def despeckle() -> None:
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

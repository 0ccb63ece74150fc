"""Runs inside the real QGIS window (--code): works with the dock as a user does, by the mouse.

Writes what it saw to the folder in SPECKLESS_TEST_OUTPUT; test_dock.py judges it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import qgis.utils
from qgis.core import QgsApplication, QgsProject, QgsSettings
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface

# QGIS runs this without a __file__.
sys.path.insert(0, os.environ["SPECKLESS_TEST_TOOLS"])
from window_tools import (
    FOLDER,
    Heartbeat,
    choose,
    click,
    dock,
    is_whole,
    perform,
    place,
    seen,
    shot,
    take,
    things,
    wait_for,
)

SAMPLE = os.environ["SPECKLESS_TEST_SAMPLE"]
LARGE = os.environ["SPECKLESS_TEST_LARGE"]
MODELS = os.environ["SPECKLESS_TEST_MODELS"]
RELOADS = 50


def key(code: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(iface.mapCanvas(), code, modifier)
    QTest.qWait(50)


def numbers() -> dict[str, list[str]]:
    table = dock().areas_section.numbers
    return {name: [table.text(name, 1), table.text(name, 2)] for name in ("n", "mean", "enl")}


def look(layer: Any, beat: Heartbeat) -> None:
    panel = dock()
    seen["is hidden at first"] = not panel.isVisible()
    qgis.utils.plugins["speckless"].action.trigger()
    seen["is visible"] = wait_for(panel.isVisible, 5)
    choose(layer, "dock-affine")
    wait_for(lambda: panel._hello is not None)
    seen["device"] = panel.model_section.device.text()
    seen["found"] = panel.layer_section.found.text()
    seen["looks"] = panel.choices.looks
    beat.enter("preview")
    panel.knob_section.preview.setChecked(True)
    seen["preview"] = wait_for(is_whole)
    beat.enter("")


def draw(beat: Heartbeat) -> None:
    panel = dock()
    beat.enter("drawing")
    panel.areas_section.actions_by_shape["polygon"].trigger()
    # Esc gives up; Ctrl+Z takes a corner back.
    click(0.3, 0.3)
    click(0.4, 0.3)
    key(Qt.Key.Key_Escape)
    click(0.70, 0.64)
    click(0.84, 0.62)
    click(0.10, 0.10)
    key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    click(0.86, 0.74)
    QTest.mouseMove(iface.mapCanvas().viewport(), place(0.72, 0.76))
    wait_for(lambda: not panel.areas._sketch.is_busy)
    QTest.qWait(200)
    seen["live"] = numbers()
    beat.enter("")
    shot(FOLDER / "dock_drawing.png")
    beat.enter("drawing")
    click(0.72, 0.76)
    click(0.72, 0.76, Qt.MouseButton.RightButton)
    wait_for(lambda: panel.areas_section.list.topLevelItemCount() == 1, 5)
    QTest.qWait(500)
    seen["area"] = numbers()
    panel.areas_section.actions_by_shape["rectangle"].trigger()
    view = iface.mapCanvas().viewport()
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mousePress(view, button, none, place(0.2, 0.75))
    for step in range(1, 6):
        QTest.mouseMove(view, place(0.2 + 0.02 * step, 0.75 + 0.02 * step))
        QTest.qWait(30)
    QTest.mouseRelease(view, button, none, place(0.3, 0.85))
    wait_for(lambda: panel.areas_section.list.topLevelItemCount() == 2, 5)
    QTest.qWait(300)
    beat.enter("")
    layer = panel.areas.layer
    seen["polygon"] = [f.geometry().asWkt(1) for f in layer.getFeatures()]
    seen["area layer"] = [layer.isValid(), layer.crs().authid(), layer.fields().names()]
    panel.areas_section.delete.trigger()
    seen["after delete"] = wait_for(lambda: panel.areas_section.list.topLevelItemCount() == 1, 5)
    panel.areas.stop_drawing()
    seen["tool is put away"] = not isinstance(iface.mapCanvas().mapTool(), type(panel.areas.tool))


def turn(beat: Heartbeat) -> None:
    """The knob on a preview of 1000 x 1000 pixels."""
    panel = dock()
    large = iface.addRasterLayer(LARGE, "large")
    choose(large, "dock-affine")
    assert wait_for(is_whole)
    picture = panel.previewer.picture
    seen["large preview"] = [*picture.colours.shape, picture.preview.step]
    times, spent = [], []
    drawn: list[Any] = []
    panel.previewer.drawn.connect(drawn.append)
    beat.enter("knob")
    for position in (-20, -8, 4, 12, 24, 0, -30, 7, 15, -3):
        QTest.qWait(300)  # for the areas' numbers, which follow the picture
        drawn.clear()
        started, before = time.perf_counter(), time.process_time()
        panel.knob_section.slider.setValue(position)
        while not drawn and time.perf_counter() < started + 5:
            QApplication.processEvents()
            time.sleep(0.0005)
        iface.mapCanvas().viewport().repaint()
        times.append(1000 * (time.perf_counter() - started))
        spent.append(1000 * (time.process_time() - before))
    beat.enter("")
    panel.previewer.drawn.disconnect(drawn.append)
    seen["knob milliseconds"] = times
    seen["knob processor milliseconds"] = spent
    seen["knob"] = [panel.choices.looks, panel.knob_section.value.value(), picture.knob]
    QgsProject.instance().removeMapLayer(large)


def swipe() -> None:
    panel = dock()
    panel.knob_section.split.setChecked(True)
    split = panel.previewer.item.split
    view = iface.mapCanvas().viewport()
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseMove(view, place(split, 0.4))
    QTest.mousePress(view, button, none, place(split, 0.4))
    QTest.mouseMove(view, place(0.4, 0.4))
    QTest.mouseRelease(view, button, none, place(0.3, 0.4))
    seen["split"] = [split, panel.previewer.item.split]


def run(layer: Any, beat: Heartbeat) -> None:
    panel = dock()
    choose(layer, "dock-affine")
    panel.knob_section.value.setValue(panel.choices.looks / 2)
    assert wait_for(is_whole)
    swipe()
    for view in range(5):
        panel.knob_section.views.setCurrentIndex(view)
        wait_for(is_whole)
        QTest.qWait(100)
        if view in (1, 3):
            shot(FOLDER / f"dock_view_{panel.knob_section.views.currentData()}.png")
    panel.knob_section.views.setCurrentIndex(0)
    seen["command"] = panel.choices.command("", False)
    panel.run_section.output.setFilePath(str(FOLDER / "dock_run.tif"))
    beat.enter("run")
    panel.run_section.run.click()
    seen["run"] = wait_for(lambda: panel.runs.task is None)
    beat.enter("")
    seen["outcome"] = panel.run_section.outcome.text()
    layers = QgsProject.instance().layerTreeRoot().findLayers()
    seen["tree"] = [node.name() for node in layers]
    assert wait_for(is_whole)
    picture = panel.previewer.picture
    seen["preview knob"] = picture.knob
    picture.estimate.tofile(str(FOLDER / "dock_preview.bin"))
    window = picture.preview.window
    seen["preview window"] = [window.x, window.y, window.width, window.height]
    shot(FOLDER / "dock_run.png")


def stop(layer: Any) -> None:
    """Cancelled by the button, and by the layer's removal."""
    panel = dock()
    models = panel.model_section.models
    models.setCurrentIndex(models.findData("dock-slow"))
    panel.knob_section.preview.setChecked(False)
    panel.run_section.output.setFilePath(str(FOLDER / "dock_cancelled.tif"))
    panel.run_section.run.click()
    QTest.qWait(300)
    seen["was running"] = panel.runs.task is not None
    panel.run_section.stop.click()
    seen["stopped"] = wait_for(lambda: panel.runs.task is None, 20)
    seen["stop outcome"] = panel.run_section.outcome.text()
    panel.run_section.run.click()
    QTest.qWait(300)
    QgsProject.instance().removeMapLayer(layer)
    seen["removed"] = wait_for(lambda: panel.runs.task is None, 20)
    seen["left"] = sorted(path.name for path in FOLDER.glob("*dock_cancelled*"))


def reload_often() -> None:
    """Taken out and put in again; some of the times with all modules imported anew."""
    name = "speckless"
    # Hidden, it starts no engine.
    dock().setUserVisible(False)
    qgis.utils.reloadPlugin(name)
    QTest.qWait(50)
    before = things()
    for number in range(RELOADS):
        if number % 10 == 0:
            qgis.utils.reloadPlugin(name)
        else:
            qgis.utils.plugins[name].unload()
            qgis.utils.plugins[name].initGui()
        dock().knob_section.preview.setChecked(True)
        dock().areas_section.actions_by_shape["polygon"].trigger()
        QTest.qWait(1)
    qgis.utils.reloadPlugin(name)
    QTest.qWait(50)
    seen["before reloads"], seen["after reloads"] = before, things()


def unload() -> None:
    panel = dock()
    layer = iface.addRasterLayer(SAMPLE, "again")
    panel.setUserVisible(True)
    choose(layer, "dock-slow")
    panel.knob_section.preview.setChecked(True)
    panel.run_section.run.click()
    panel.areas_section.actions_by_shape["polygon"].trigger()
    click(0.5, 0.5)
    QTest.qWait(300)
    started = time.perf_counter()
    qgis.utils.unloadPlugin("speckless")
    seen["unload seconds"] = time.perf_counter() - started
    QTest.qWait(200)
    names = [widget.objectName() for widget in QApplication.allWidgets()]
    seen["left after unload"] = [name for name in names if name.lower().startswith("speckless")]
    seen["tasks after unload"] = QgsApplication.taskManager().count()
    seen["threads after unload"] = [t.name for t in threading.enumerate() if "Speckless" in t.name]


def scenario() -> None:
    QgsSettings().setValue("speckless/model_folder", MODELS)
    qgis.utils.reloadPlugin("speckless")
    iface.mainWindow().resize(1600, 1000)
    beat = Heartbeat()
    layer = iface.addRasterLayer(SAMPLE, "sample")
    QTest.qWait(500)
    for name, part in (
        ("look", lambda: look(layer, beat)),
        ("draw", lambda: draw(beat)),
        ("turn", lambda: turn(beat)),
        ("run", lambda: run(layer, beat)),
        ("stop", lambda: stop(layer)),
        ("reload", reload_often),
        ("unload", unload),
    ):
        take("dock", name, part)
    seen["main thread"] = beat.worst


perform("dock", scenario)

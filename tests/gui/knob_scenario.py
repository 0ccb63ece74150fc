"""Runs inside the real QGIS window (--code): preview, knob, risk and views of both kinds of model.

Writes what it saw to the folder in SPECKLESS_TEST_OUTPUT; test_knob.py judges it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import qgis.utils
from qgis.core import QgsApplication, QgsProject, QgsSettings
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDockWidget
from qgis.utils import iface

# QGIS runs this without a __file__.
sys.path.insert(0, os.environ["SPECKLESS_TEST_TOOLS"])
from window_tools import (
    FOLDER,
    choose,
    dock,
    perform,
    seen,
    take,
    wait_for,
)

SAMPLE = os.environ["SPECKLESS_TEST_SAMPLE"]
LARGE = os.environ["SPECKLESS_TEST_LARGE"]
MODELS = os.environ["SPECKLESS_TEST_MODELS"]

POSITIONS = (-20, -8, 4, 12, 24, 1, -30, 7, 15, -3)


def is_whole() -> bool:
    preview = dock().previewer
    return preview.picture is not None and preview.picture.part >= 1


def is_at_rest() -> bool:
    panel = dock()
    # What a thread has told may still be on its way to the window.
    return (
        is_whole()
        and not panel.previewer.is_busy
        and panel.previewer.picture.knob == panel.choices.knob
        and panel.previewer.picture.preview.is_exact(panel.choices.knob)
    )


def shot(name: str, of_dock: bool = False) -> None:
    QTest.qWait(300)
    widget = dock() if of_dock else iface.mainWindow()
    widget.grab().save(str(FOLDER / f"{name}.png"))


def keep(name: str) -> None:
    """Write the estimate shown, and say where it lies."""
    picture = dock().previewer.picture
    picture.estimate.tofile(str(FOLDER / f"{name}.bin"))
    window = picture.preview.window
    seen[name] = [window.x, window.y, window.width, window.height, picture.knob]


def turns(model: str) -> None:
    """The knob on a preview of 1000 x 1000 pixels."""
    panel = dock()
    large = iface.addRasterLayer(LARGE, "large")
    choose(large, model)
    assert wait_for(is_at_rest)
    picture = panel.previewer.picture
    seen[f"size of {model}"] = [*picture.colours.shape, picture.preview.step]
    walls, spent = [], []
    drawn: list[Any] = []
    panel.previewer.drawn.connect(drawn.append)
    for position in POSITIONS:
        wait_for(is_at_rest)  # the network has run for the last knob
        QTest.qWait(100)
        drawn.clear()
        started, before = time.perf_counter(), time.process_time()
        panel.knob_section.slider.setValue(position)
        while not drawn and time.perf_counter() < started + 5:
            QApplication.processEvents()
            time.sleep(0.0005)
        iface.mapCanvas().viewport().repaint()
        walls.append(1000 * (time.perf_counter() - started))
        spent.append(1000 * (time.process_time() - before))
        assert drawn[0].knob == panel.choices.knob
    panel.previewer.drawn.disconnect(drawn.append)
    seen[f"milliseconds of {model}"] = walls
    seen[f"processor milliseconds of {model}"] = spent
    QgsProject.instance().removeMapLayer(large)


def told(layer: Any) -> None:
    """A network that is told L."""
    panel, section = dock(), dock().knob_section
    choose(layer, "knob-told")
    section.split.setChecked(False)
    readiness: list[str] = []
    panel.previewer.knob_progressed.connect(lambda _: readiness.append(section.readiness.text()))
    section.preview.setChecked(True)
    seen["is whole before the anchors"] = wait_for(is_whole) and panel.previewer.is_busy
    assert wait_for(is_at_rest)
    wait_for(lambda: readiness[-1] == "turns at once", 20)
    seen["readiness"] = list(readiness)
    seen["status"] = section.status.text()
    seen["auto is offered to told"] = section.auto.isEnabled()
    seen["risk note of told"] = section.risk_note.text()
    seen["views of told"] = enabled_views()
    seen["octaves of told"] = section.slider.maximum() / 16
    # Interpolated at once, then run by the network when it rests.
    drawn: list[Any] = []
    panel.previewer.drawn.connect(drawn.append)
    section.value.setValue(panel.choices.looks / 3)
    assert wait_for(lambda: bool(drawn))
    first = drawn[0]
    assert wait_for(is_at_rest)
    panel.previewer.drawn.disconnect(drawn.append)
    last = panel.previewer.picture
    seen["interpolated"] = [first.knob == last.knob, first.preview is last.preview]
    first.estimate.tofile(str(FOLDER / "knob_interpolated.bin"))
    keep("knob_told")
    shot("knob_told")


def enabled_views() -> list[str]:
    views = dock().knob_section.views
    return [
        views.itemData(index)
        for index in range(views.count())
        if views.model().item(index).isEnabled()
    ]


def affine(layer: Any) -> None:
    """An affine model: risk curve, buttons, views, keys."""
    panel, section = dock(), dock().knob_section
    choose(layer, "knob-affine")
    seen["curve"] = wait_for(lambda: section.plot.curve is not None)
    assert wait_for(is_at_rest)
    curve = section.plot.curve
    seen["least risk"] = [curve.best, curve.least, curve.error, curve.looks]
    seen["points"] = [[point.knob, point.low, point.risk, point.high] for point in curve.points]
    seen["caution"] = curve.caution
    seen["risk note"] = section.risk_note.text()
    section.auto.trigger()
    seen["auto"] = panel.choices.knob
    section.from_area.trigger()
    seen["without an area"] = section.status.text()
    draw()
    section.from_area.trigger()
    (statistics,) = panel.knob._measured.values()
    seen["from area"] = [panel.choices.knob, statistics.original.enl]
    section.set_knob(curve.best)
    section.slider.setFocus()
    QTest.keyClick(section.slider, Qt.Key.Key_Left)
    seen["after left"] = panel.choices.turn
    QTest.keyClick(section.slider, Qt.Key.Key_PageUp)
    seen["after page up"] = panel.choices.turn
    section.reset.trigger()
    seen["after true L"] = panel.choices.turn
    section.value.setValue(panel.choices.looks / 2)
    assert wait_for(is_at_rest)
    keep("knob_affine")
    section.split.setChecked(True)
    seen["views of affine"] = enabled_views()
    for view in ("ratio", "difference", "a", "b", "despeckled"):
        section.views.setCurrentIndex(section.views.findData(view))
        assert wait_for(lambda v=view: panel.previewer.picture.view == v)  # type: ignore[misc]
        seen[f"legend of {view}"] = [section.legend.isVisible(), *section.legend.texts]
        shot(f"knob_view_{view}")
    seen["before the key"] = panel.previewer.item.shows_original
    window = iface.mainWindow()
    # There is no window manager to do it.
    QApplication.setActiveWindow(window)
    QTest.keyClick(iface.mapCanvas(), Qt.Key.Key_F8, Qt.KeyboardModifier.ControlModifier)
    seen["after the key"] = panel.previewer.item.shows_original
    shot("knob_original")
    section.original.setChecked(False)


def draw() -> None:
    """A rectangle in the middle."""
    panel, view = dock(), iface.mapCanvas().viewport()
    panel.areas_section.actions_by_shape["rectangle"].trigger()
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    points = [
        QPoint(round(x * view.width()), round(0.75 * view.height() + 100 * (x - 0.2)))
        for x in (0.2, 0.24, 0.28, 0.3)
    ]
    QTest.mousePress(view, button, none, points[0])
    for point in points[1:]:
        QTest.mouseMove(view, point)
        QTest.qWait(30)
    QTest.mouseRelease(view, button, none, points[-1])
    assert wait_for(lambda: bool(panel.knob._measured), 20)
    panel.areas.stop_drawing()


def narrow() -> None:
    """A narrow panel, light and dark."""
    window, panel = iface.mainWindow(), dock()
    window.resizeDocks([panel], [300], Qt.Orientation.Horizontal)
    QTest.qWait(300)
    seen["narrow width"] = panel.width()
    seen["content fits"] = panel.widget().widget().width() <= panel.widget().viewport().width()
    panel.widget().ensureWidgetVisible(panel.knob_section.status)
    shot("knob_narrow", of_dock=True)
    QgsApplication.instance().setUITheme("Night Mapping")
    shot("knob_dark", of_dock=True)
    QgsApplication.instance().setUITheme("default")
    window.resizeDocks([panel], [370], Qt.Orientation.Horizontal)


def kill() -> None:
    """The engine dies in the middle of a preview."""
    from speckless.plugin.engine import shared

    panel, section = dock(), dock().knob_section
    large = iface.addRasterLayer(LARGE, "large")
    choose(large, "knob-slow")
    assert wait_for(lambda: shared._shared is not None and shared._shared.pid is not None)
    # In the middle of it: a tile has come in.
    assert wait_for(lambda: panel.previewer.picture is not None)
    seen["part when killed"] = panel.previewer.picture.part
    pid = shared._shared.pid
    section.status.setText("")
    os.kill(pid, signal.SIGKILL)
    seen["failure is told"] = wait_for(lambda: bool(section.status.text()))
    seen["failure"] = section.status.text()
    seen["layers after"] = len(QgsProject.instance().mapLayers())
    seen["areas after"] = len(panel.areas.features())
    seen["picture after"] = panel.previewer.picture is not None
    models = panel.model_section.models
    models.setCurrentIndex(models.findData("knob-affine"))
    seen["works again"] = wait_for(
        lambda: is_at_rest() and panel.previewer.picture.preview.card.affine
    )
    seen["another process"] = shared._shared.pid not in (None, pid)
    # Only the newest request matters.
    models.setCurrentIndex(models.findData("knob-slow"))
    assert wait_for(lambda: panel.previewer.needs_engine)
    QTest.qWait(400)
    started = time.monotonic()
    models.setCurrentIndex(models.findData("knob-affine"))
    seen["superseded"] = wait_for(
        lambda: is_at_rest() and panel.previewer.picture.preview.card.id == "knob-affine"
    )
    seen["seconds to supersede"] = time.monotonic() - started
    QgsProject.instance().removeMapLayer(large)


def scenario() -> None:
    QgsSettings().setValue("speckless/model_folder", MODELS)
    qgis.utils.reloadPlugin("speckless")
    window = iface.mainWindow()
    window.resize(1600, 1000)
    layer = iface.addRasterLayer(SAMPLE, "sample")
    QTest.qWait(500)
    qgis.utils.plugins["speckless"].action.trigger()
    assert wait_for(dock().isVisible, 5)
    layers = window.findChild(QDockWidget, "Layers")
    window.resizeDocks([layers, dock()], [200, 370], Qt.Orientation.Horizontal)
    dock().model_section.setCollapsed(True)
    dock().layer_section.setCollapsed(True)
    iface.messageBar().clearWidgets()
    for name, part in (
        ("told", lambda: told(layer)),
        ("affine", lambda: affine(layer)),
        ("narrow", narrow),
        ("turn affine", lambda: turns("knob-affine")),
        ("turn told", lambda: turns("knob-told")),
        ("kill", kill),
    ):
        take("knob", name, part)
    seen["tasks"] = QgsApplication.taskManager().count()


perform("knob", scenario)

"""What scenarios in the real window share: waiting, the pointer, counting, the main thread's time.

Imported inside QGIS, by way of the folder that the scenario lies in.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qgis.utils
from qgis.core import QgsProject, QgsVectorLayer
from qgis.gui import QgsDockWidget, QgsMapCanvasItem, QgsMapTool
from qgis.PyQt.QtCore import QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QToolBar
from qgis.utils import iface

FOLDER = Path(os.environ["SPECKLESS_TEST_OUTPUT"])

exceptions: list[str] = []
# What the scenario saw, for the test that judges it.
seen: dict[str, Any] = {"exceptions": exceptions}


def perform(name: str, scenario: Callable[[], None]) -> None:
    """Run a scenario once the window is there, write what was seen, and close QGIS."""
    catch_exceptions()
    QTimer.singleShot(1500, lambda: _perform(name, scenario))


def _perform(name: str, scenario: Callable[[], None]) -> None:
    try:
        scenario()
    except Exception:
        seen["error"] = traceback.format_exc()
        shot(FOLDER / f"{name}_error.png")
    write_seen(name)
    # Otherwise QGIS would ask whether to save the areas, and then the project.
    for layer in QgsProject.instance().mapLayers().values():
        if isinstance(layer, QgsVectorLayer) and layer.isEditable():
            layer.rollBack()
    QgsProject.instance().clear()
    iface.actionExit().trigger()


def write_seen(name: str) -> None:
    """Write what was seen so far."""
    (FOLDER / f"{name}_seen.json").write_text(json.dumps(seen, indent=1))


def take(name: str, title: str, part: Callable[[], object]) -> None:
    """Run a part of a scenario, timed."""
    started = time.monotonic()
    (FOLDER / f"{name}_at.txt").write_text(title)  # where it stands if it hangs
    try:
        part()
    finally:
        seen[f"seconds of {title}"] = round(time.monotonic() - started, 1)
        seen["load"] = os.getloadavg()[0] / (os.cpu_count() or 1)
        write_seen(name)


def catch_exceptions() -> None:
    """Remember what Python raises, which QGIS would show in a window and wait."""

    def remember(kind: Any, value: Any, trace: Any, *_: Any, **__: Any) -> None:
        exceptions.append("".join(traceback.format_exception(kind, value, trace)))

    qgis.utils.showException = remember
    sys.excepthook = remember


class Heartbeat(QTimer):
    """Measures how long the main thread is away from its event loop, and how long it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.setTimerType(Qt.TimerType.PreciseTimer)
        self.timeout.connect(self._beat)
        self.worst: dict[str, dict[str, float]] = {}
        self._phase = ""

    def enter(self, phase: str) -> None:
        """Count what comes as part of a phase; "" for none."""
        self._phase = phase
        self._wall, self._busy = time.perf_counter(), time.thread_time()
        self.start(5) if phase else self.stop()

    def _beat(self) -> None:
        wall, busy = time.perf_counter(), time.thread_time()
        worst = self.worst.setdefault(self._phase, {"wall": 0.0, "busy": 0.0})
        worst["wall"] = max(worst["wall"], 1000 * (wall - self._wall))
        worst["busy"] = max(worst["busy"], 1000 * (busy - self._busy))
        self._wall, self._busy = wall, busy


def wait_for(condition: Any, seconds: float = 600.0) -> bool:
    """Let QGIS work until something holds; False when it took longer, on a busy machine too."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        QTest.qWait(10)
    return False


def dock() -> Any:
    """The dock, which is another one after a reload."""
    return qgis.utils.plugins["speckless"].dock


def place(x: float, y: float) -> QPoint:
    """Point of the canvas by its share of width and height."""
    view = iface.mapCanvas().viewport()
    return QPoint(round(x * view.width()), round(y * view.height()))


def click(x: float, y: float, button: Any = Qt.MouseButton.LeftButton) -> None:
    """Click on the canvas."""
    view = iface.mapCanvas().viewport()
    QTest.mouseMove(view, place(x, y))
    QTest.qWait(30)
    QTest.mouseClick(view, button, Qt.KeyboardModifier.NoModifier, place(x, y))
    QTest.qWait(30)


def draw_polygon(*corners: tuple[float, float]) -> None:
    """Draw an area with the mouse, and put the tool away."""
    dock().areas_section.actions_by_shape["polygon"].trigger()
    for x, y in corners:
        click(x, y)
    click(*corners[-1], Qt.MouseButton.RightButton)
    QTest.qWait(200)
    dock().areas.stop_drawing()


def is_whole() -> bool:
    """Whether the preview is complete, at rest, and of the model and the knob chosen."""
    preview, choices = dock().previewer, dock().choices
    picture = preview.picture
    if preview.is_busy or picture is None or picture.part < 1 or choices.knob is None:
        return False
    model = Path(choices.model_file).stem or choices.model
    return picture.preview.card.id == model and abs(picture.knob / choices.knob - 1) < 1e-6


def choose(layer: Any, model: str) -> None:
    """Choose layer and model in the dock, and zoom to the layer."""
    panel = dock()
    panel.layer_section.layers.setLayer(layer)
    iface.mapCanvas().setExtent(layer.extent())
    models = panel.model_section.models
    models.setCurrentIndex(models.findData(model))
    assert wait_for(lambda: panel.scene is not None and panel.scene.path == layer.source())


def wait_for_computing(task: Any) -> bool:
    """Wait until the engine computes for a task, given by a callable; False if it never does."""

    def computes() -> bool:
        # What jobs tell when the engine has the model, or has measured its first risk.
        messages = () if task() is None else tuple(task()._messages)
        return any(text.startswith(("Model ", "Before")) for text in messages)

    found = wait_for(computes)
    QTest.qWait(300)
    return found and task() is not None


def message_texts() -> list[str]:
    """What the message bar shows."""
    return [item.text() for item in iface.messageBar().items()]


def shot(path: Path) -> None:
    """Picture of the window."""
    QTest.qWait(300)
    iface.mainWindow().grab().save(str(path))


def engine_pid() -> int | None:
    """Process id of the engine that the plugin shares; None while there is none."""
    for name, module in list(sys.modules.items()):
        if name.endswith("plugin.engine.shared") and module._shared is not None:
            pid = module._shared.pid
            if pid is not None:
                return int(pid)
    return None


def children() -> list[int]:
    """Processes started by this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def things() -> dict[str, int]:
    """Everything a plugin could leave behind."""
    gc.collect()
    QApplication.sendPostedEvents(None, 52)  # DeferredDelete
    window, canvas = iface.mainWindow(), iface.mapCanvas()
    return {
        "widgets": len(QApplication.allWidgets()),
        "docks": len(window.findChildren(QgsDockWidget)),
        "canvas items": sum(isinstance(i, QgsMapCanvasItem) for i in canvas.scene().items()),
        "canvas children": len(canvas.children()),
        "map tools": len(canvas.findChildren(QgsMapTool)),
        "threads": threading.active_count(),
        "window actions": len(window.actions()),
        "menu entries": len(iface.rasterMenu().actions()),
        "toolbar actions": sum(len(bar.actions()) for bar in window.findChildren(QToolBar)),
        "layers": len(QgsProject.instance().mapLayers()),
        "processes": len(children()),
    }


def dock_settings() -> dict[str, Any]:
    """What the dock is set to, as its user sees it."""
    panel = dock()
    choices, layer = panel.choices, panel.layer_section.current_layer()
    return {
        "layer": None if layer is None else layer.name(),
        "band": choices.band, "looks": choices.looks, "given": panel.given_looks,
        "knob": choices.knob, "shown knob": panel.knob_section.value.value(),
        "model": choices.model, "view": panel.knob_section.views.currentData(),
        "output": panel.run_section.output.filePath(),
    }  # fmt: skip


def processing_history() -> list[str]:
    """Calls in the history of Processing, in QGIS's order."""
    from qgis.gui import QgsGui

    if hasattr(QgsGui, "historyProviderRegistry"):
        entries = QgsGui.historyProviderRegistry().queryEntries(providerId="processing")
        return [entry.entry["python_command"] for entry in entries]
    from processing.core.ProcessingLog import ProcessingLog

    return [entry.text for entry in ProcessingLog.getLogEntries()]

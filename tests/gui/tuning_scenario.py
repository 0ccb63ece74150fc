"""Runs inside the real QGIS window (--code): fine-tunes, runs, saves, kills, reloads, unloads.

Writes what it saw to the folder in SPECKLESS_TEST_OUTPUT; test_tuning.py judges it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import qgis.utils
from qgis.core import QgsApplication, QgsProject, QgsSettings
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis.utils import iface

# QGIS runs this without a __file__.
sys.path.insert(0, os.environ["SPECKLESS_TEST_TOOLS"])
from window_tools import (
    FOLDER,
    Heartbeat,
    children,
    choose,
    dock,
    dock_settings,
    draw_polygon,
    engine_pid,
    is_whole,
    message_texts,
    perform,
    processing_history,
    seen,
    shot,
    take,
    things,
    wait_for,
    wait_for_computing,
)

SAMPLE = os.environ["SPECKLESS_TEST_SAMPLE"]
MODELS = Path(os.environ["SPECKLESS_TEST_MODELS"])
RELOADS = 50


def rest() -> None:
    """Let events in until nothing is under way, so that a phase is not charged with another."""
    wait_for(lambda: not dock().previewer.is_busy and not dock()._measuring.is_busy, 300)
    QTest.qWait(100)


def save_estimate(name: str) -> dict[str, Any]:
    """Keep the preview's pixels, and say where they are."""
    assert wait_for(is_whole)
    picture = dock().previewer.picture
    window = picture.preview.window
    picture.estimate.tofile(str(FOLDER / f"tuning_{name}.bin"))
    return {"window": [window.x, window.y, window.width, window.height], "knob": picture.knob}


def look(beat: Heartbeat) -> None:
    """Open the dock, load a layer, preview, draw an area, turn the knob."""
    beat.enter("open")
    qgis.utils.plugins["speckless"].action.trigger()
    assert wait_for(dock().isVisible, 300)
    QTest.qWait(200)
    beat.enter("load")
    layer = iface.addRasterLayer(SAMPLE, "sample")
    QTest.qWait(300)
    panel = dock()
    choose(layer, "tiny-affine")
    wait_for(lambda: panel._hello is not None)
    beat.enter("preview")
    panel.knob_section.preview.setChecked(True)
    seen["preview"] = wait_for(is_whole)
    beat.enter("draw")
    draw_polygon((0.55, 0.5), (0.75, 0.5), (0.75, 0.7), (0.55, 0.7))
    rest()
    beat.enter("knob")
    for position in (-24, -4, 8, -16):
        panel.knob_section.slider.setValue(position)
        QTest.qWait(120)
    rest()
    beat.enter("")
    seen["looks"], seen["knob"] = panel.choices.looks, panel.choices.knob


_tunings = 0


def start_tuning() -> Any:
    """Click, at another knob each time: nothing of the last one is gone on from."""
    global _tunings
    _tunings += 1
    panel = dock()
    section = panel.finetune_section
    section.depths.setCurrentIndex(section.depths.findData("full"))
    panel.knob_section.value.setValue(panel.choices.looks * (0.6 + 0.02 * _tunings))
    section.start.click()
    return lambda: panel.tuning.tunings.task


def start_run() -> Any:
    """Click, with a network that takes seconds."""
    panel = dock()
    panel.knob_section.preview.setChecked(False)
    models = panel.model_section.models
    models.setCurrentIndex(models.findData("tiny-slow"))
    panel.run_section.run.click()
    return lambda: panel.runs.task


def refuse() -> None:
    """Networks that are not affine say so."""
    panel, models = dock(), dock().model_section.models
    models.setCurrentIndex(models.findData("ffdnet-sar"))
    section = panel.finetune_section
    seen["why not"] = [section.start.isEnabled(), section.reason.text(), section.start.toolTip()]
    models.setCurrentIndex(models.findData("tiny-affine"))
    seen["can"] = [section.start.isEnabled(), section.start.text(), section.reason.isVisible()]


def tune(beat: Heartbeat) -> None:
    """On the visible part: watch, compare, keep."""
    panel = dock()
    section, tunings = panel.finetune_section, panel.tuning.tunings
    for name in ("layer", "model", "areas"):
        getattr(panel, f"{name}_section").setCollapsed(True)
    section.depths.setCurrentIndex(section.depths.findData("head"))
    panel.knob_section.value.setValue(panel.choices.looks / 2)
    rest()
    seen["untuned"] = save_estimate("untuned")
    counts: list[int] = []
    watch = QTimer()
    watch.timeout.connect(lambda: counts.append(len(section.chart.points)))
    watch.start(20)
    beat.enter("tune")
    section.start.click()
    seen["tuning shown"] = section.is_running
    seen["in task manager"] = [t.description() for t in QgsApplication.taskManager().tasks()]
    wait_for(lambda: len(section.chart.points) > 2 or tunings.task is None)
    beat.enter("")
    shot(FOLDER / "tuning_running.png")
    beat.enter("tune")
    wait_for(lambda: tunings.task is None)
    wait_for(is_whole)
    rest()
    beat.enter("")
    watch.stop()
    seen["points seen"] = sorted(set(counts))
    seen["points"] = section.chart.points
    seen["outcome"] = section.outcome.text()
    seen["history of tuning"] = processing_history()
    seen["bar after tuning"] = message_texts()
    seen["trial"] = str(tunings.trial.path) if tunings.trial else ""
    seen["tuned is shown"] = section.tuned.isChecked()
    seen["tuned"] = save_estimate("tuned")
    seen["knob when tuned"] = [panel.choices.looks, panel.choices.knob]
    shot(FOLDER / "tuning_compare.png")
    narrow("trial")
    beat.enter("compare")
    section.tuned.trigger()
    wait_for(is_whole)
    seen["untuned again"] = save_estimate("untuned_again")
    section.tuned.trigger()
    wait_for(is_whole)
    rest()
    beat.enter("keep")
    section.name.setText("Kept one")
    section.keep.click()
    wait_for(is_whole)
    rest()
    beat.enter("")
    models = panel.model_section.models
    seen["kept"] = [models.currentData(), models.currentText(), models.findData("kept-one") >= 0]
    seen["kept files"] = sorted(path.name for path in MODELS.iterdir())
    seen["trial is gone"] = not Path(seen["trial"]).exists()
    seen["kept estimate"] = save_estimate("kept")


def tune_on_areas() -> None:
    """From the area drawn; then dropped."""
    panel = dock()
    section, tunings = panel.finetune_section, panel.tuning.tunings
    models = panel.model_section.models
    models.setCurrentIndex(models.findData("tiny-affine"))
    panel.knob_section.value.setValue(panel.choices.looks / 2)
    section.sources.setCurrentIndex(section.sources.findData("areas"))
    section.start.click()
    wait_for(lambda: tunings.task is None)
    seen["areas outcome"] = section.outcome.text()
    seen["areas trial"] = tunings.trial is not None
    path = tunings.trial.path if tunings.trial else None
    section.drop.click()
    seen["dropped"] = [
        path is not None and not path.exists(), panel.choices.model_file, section.tuned.isChecked(),
        section.tuned.isEnabled(), panel.choices.knob,
    ]  # fmt: skip


def stop_tuning(beat: Heartbeat) -> None:
    """By the dock's button, then from the task manager."""
    panel = dock()
    section, tunings = panel.finetune_section, panel.tuning.tunings
    section.sources.setCurrentIndex(section.sources.findData("visible"))
    panel.knob_section.preview.setChecked(False)
    rest()
    seen["stopped tunings"] = []
    for by in ("button", "manager"):
        beat.enter("cancel")
        was_running = wait_for_computing(start_tuning())
        section.stop.click() if by == "button" else tunings.task.cancel()
        stopped = wait_for(lambda: tunings.task is None, 300)
        beat.enter("")
        seen["stopped tunings"].append([was_running, stopped, section.outcome.text()])


def run(beat: Heartbeat) -> None:
    """The whole layer; the same call elsewhere."""
    panel = dock()
    section, models = panel.run_section, panel.model_section.models
    models.setCurrentIndex(models.findData("tiny-affine"))
    panel.knob_section.value.setValue(panel.choices.looks * 0.7)
    section.output.setFilePath(str(FOLDER / "tuning_run.tif"))
    beat.enter("run")
    section.run.click()
    seen["run"] = wait_for(lambda: panel.runs.task is None)
    rest()
    beat.enter("")
    seen["run outcome"] = section.outcome.text()
    section.output.setFilePath("")
    section.copy.trigger()
    seen["command"] = QApplication.clipboard().text()
    layers = QgsProject.instance().layerTreeRoot().findLayers()
    seen["tree"] = [node.name() for node in layers]
    seen["styles"] = [_stretch(node.layer()) for node in layers if "sample" in node.name()]
    seen["history"] = processing_history()
    section.open.trigger()
    QTest.qWait(500)
    dialog = panel.runs.dialogs[-1]
    seen["dialogs"] = [dialog.windowTitle(), dialog.isVisible()]
    parameters = getattr(dialog, "createProcessingParameters", None) or dialog.getParameterValues
    seen["dialog"] = {key: str(value) for key, value in parameters().items()}
    dialog.grab().save(str(FOLDER / "tuning_dialog.png"))
    dialog.close()
    narrow("run")
    seen["asked"] = {key: str(value) for key, value in panel.choices.parameters("", False).items()}


def _stretch(layer: Any) -> list[float]:
    enhancement = layer.renderer().contrastEnhancement()
    return [enhancement.minimumValue(), enhancement.maximumValue()]


def narrow(name: str) -> None:
    """A picture of the dock as a panel of 300 pixels."""
    panel, window = dock(), iface.mainWindow()
    width = panel.width()
    window.resizeDocks([panel], [300], Qt.Orientation.Horizontal)
    QTest.qWait(300)
    seen[f"narrow {name}"] = panel.width()
    panel.grab().save(str(FOLDER / f"tuning_narrow_{name}.png"))
    window.resizeDocks([panel], [width], Qt.Orientation.Horizontal)
    QTest.qWait(300)


def save_and_reload() -> None:
    """The project keeps what the dock was set to."""
    panel = dock()
    panel.layer_section.looks.setValue(3.25)
    panel.knob_section.value.setValue(6.5)
    panel.knob_section.views.setCurrentIndex(1)
    panel.run_section.output.setFilePath("/tmp/kept.tif")
    models = panel.model_section.models
    models.setCurrentIndex(models.findData("kept-one"))
    project = QgsProject.instance()
    polygon = [f.geometry().asWkt(3) for f in panel.areas.layer.getFeatures()]
    path = str(FOLDER / "tuning_project.qgz")
    seen["saved"] = project.write(path)
    before = dock_settings()
    # QGIS would ask whether to save the edits; the project has them already.
    panel.areas.store.save()
    project.clear()
    QTest.qWait(300)
    models.setCurrentIndex(models.findData("tiny-affine"))
    seen["cleared"] = dock_settings()
    seen["read"] = project.read(path)
    wait_for(lambda: panel.scene is not None, 300)
    QTest.qWait(300)
    seen["settings"] = [before, dock_settings()]
    layer = panel.areas.layer
    found = [] if layer is None else [f.geometry().asWkt(3) for f in layer.getFeatures()]
    seen["areas"] = [polygon, found, panel.areas_section.list.topLevelItemCount()]


def kill_engine() -> None:
    """In mid-run and in mid-tuning; then it works again."""
    panel = dock()
    models = panel.model_section.models
    panel.run_section.output.setFilePath(str(FOLDER / "tuning_killed.tif"))
    logged: list[str] = []
    log = QgsApplication.messageLog()
    log.messageReceived[str, str, "Qgis::MessageLevel"].connect(  # type: ignore[misc]
        lambda text, tag, level: logged.append(text) if tag == "Speckless" else None
    )
    seen["killed"] = []
    for start in (start_run, start_tuning):
        models.setCurrentIndex(models.findData("tiny-affine"))
        iface.messageBar().clearWidgets()
        logged.clear()
        job = start()
        was_running = wait_for_computing(job)
        pid = engine_pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        ended = wait_for(lambda job=job: job() is None, 300)
        seen["killed"].append(
            [was_running and pid is not None, ended, message_texts(), list(logged)]
        )
    seen["left by the killed"] = sorted(path.name for path in FOLDER.glob("*tuning_killed*"))
    seen["outcome of the killed"] = panel.run_section.outcome.text()
    models.setCurrentIndex(models.findData("tiny-affine"))
    panel.run_section.output.setFilePath(str(FOLDER / "tuning_after.tif"))
    panel.run_section.run.click()
    wait_for(lambda: panel.runs.task is None)
    seen["after the killed"] = (FOLDER / "tuning_after.tif").is_file()


def close_project() -> None:
    """In mid-run, and in mid-tuning."""
    panel = dock()
    seen["closed"] = []
    for start in (start_run, start_tuning):
        layer = iface.addRasterLayer(SAMPLE, "sample")
        QTest.qWait(200)
        choose(layer, "tiny-affine")
        panel.run_section.output.setFilePath(str(FOLDER / "tuning_closed.tif"))
        task = start()
        was_running = wait_for_computing(task)
        QgsProject.instance().clear()
        ended = wait_for(lambda task=task: task() is None, 300)
        QTest.qWait(200)
        seen["closed"].append(
            [was_running, ended, panel.choices.path, len(QgsProject.instance().mapLayers())]
        )
    seen["left by the closed"] = sorted(path.name for path in FOLDER.glob("*tuning_closed*"))


def reload_often() -> None:
    """Taken out and put in again; with engine and layer now and then, and all modules anew."""
    name = "speckless"
    QgsProject.instance().clear()
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
        panel = dock()
        panel.knob_section.preview.setChecked(True)
        panel.areas_section.actions_by_shape["polygon"].trigger()
        if number in (20, 40):
            layer = iface.addRasterLayer(SAMPLE, "sample")
            panel.setUserVisible(True)
            choose(layer, "tiny-affine")
            start_tuning()
            counts = [0]
            wait_for(lambda counts=counts: counts.append(len(children())) or counts[-1] > 0, 60)
            seen["processes in mid-reload"] = max(counts)
            panel.setUserVisible(False)
        QTest.qWait(1)
    qgis.utils.reloadPlugin(name)
    QgsProject.instance().clear()
    # Threads and processes that were told to end may take their time.
    wait_for(lambda: all(count <= before[name] for name, count in things().items()), 60)
    seen["before reloads"], seen["after reloads"] = before, things()


def unload() -> None:
    """In mid-tuning."""
    panel = dock()
    layer = iface.addRasterLayer(SAMPLE, "again")
    panel.setUserVisible(True)
    choose(layer, "tiny-affine")
    seen["was tuning"] = wait_for_computing(start_tuning())
    started = time.perf_counter()
    qgis.utils.unloadPlugin("speckless")
    seen["unload seconds"] = time.perf_counter() - started
    QTest.qWait(300)
    names = [widget.objectName() for widget in QApplication.allWidgets()]
    seen["left after unload"] = [name for name in names if name.lower().startswith("speckless")]
    seen["tasks after unload"] = QgsApplication.taskManager().count()
    seen["threads after unload"] = [t.name for t in threading.enumerate() if "Speckless" in t.name]
    seen["processes after unload"] = children()


def scenario() -> None:
    settings = QgsSettings()
    settings.setValue("speckless/model_folder", str(MODELS))
    settings.setValue("speckless/device", "cpu")
    qgis.utils.reloadPlugin("speckless")
    iface.mainWindow().resize(1600, 1000)
    beat = Heartbeat()
    wanted = os.environ.get("SPECKLESS_TEST_PARTS", "").split()
    for part in (
        lambda: look(beat), refuse, lambda: tune(beat), tune_on_areas, lambda: stop_tuning(beat),
        lambda: run(beat), save_and_reload, kill_engine, close_project, reload_often,
        unload,
    ):  # fmt: skip
        name = part.__name__ if part.__name__ != "<lambda>" else part.__code__.co_names[0]
        if wanted and name not in wanted:
            continue
        take("tuning", name, part)
    seen["main thread"] = beat.worst


perform("tuning", scenario)

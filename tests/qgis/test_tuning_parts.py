"""Parts of the fine-tuning in the dock that need no window: task, chart, section, history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toolbox
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer

from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.gui import history
from speckless.plugin.gui.choices import Choices
from speckless.plugin.gui.course_chart import CourseChart
from speckless.plugin.gui.finetune_section import FineTuneSection
from speckless.plugin.gui.tunings import why_not
from speckless.plugin.jobs.finetuning import FineTuneJob
from speckless.plugin.tasks.finetuning import FineTuneTask


@pytest.fixture
def job(scene: str, dopamine: str, tmp_path: Path) -> FineTuneJob:
    return FineTuneJob(
        scene, str(tmp_path / "tuned.safetensors"), model_file=dopamine, looks=4.0, epochs=2,
        learning_rate=1e-3, depth="head", augment=False, device="cpu",
        checkpoint=str(tmp_path / "state"),
    )  # fmt: skip


def test_task_tells_of_each_epoch(plugin: Any, job: FineTuneJob, qtbot: Any) -> None:
    told: list[Any] = []
    entries: list[dict[str, float]] = []
    task = FineTuneTask(job, "test", lambda *outcome: told.append(outcome), [])
    task.measured.connect(entries.append)
    QgsApplication.taskManager().addTask(task)
    qtbot.waitUntil(lambda: bool(told), timeout=300_000)
    result, problem = told[0]
    assert problem == ""
    qtbot.waitUntil(lambda: len(entries) == 3, timeout=5_000)
    assert entries == result.tuned.history


def test_layer_that_goes_takes_the_task_along(
    plugin: Any, scene: str, job: FineTuneJob, qtbot: Any
) -> None:
    layer = QgsRasterLayer(scene, "scene")
    QgsProject.instance().addMapLayer(layer)
    told: list[Any] = []
    task = FineTuneTask(job, "test", lambda *outcome: told.append(outcome), [layer])
    QgsApplication.taskManager().addTask(task)
    QgsProject.instance().removeMapLayer(layer)
    qtbot.waitUntil(lambda: bool(told), timeout=300_000)
    assert told == [(None, "")]
    assert not Path(job.output).exists()


def test_history_knows_the_call(plugin: Any, scene: str) -> None:
    parameters = Choices("", scene, 1, 1, "auto", 4.0, 0.5, "ffdnet-sar").parameters(
        "", False, by_path=True
    )
    assert history.record("speckless:despeckle", parameters)
    command = toolbox.history()[-1]
    assert command.startswith('processing.run("speckless:despeckle"')
    assert f"'INPUT':'{scene}'" in command
    assert "'LOOKS':4" in command
    assert "'KNOB':2" in command
    assert not history.record("speckless:no-such-thing", {})


def test_networks_that_cannot_be_tuned_say_why() -> None:
    affine = ModelCard(id="a", title="A", architecture="dopamine", affine=True)
    other = ModelCard(id="b", title="B", architecture="ffdnet")
    assert why_not(affine, True, 4.0) == ""
    assert "“B” cannot learn" in why_not(other, True, 4.0)
    assert "raster" in why_not(affine, False, None)
    assert "looks" in why_not(affine, True, None)
    assert "No model" in why_not(None, True, 4.0)


def test_section_offers_what_can_be_done(qgis_app: Any, qtbot: Any) -> None:
    section = FineTuneSection()
    qtbot.addWidget(section)
    switched: list[bool] = []
    kept: list[str] = []
    section.tuned_toggled.connect(switched.append)
    section.keep_asked.connect(kept.append)
    assert not section.start.isEnabled()
    section.set_problem("")
    section.set_knob(2.5)
    assert section.start.isEnabled()
    assert section.start.text() == "&Fine-tune at L = 2.5"
    section.set_running(True)
    assert not section.start.isEnabled()
    assert section.is_running
    section.set_running(False)
    section.set_trial("Mine")
    section.show_tuned(True)
    assert section.tuned.isChecked()
    assert switched == []  # told by the program, not by the user
    section.tuned.trigger()
    assert switched == [False]
    section.keep.click()
    section.name.setText("  ")
    assert not section.keep.isEnabled()
    section.keep_asked.disconnect()
    assert kept == ["Mine"]
    section.set_trial("")
    assert not section.tuned.isEnabled()
    assert section.minimumSizeHint().width() < 300


def test_chart_draws_what_it_is_given(qgis_app: Any, qtbot: Any) -> None:
    chart = CourseChart()
    qtbot.addWidget(chart)
    chart.resize(220, 96)
    empty = chart.grab().toImage()
    chart.set_points([(0, 0.3, 0.0), (1, 0.2, 0.01), (2, 0.25, 0.02)], 10)
    drawn = chart.grab().toImage()
    assert drawn != empty
    assert chart.points == ((0, 0.3, 0.0), (1, 0.2, 0.01), (2, 0.25, 0.02))
    # Equal values have no spread to be scaled by.
    chart.set_points([(0, 0.3, 0.0)], 10)
    assert chart.grab().toImage() not in (empty, drawn)

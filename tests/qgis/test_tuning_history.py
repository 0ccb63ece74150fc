"""Fine-tunings of the dock in Processing's history: the calls make the same networks."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from safetensors.numpy import load_file
from toolbox import history

from speckless.plugin.core.tiling import Window
from speckless.plugin.gui import area_layer
from speckless.plugin.gui.choices import Choices
from speckless.plugin.gui.finetune_section import AREAS, VISIBLE, FineTuneSection
from speckless.plugin.gui.places import extent_text
from speckless.plugin.gui.tunings import Tunings
from speckless.plugin.raster.placing import Placement
from speckless.processing_provider.extents import pixel_window

Write = Callable[..., str]
OUTLINE = "Polygon ((500105 4599905, 500655 4599905, 500655 4599455, 500105 4599905))"


def calls() -> list[str]:
    """Those of fine-tunings, in QGIS's order."""
    return [call for call in history() if call.startswith('processing.run("speckless:finetune"')]


@pytest.fixture
def layer(plugin: Any, scene: str) -> Iterator[QgsRasterLayer]:
    project = QgsProject.instance()
    project.clear()
    layer = QgsRasterLayer(scene, "scene")
    project.addMapLayer(layer)
    yield layer
    project.clear()


@pytest.fixture
def tune(
    layer: QgsRasterLayer, scene: str, dopamine: str, user_models: Path, qtbot: Any
) -> Iterator[Callable[[str, Window], Tunings]]:
    user_models.mkdir(parents=True)
    shutil.copy(dopamine, user_models / "tiny.safetensors")
    opened: list[Tunings] = []

    def tune(source: str, window: Window) -> Tunings:
        """Fine-tune as the dock does, until it is over."""
        bar = SimpleNamespace(pushSuccess=print, pushWarning=print, pushCritical=print)
        section = FineTuneSection()
        qtbot.addWidget(section)
        section.sources.setCurrentIndex(section.sources.findData(source))
        section.depths.setCurrentIndex(section.depths.findData("head"))
        choices = Choices(layer.id(), scene, 1, 1, "auto", 4.0, 0.3, "tiny")
        placement = Placement(scene)
        tunings = Tunings(
            SimpleNamespace(messageBar=lambda: bar), section, lambda: choices, lambda: window,
            lambda shown: extent_text(placement, shown), section,
        )  # fmt: skip
        opened.append(tunings)
        tunings.start()
        qtbot.waitUntil(lambda: tunings.task is None, timeout=120_000)
        assert tunings.trial is not None, section.outcome.text()
        return tunings

    yield tune
    for tunings in opened:
        tunings.close()


def add_areas(path: str) -> QgsVectorLayer:
    """A layer with one area, in the project: in memory, or in a file."""
    areas = QgsVectorLayer("Polygon?crs=EPSG:32631&field=name:string(80)", "Areas", "memory")
    feature = QgsFeature(areas.fields())
    feature.setGeometry(QgsGeometry.fromWkt(OUTLINE))
    areas.dataProvider().addFeatures([feature])
    if path:
        return area_layer.save_as(areas, path)
    areas.setCustomProperty(area_layer.MARK, area_layer.MADE)
    QgsProject.instance().addMapLayer(areas)
    return areas


@pytest.mark.parametrize("source", [VISIBLE, AREAS])
def test_call_makes_the_same_network(
    tune: Callable[..., Tunings], finetune: Callable[..., Any], source: str, scene: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    if source == AREAS:
        add_areas(str(tmp_path / "areas.gpkg"))
    before = len(calls())
    tunings = tune(source, Window(7, 3, 40, 50))
    assert len(calls()) == before + 1
    parameters = ast.literal_eval(calls()[-1].partition(", ")[2].rpartition(")")[0])
    assert parameters["INPUT"] == scene
    assert parameters["MODEL_OUTPUT"] == "TEMPORARY_OUTPUT"
    assert ("EXTENT" in parameters, "TRAINING_AREA" in parameters) == (
        source == VISIBLE, source == AREAS,
    )  # fmt: skip
    # What the fixture sets for short runs is left to the call.
    usual = dict.fromkeys(("MODEL_FILE", "LEARNING_RATE"))
    usual |= {"EPOCHS": 0, "AUGMENT": "AFT", "DEVICE": "auto"}
    again = str(tmp_path / "again.safetensors")
    finetune(**{**usual, **parameters, "MODEL_OUTPUT": again})
    assert tunings.trial is not None
    ours, theirs = load_file(tunings.trial.path), load_file(again)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(theirs[name], values)


@pytest.mark.parametrize("state", ["in memory", "not saved"])
def test_areas_that_no_call_can_name_are_left_out(
    tune: Callable[..., Tunings], tmp_path: Path, state: str
) -> None:
    areas = add_areas("" if state == "in memory" else str(tmp_path / "areas.gpkg"))
    if state == "not saved":
        assert areas.startEditing()
        assert areas.addFeature(QgsFeature(next(areas.getFeatures())))
    before = calls()
    tune(AREAS, Window(0, 0, 80, 60))
    assert calls() == before
    areas.rollBack()


@pytest.mark.parametrize(
    "transform",
    [
        (ORIGIN[0], PIXEL, 0.0, ORIGIN[1], 0.0, -PIXEL),
        (3.1, 1 / 11113, 0.0, 51.7, 0.0, -1 / 11117),
        (1000.0, 0.0, 10.0, 5000.0, 10.0, 0.0),  # columns point north, rows east
    ],
)
def test_extent_gives_the_window_back(write_raster: Write, transform: tuple[float, ...]) -> None:
    path = write_raster(np.ones((61, 83)), transform=transform)
    placement = Placement(path)
    for window in (Window(7, 3, 40, 50), Window(0, 0, 82, 61), Window(82, 60, 1, 1)):
        text = extent_text(placement, window)
        assert text
        west, east, south, north = map(float, text.split(","))
        corners = [(west, south), (east, south), (east, north), (west, north)]
        assert pixel_window(path, corners) == window
    assert extent_text(placement, Window(0, 0, 83, 61)) == ""


def test_rotated_windows_have_no_extent(write_raster: Write) -> None:
    path = write_raster(np.ones((61, 83)), transform=(1000.0, 8.0, 6.0, 5000.0, 6.0, -8.0))
    placement = Placement(path)
    assert extent_text(placement, Window(7, 3, 40, 50)) is None
    assert extent_text(placement, Window(0, 0, 83, 61)) == ""

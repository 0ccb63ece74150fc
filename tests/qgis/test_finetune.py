"""speckless:finetune: what it writes and tells, and from which pixels it learns."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL, Recorder, read
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsVectorLayer,
)
from toolbox import declared, made_by_default

Run = Callable[..., dict[str, Any]]

# Name, type, default, optional, advanced.
PARAMETERS = [
    ("INPUT", "raster", None, False, False),
    ("BANDS", "band", None, True, False),
    ("MODEL", "enum", "dopamine-sar", False, False),
    ("MODEL_FILE", "file", None, True, False),
    ("DOMAIN", "enum", "auto", False, False),
    ("LOOKS", "number", None, True, False),
    ("KNOB", "number", None, True, False),
    ("EXTENT", "extent", None, True, False),
    ("TRAINING_AREA", "source", None, True, False),
    ("METHOD", "enum", "auto", False, False),
    ("REFERENCE", "raster", None, True, False),
    ("EPOCHS", "number", 0, False, False),
    ("LEARNING_RATE", "number", None, True, False),
    ("AUGMENT", "enum", "AFT", False, False),
    ("DEPTH", "enum", "full", False, False),
    ("SEED", "number", 0, False, False),
    ("ADD_TO_MODELS", "boolean", False, False, False),
    ("STRIDE", "number", 0, False, True),
    ("PIXELS", "number", 262144, False, True),
    ("MU", "number", 0.01, False, True),
    ("XI", "number", 1, False, True),
    ("LAMBDA", "number", 0, False, True),
    ("SELF_ENSEMBLE", "boolean", False, False, True),
    ("DEVICE", "string", "auto", False, True),
    ("PRECISION", "enum", "auto", False, True),
    ("MODEL_OUTPUT", "fileDestination", None, False, False),
    ("OUTPUT", "rasterDestination", None, True, False),
    ("REPORT", "fileDestination", None, True, False),
]
FIGURES = [
    "RISK_BEFORE", "RISK_AFTER", "RISK_CHANGE", "RISK_CHANGE_ERROR", "BEST_EPOCH", "STRIDE_USED",
    "LOOKS_USED", "MODEL_ID", "DEVICE_USED",
]  # fmt: skip


def card_of(path: str) -> Any:
    from speckless.plugin.core.models.card import ModelCard

    return ModelCard.read(path)


def polygons(crs: str, *boxes: tuple[int, int, int, int]) -> QgsVectorLayer:
    """Layer of rectangles given in pixels of the scene: left, top, right, bottom."""
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "areas", "memory")
    utm, own = QgsCoordinateReferenceSystem("EPSG:32631"), QgsCoordinateReferenceSystem(crs)
    transform = QgsCoordinateTransform(utm, own, QgsProject.instance())
    for left, top, right, bottom in boxes:
        x0, x1 = ORIGIN[0] + left * PIXEL, ORIGIN[0] + right * PIXEL
        y0, y1 = ORIGIN[1] - top * PIXEL, ORIGIN[1] - bottom * PIXEL
        text = f"POLYGON (({x0} {y0}, {x1} {y0}, {x1} {y1}, {x0} {y1}, {x0} {y0}))"
        geometry = QgsGeometry.fromWkt(text)
        geometry.transform(transform)
        feature = QgsFeature()
        feature.setGeometry(geometry)
        layer.dataProvider().addFeature(feature)
    return layer


@pytest.fixture
def learnt_from(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Scenes that a run hands to the engine."""
    from speckless.plugin.engine.client import TuningRequest

    seen: list[Any] = []
    write = TuningRequest.write_scenes

    def recording(self: Any, path: Path) -> None:
        seen.extend(self.scenes)
        write(self, path)

    monkeypatch.setattr(TuningRequest, "write_scenes", recording)
    return seen


def test_parameters_and_outputs_are_stable(plugin: Any) -> None:
    algorithm = plugin.provider.algorithm("finetune").create()
    assert declared(algorithm) == PARAMETERS
    names = [output.name() for output in algorithm.outputDefinitions()]
    assert names == ["MODEL_OUTPUT", "OUTPUT", "REPORT", *FIGURES]
    for name, options in (("AUGMENT", ["AFT", "FT"]), ("DEPTH", ["full", "head", "scale"])):
        definition = algorithm.parameterDefinition(name)
        assert definition.usesStaticStrings() and definition.options() == options
    assert made_by_default(algorithm) == ["MODEL_OUTPUT"]


def test_models_that_need_no_reference_are_offered_first(plugin: Any) -> None:
    algorithm = plugin.provider.algorithm("finetune").create()
    options = algorithm.parameterDefinition("MODEL").options()
    assert options[0] == "dopamine-sar"
    assert options.index("ffdnet-sar") > options.index("dopamine-l8")
    assert len(options) == len(set(options))


def test_help_explains_every_parameter(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from qgis import utils

    monkeypatch.setattr(utils, "iface", object())
    algorithm = plugin.provider.algorithm("finetune").create()
    text = algorithm.shortHelpString()
    for definition in algorithm.parameterDefinitions():
        assert definition.help()
        assert definition.description() in text
    for output in FIGURES:
        assert output in text
    assert "doi:10.1609/aaai.v33i01.33014031" in text


def test_tuned_model_and_figures(
    finetune: Run, run: Run, scene: str, dopamine: str, tmp_path: Path
) -> None:
    model, output = str(tmp_path / "mine.safetensors"), str(tmp_path / "x.tif")
    feedback = Recorder()
    results = finetune(
        feedback, INPUT=scene, MODEL_OUTPUT=model, OUTPUT=output, AUGMENT="AFT", EPOCHS=2
    )
    card = card_of(model)
    assert (card.id, card.parent, card.title) == ("mine", "tiny", "Tiny, tuned on scene.tif")
    assert card.training["parent_sha256"] == card_of(dopamine).tensors_sha256
    assert card.training["recipe"]["looks"] == 4
    assert results["MODEL_OUTPUT"] == model and results["OUTPUT"] == output
    assert results["MODEL_ID"] == "mine" and results["LOOKS_USED"] == 4
    assert results["BEST_EPOCH"] in (1, 2) and results["STRIDE_USED"] == 1
    assert results["RISK_AFTER"] < results["RISK_BEFORE"]
    change = results["RISK_AFTER"] - results["RISK_BEFORE"]
    assert results["RISK_CHANGE"] == pytest.approx(change)
    assert 0 < results["RISK_CHANGE_ERROR"] < -results["RISK_CHANGE"]
    assert card.quality["risk_after"] == results["RISK_AFTER"]
    assert sum(line.startswith("Epoch") for line in feedback.infos) == 2
    # The same file does the same in despeckle.
    again = str(tmp_path / "again.tif")
    run(INPUT=scene, MODEL_FILE=model, OUTPUT=again)
    np.testing.assert_array_equal(read(again), read(output))
    before = str(tmp_path / "before.tif")
    run(INPUT=scene, MODEL_FILE=dopamine, OUTPUT=before)
    assert not np.allclose(read(before), read(output), rtol=1e-3)


def test_settings_reach_the_recipe(finetune: Run, scene: str) -> None:
    results = finetune(
        INPUT=scene, KNOB=2, EPOCHS=3, LEARNING_RATE=None, AUGMENT="FT", DEPTH="scale", SEED=5,
        STRIDE=2, PRECISION="fp32",
    )  # fmt: skip
    recipe = card_of(results["MODEL_OUTPUT"]).training["recipe"]
    wanted = {
        "looks": 4, "knob": 2, "epochs": 3, "learning_rate": 1e-3, "augment": False,
        "depth": "scale", "seed": 5, "stride": 2,
    }  # fmt: skip
    assert {name: recipe[name] for name in wanted} == wanted
    assert results["STRIDE_USED"] == 2 and results["LOOKS_USED"] == 4


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3857"])
def test_polygons_in_any_crs(finetune: Run, scene: str, learnt_from: list[Any], crs: str) -> None:
    layer = polygons(crs, (10, 5, 40, 25), (30, 20, 60, 50))
    finetune(INPUT=scene, TRAINING_AREA=layer, DEPTH="head")
    wanted = np.zeros((60, 80), bool)
    wanted[5:25, 10:40] = wanted[20:50, 30:60] = True
    found = sum(int(s.usable().sum()) for s in learnt_from)
    assert found == wanted.sum()


def test_selected_polygons_and_extent_limit_learning_not_the_image(
    finetune: Run, scene: str, learnt_from: list[Any], tmp_path: Path
) -> None:
    layer = polygons("EPSG:4326", (10, 5, 40, 25), (30, 20, 60, 50))
    layer.selectByIds([1])
    QgsProject.instance().addMapLayer(layer)
    try:
        extent = [ORIGIN[0], ORIGIN[0] + 50 * PIXEL, ORIGIN[1] - 40 * PIXEL, ORIGIN[1]]
        output = str(tmp_path / "x.tif")
        finetune(
            INPUT=scene, OUTPUT=output, DEPTH="head",
            TRAINING_AREA=QgsProcessingFeatureSourceDefinition(layer.id(), True),
            EXTENT=",".join(map(str, extent)) + " [EPSG:32631]",
        )  # fmt: skip
    finally:
        QgsProject.instance().removeMapLayer(layer.id())
    assert sum(int(s.usable().sum()) for s in learnt_from) == 30 * 20
    dataset = gdal.Open(output)
    assert (dataset.RasterXSize, dataset.RasterYSize) == (50, 40)


def test_tuned_model_joins_the_list(
    plugin: Any, finetune: Run, scene: str, user_models: Path, tmp_path: Path
) -> None:
    results = finetune(INPUT=scene, ADD_TO_MODELS=True)
    assert results["MODEL_ID"] == "tiny-scene"
    again = finetune(INPUT=scene, ADD_TO_MODELS=True, SEED=1)
    assert again["MODEL_ID"] == "tiny-scene-2"
    assert sorted(p.name for p in user_models.iterdir()) == [
        "tiny-scene-2.safetensors", "tiny-scene.safetensors",
    ]  # fmt: skip
    for name in ("despeckle", "finetune"):
        algorithm = plugin.provider.algorithm(name).create()
        options = algorithm.parameterDefinition("MODEL").options()
        assert {"tiny-scene", "tiny-scene-2"} <= set(options)
    despeckle = plugin.provider.algorithm("despeckle").create()
    wanted = {"INPUT": scene, "MODEL": "tiny-scene-2", "OUTPUT": str(tmp_path / "x.tif")}
    used, done = despeckle.run(wanted, QgsProcessingContext(), Recorder())
    assert done and used["MODEL_USED"] == "tiny-scene-2"
    start = finetune(INPUT=scene, MODEL_FILE=None, MODEL="tiny-scene")
    assert card_of(start["MODEL_OUTPUT"]).parent == "tiny-scene"


def test_model_saved_in_the_folder_is_not_doubled(
    finetune: Run, scene: str, user_models: Path
) -> None:
    user_models.mkdir(parents=True)
    target = str(user_models / "mine.safetensors")
    for seed in (0, 1):  # the second replaces the first
        results = finetune(INPUT=scene, MODEL_OUTPUT=target, ADD_TO_MODELS=True, SEED=seed)
        assert results["MODEL_ID"] == "mine"
    assert [p.name for p in user_models.iterdir()] == ["mine.safetensors"]
    assert card_of(target).training["recipe"]["seed"] == 1


def test_broken_and_double_files_do_not_break_the_list(
    plugin: Any, user_models: Path, dopamine: str, boxcar: str
) -> None:
    from qgis.core import QgsApplication

    from speckless.plugin.core.models.registry import weight_files

    said: list[str] = []
    log = QgsApplication.messageLog()
    log.messageReceived.connect(lambda *values: said.append(str(values[0])))
    user_models.mkdir(parents=True)
    whole = Path(dopamine).read_bytes()
    (user_models / "cut.safetensors").write_bytes(whole[:-9])
    (user_models / "junk.safetensors").write_bytes(b"junk")
    (user_models / "one.safetensors").write_bytes(whole)
    (user_models / "two.safetensors").write_bytes(whole)
    shutil.copy(boxcar, user_models / "three.safetensors")
    for _ in range(2):
        algorithm = plugin.provider.algorithm("finetune").create()
        options = algorithm.parameterDefinition("MODEL").options()
        shipped = {path.stem for path in weight_files()}
        assert [name for name in options if name not in shipped] == ["tiny", "boxcar-3"]
    complaints = [text for text in said if str(user_models) in text]
    assert len(complaints) == 3  # each once


def test_batch_reuses_the_algorithm(
    plugin: Any, dopamine: str, write_raster: Callable[..., str], tmp_path: Path
) -> None:
    algorithm = plugin.provider.algorithm("finetune").create()
    for number in (1, 2):
        values = np.random.default_rng(number).gamma(4.0, 0.25, (40, 40))
        parameters = {
            "INPUT": write_raster(values, f"s{number}.tif"), "MODEL_FILE": dopamine, "LOOKS": 4,
            "EPOCHS": 1, "DEPTH": "head", "MODEL_OUTPUT": str(tmp_path / f"m{number}.safetensors"),
        }  # fmt: skip
        context = QgsProcessingContext()
        assert algorithm.checkParameterValues(parameters, context)[0]
        assert algorithm.run(parameters, context, Recorder())[1]
        assert card_of(parameters["MODEL_OUTPUT"]).id == f"m{number}"

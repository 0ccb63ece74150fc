"""speckless:train and speckless:temporalreference in QGIS: stable names, runs, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import Recorder, read
from qgis.core import (
    QgsProcessingException,
    QgsProcessingParameterDefinition,
)
from toolbox import Run, in_toolbox

# Name, type, default, optional.
TRAIN = [
    ("CLEAN_FOLDER", "file", None, True),
    ("NOISY", "multilayer", None, True),
    ("REFERENCES", "multilayer", None, True),
    ("NOISY_FOLDER", "file", None, True),
    ("REFERENCE_FOLDER", "file", None, True),
    ("DOMAIN", "enum", "auto", False),
    ("LOOKS", "number", None, True),
    ("SPECKLE", "enum", "correlated", False),
    ("LOOKS_FROM", "number", 1.0, False),
    ("LOOKS_TO", "number", 8.0, False),
    ("STRETCH", "boolean", True, False),
    ("ARCHITECTURE", "enum", "ffdnet", False),
    ("PARENT", "enum", None, True),
    ("MODEL_FILE", "file", None, True),
    ("LOSS", "enum", "log", False),
    ("MINUTES", "number", 30.0, False),
    ("STEPS", "number", None, True),
    ("VALIDATION", "number", 0.1, False),
    ("ADD_TO_MODELS", "boolean", False, False),
    ("ARGUMENTS", "string", None, True),
    ("TITLE", "string", None, True),
    ("PATCH", "number", 64, False),
    ("BATCH", "number", 16, False),
    ("LEARNING_RATE", "number", 1e-3, False),
    ("SEED", "number", 0, False),
    ("HALF", "enum", "auto", False),
    ("DEVICE", "string", "auto", False),
    ("PRECISION", "enum", "auto", False),
    ("MODEL_OUTPUT", "fileDestination", None, False),
    ("REPORT", "fileDestination", None, True),
]
REFERENCE = [
    ("INPUT", "multilayer", None, False),
    ("BANDS", "string", None, True),
    ("DOMAIN", "enum", "auto", False),
    ("THRESHOLD", "number", 0.1, True),
    ("SPREAD_MEASURE", "enum", "deviation", False),
    ("STATISTIC", "enum", "mean", False),
    ("MIN_DATES", "number", 2, False),
    ("MULTILOOK", "number", 1, False),
    ("CREATION_OPTIONS", "string", "", True),
    ("OUTPUT", "rasterDestination", None, False),
    ("COUNT", "rasterDestination", None, True),
    ("SPREAD", "rasterDestination", None, True),
    ("MASK", "rasterDestination", None, True),
]


@pytest.fixture
def run(plugin: Any) -> Run:
    return lambda name, *given, **parameters: in_toolbox(plugin, name)(*given, **parameters)


@pytest.fixture
def pair(write_raster: Callable[..., str]) -> tuple[str, str]:
    rng = np.random.default_rng(0)
    clean = np.exp(np.sin(np.arange(64) / 5))[None] * np.ones((56, 1))
    noisy = clean * rng.gamma(4, 0.25, clean.shape)
    return write_raster(noisy, "n.tif"), write_raster(clean, "c.tif")


def tiny(pair: tuple[str, str], tmp_path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "NOISY": [pair[0]], "REFERENCES": [pair[1]], "LOOKS": 4, "ARCHITECTURE": "ffdnet",
        "ARGUMENTS": "layers=3, channels=4", "PATCH": 16, "BATCH": 4, "STEPS": 4, "MINUTES": 0,
        "VALIDATION": 0.3, "DEVICE": "cpu", "MODEL_OUTPUT": str(tmp_path / "own.safetensors"),
        **changes,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), [("train", TRAIN), ("temporalreference", REFERENCE)])
def test_parameters_are_stable_and_explained(plugin: Any, name: str, expected: Any) -> None:
    algorithm = plugin.provider.algorithm(name).create()
    optional = QgsProcessingParameterDefinition.Flag.FlagOptional
    found = []
    for definition in algorithm.parameterDefinitions():
        assert definition.help(), definition.name()
        default = definition.defaultValue()
        found.append(
            (definition.name(), definition.type(), default, bool(definition.flags() & optional))
        )
    assert found == expected


def test_training_on_pairs_gives_a_model_that_despeckles(
    run: Run, pair: tuple[str, str], tmp_path: Path, user_models: Path
) -> None:
    report = tmp_path / "r.html"
    feedback = Recorder()
    results = run("train", feedback, **tiny(pair, tmp_path, REPORT=str(report), ADD_TO_MODELS=True))
    assert results["MODEL_ID"] == "own" and results["STEPS_DONE"] == 4
    assert results["HELD_OUT_LOSS"] > 0 and results["LOG_RMSE"] > 0 and results["PSNR"] is None
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert any(line.startswith("step 4") for line in feedback.infos)
    assert [p.name for p in user_models.iterdir()] == ["own.safetensors"]
    assert sorted(p.name for p in tmp_path.glob("own*")) == ["own.safetensors"]
    for name, values in (
        ("f", {"MODEL_FILE": results["MODEL_OUTPUT"]}), ("l", {"MODEL": "own"}),
    ):  # fmt: skip
        output = str(tmp_path / f"{name}.tif")
        run("despeckle", INPUT=pair[0], LOOKS=4, OUTPUT=output, DEVICE="cpu", **values)
        assert np.isfinite(read(output)).all()
    np.testing.assert_array_equal(read(str(tmp_path / "f.tif")), read(str(tmp_path / "l.tif")))
    again = run("train", **tiny(pair, tmp_path, PARENT="own", ARGUMENTS="", LEARNING_RATE=1e-4))
    assert again["STEPS_DONE"] == 4


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"NOISY": [], "REFERENCES": []}, "Give either"),
        ({"REFERENCES": []}, "at least one of each"),
        ({"CLEAN_FOLDER": "/tmp"}, "more than one"),
        ({"MINUTES": 0, "STEPS": None}, "MINUTES, STEPS"),
        ({"LOOKS_FROM": 9}, "range of looks"),
        ({"ARGUMENTS": "layers"}, "NAME=VALUE"),
        ({"ARCHITECTURE": "boxcar"}, "ARCHITECTURE must be one of"),
        ({"MODEL_FILE": "/nowhere.safetensors"}, "cannot be read"),
        ({"MODEL_OUTPUT": "/nowhere/m.safetensors"}, "does not exist"),
        ({"DEVICE": "abacus"}, "Unknown device"),
        ({"NOISY": ["/nowhere.tif"]}, "nowhere"),
    ],
)
def test_wrong_parameters_are_refused(
    run: Run, pair: tuple[str, str], tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        run("train", **tiny(pair, tmp_path, **changes))


def test_empty_folder_of_images_is_told(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(QgsProcessingException, match="No images"):
        run("train", **tiny(pair, tmp_path, NOISY=[], REFERENCES=[], CLEAN_FOLDER=str(empty)))


def test_reference_of_a_stack(run: Run, write_raster: Callable[..., str], tmp_path: Path) -> None:
    dates = np.stack([np.full((6, 8), 0.1), np.full((6, 8), 0.2), np.full((6, 8), 0.15)])
    dates[2, 0, 0] = 0.9
    output, count = str(tmp_path / "o.tif"), str(tmp_path / "c.tif")
    stack = write_raster(dates, "stack.tif")
    results = run("temporalreference", INPUT=[stack], OUTPUT=output, COUNT=count)
    assert results["DATES"] == 3 and results["STABLE_SHARE"] == pytest.approx(47 / 48)
    found = read(output)
    assert np.isnan(found[0, 0]) and found[3, 3] == pytest.approx(0.15)
    assert (read(count) == 3).all()
    layers = [write_raster(date, f"d{n}.tif") for n, date in enumerate(dates)]
    other = str(tmp_path / "o2.tif")
    run("temporalreference", INPUT=layers, OUTPUT=other)
    np.testing.assert_array_equal(read(other), found)
    run("temporalreference", INPUT=[stack], BANDS="1,2", THRESHOLD=None, OUTPUT=other)
    assert read(other)[0, 0] == pytest.approx(0.15)
    with pytest.raises(ValueError, match="BANDS must be numbers"):
        run("temporalreference", INPUT=[stack], BANDS="one", OUTPUT=other)
    with pytest.raises(QgsProcessingException, match="two dates"):
        run("temporalreference", INPUT=[layers[0]], OUTPUT=other)

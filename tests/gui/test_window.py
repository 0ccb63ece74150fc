"""The plugin in a real QGIS window, on a real screen (Xvfb), in a profile of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import TINY, save_network
from osgeo import gdal
from scenarios import OUTPUT, SAMPLE

from speckless.benchmarks.window import run_qgis


@pytest.fixture(scope="module")
def folder() -> Path:
    """Screenshots stay here to be looked at; git ignores it."""
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / ".gitignore").write_text("*\n")
    for name in (
        "seen.json", "despeckled.tif", "dialog.png", "window.png", "finetune.png",
        "tuned.safetensors", "report.html",
    ):  # fmt: skip
        (OUTPUT / name).unlink(missing_ok=True)
    return OUTPUT


@pytest.fixture(scope="module")
def seen(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scenario saw in the window."""
    models = tmp_path_factory.mktemp("gui")
    mean = save_network(
        models / "mean.safetensors", {"radius": 2}, "boxcar", "none", "Mean of 5×5", "mean-5"
    )
    affine = save_network(models / "tiny.safetensors", TINY, title="Tiny")
    variables = {
        "SPECKLESS_TEST_OUTPUT": str(folder),
        "SPECKLESS_TEST_SAMPLE": str(SAMPLE),
        "SPECKLESS_TEST_MODEL": str(mean),
        "SPECKLESS_TEST_AFFINE": str(affine),
    }
    errors = run_qgis(Path(__file__).with_name("despeckle_scenario.py"), variables)
    assert (folder / "seen.json").is_file(), errors
    found = json.loads((folder / "seen.json").read_text())
    assert "error" not in found, found["error"]
    return found


def test_plugin_is_loaded(seen: dict[str, Any]) -> None:
    names = {"despeckle", "despeckle_and_ratio", "finetune", "finetune_despeckle_and_ratio"}
    assert {f"speckless:{name}" for name in names} <= set(seen["algorithms"])


def test_python_warns_of_nothing_in_the_plugin(seen: dict[str, Any]) -> None:
    # QGIS logs deprecations with the stack they come from.
    assert [text for text in seen["complaints"] if "plugins/speckless" in text] == []


def test_dialog_makes_a_layer(seen: dict[str, Any], folder: Path) -> None:
    assert seen["finished"]
    assert seen["valid"]
    assert seen["result"] == str(folder / "despeckled.tif")


def test_dialog_tunes_a_model(seen: dict[str, Any], folder: Path) -> None:
    from speckless.plugin.core.models.card import ModelCard

    assert seen["tuned"]
    assert ModelCard.read(folder / "tuned.safetensors").parent == "tiny"


def test_result_is_shown_like_the_input(seen: dict[str, Any]) -> None:
    assert seen["contrast after"] == seen["contrast before"]


def test_result_is_smoother(seen: dict[str, Any], folder: Path) -> None:
    before = gdal.Open(str(SAMPLE)).ReadAsArray()
    after = gdal.Open(str(folder / "despeckled.tif")).ReadAsArray()
    assert after.shape == before.shape
    valid = before != -99
    assert np.std(after[valid]) < 0.95 * np.std(before[valid])


@pytest.mark.parametrize("name", ["window.png", "dialog.png", "finetune.png"])
def test_window_was_drawn(seen: dict[str, Any], folder: Path, name: str) -> None:
    picture = gdal.Open(str(folder / name)).ReadAsArray()
    assert picture.shape[1] > 300
    assert picture.shape[2] > 500
    assert len(np.unique(picture[0])) > 50

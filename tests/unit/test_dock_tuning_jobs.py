"""What the dock's fine-tuning stands on: figures of epochs, polygons, keeping a model by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import TINY, save_network

from speckless.plugin.core.errors import InvalidInput, RasterError
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.registry import find
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.jobs.area_tuning import AreaTuningJob
from speckless.plugin.jobs.finetuning import FineTuneJob
from speckless.plugin.jobs.keeping import keep_model
from speckless.plugin.jobs.messages import Epoch

gdal = pytest.importorskip("osgeo.gdal")
ogr = pytest.importorskip("osgeo.ogr")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("model") / "tiny.safetensors", TINY, title="Tiny")


@pytest.fixture
def tuning(tmp_path: Path, model: Path) -> FineTuneJob:
    path = str(tmp_path / "scene.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 96, 64, 1, gdal.GDT_Float32)
    dataset.SetGeoTransform((1000.0, 10.0, 0.0, 2000.0, 0.0, -10.0))
    z = simulate_speckle((64, 96), 4.0, np.random.default_rng(0))
    dataset.GetRasterBand(1).WriteArray(z.astype(np.float32))
    dataset = None
    return FineTuneJob(
        path, str(tmp_path / "tuned.safetensors"), model_file=str(model), domain="intensity",
        looks=4.0, epochs=2, learning_rate=1e-3, depth="head", device="cpu",
        checkpoint=str(tmp_path / "state"),
    )  # fmt: skip


def rectangle(left: float, top: float, right: float, bottom: float) -> bytes:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    text = ", ".join(f"{x} {y}" for x, y in corners)
    return bytes(ogr.CreateGeometryFromWkt(f"POLYGON (({text}))").ExportToWkb())


def test_polygons_are_learnt_from_and_epochs_have_figures(tuning: FineTuneJob) -> None:
    told: list[Any] = []
    job = AreaTuningJob(tuning, [rectangle(1100, 1900, 1500, 1500)])
    result = job.run(lambda part, text: told.append(text), lambda: False)
    assert result.pixels == 40 * 40
    epochs = [text.entry for text in told if isinstance(text, Epoch)]
    assert epochs == result.tuned.history
    assert [entry["epoch"] for entry in epochs] == [0, 1, 2]
    assert f"{epochs[1]['risk']:.4g}" in next(t for t in told if t.startswith("Epoch 1"))


def test_polygons_outside_are_refused(tuning: FineTuneJob) -> None:
    job = AreaTuningJob(tuning, [rectangle(0, 100, 100, 0)])
    with pytest.raises(InvalidInput, match="outside the raster"):
        job.run(lambda part, text: None, lambda: False)
    assert not Path(tuning.output).exists()


def test_kept_model_is_the_same_network_under_a_name(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    card = keep_model(model, "  Étang,  L = 2.5 ", folder)
    assert (card.id, card.title) == ("étang-l-2.5", "Étang, L = 2.5")
    path = find(card.id, [folder])
    assert path == folder / "étang-l-2.5.safetensors"
    kept, before = load_model(path), load_model(model)
    for name, value in before.state_dict().items():
        torch.testing.assert_close(kept.state_dict()[name], value, rtol=0, atol=0)
    assert kept.card == card
    assert ModelCard.read(model).id == "tiny"


def test_names_that_are_taken_are_numbered(model: Path, tmp_path: Path) -> None:
    assert keep_model(model, "Mine", tmp_path).id == "mine"
    again = keep_model(model, "Mine", tmp_path)
    assert (again.id, again.title) == ("mine-2", "Mine")


def test_names_without_letters_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="letters or digits"):
        keep_model(model, " ./ ", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_leaves_nothing(model: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(RasterError, match="cannot be written"):
        keep_model(model, "Mine", tmp_path / "models")

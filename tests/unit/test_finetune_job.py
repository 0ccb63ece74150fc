"""The fine-tune job from raster to weights file, and every way it can fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import TINY, save_network

from speckless.plugin.core.errors import Cancelled, InvalidInput, RasterError
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs import finetuning
from speckless.plugin.jobs.despeckling import DespeckleJob
from speckless.plugin.jobs.finetuning import FineTuneJob

gdal = pytest.importorskip("osgeo.gdal")


def silent(part, text):
    del part, text


def never():
    return False


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_network(
        tmp_path_factory.mktemp("model") / "tiny.safetensors",
        {**TINY, "layers": 4, "channels": 6},
        title="Tiny",
    )


def write(path, image, nodata=None):
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), image.shape[1], image.shape[0], 1, gdal.GDT_Float32
    )
    dataset.GetRasterBand(1).WriteArray(image.astype(np.float32))
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    dataset = None
    return str(path)


def scene(size=96, psf=0.0, looks=4.0):
    y, x = np.mgrid[:size, :size]
    clean = 0.03 * (1 + 3 * ((x // 48 + y // 48) % 2))
    return clean * simulate_speckle(clean.shape, looks, np.random.default_rng(0), psf)


@pytest.fixture
def job(tmp_path, model):
    def make(image=None, **values):
        path = write(tmp_path / "scene.tif", scene() if image is None else image)
        defaults = {"looks": 4.0, "epochs": 2, "learning_rate": 1e-3, "model_file": str(model)}
        given = {**defaults, "domain": "intensity", "device": "cpu", **values}
        return FineTuneJob(path, str(tmp_path / "tuned.safetensors"), **given)

    return make


@pytest.mark.parametrize("depth", ["full", "head", "scale"])
def test_tuned_model_is_written_and_despeckles(job, tmp_path, model, depth):
    said = []
    tuning = job(depth=depth, checkpoint=str(tmp_path / "state"))
    result = tuning.run(lambda part, text: said.append((part, text)), never)
    card = ModelCard.read(result.path)
    assert (card.id, card.parent, card.title) == ("tuned", "tiny", "Tiny, tuned on scene.tif")
    assert card.training["parent_sha256"] == ModelCard.read(model).tensors_sha256
    assert card.training["recipe"]["looks"] == 4.0
    assert card.quality["risk_after"] == result.risk_after <= result.risk_before
    assert result.stride == 1 and abs(result.correlation) < 0.1
    assert result.pixels == 96 * 96
    assert len(result.tuned.history) == 3
    assert sum("Epoch" in text for _, text in said) == 2
    assert [part for part, _ in said] == sorted(part for part, _ in said)
    assert not (tmp_path / "state").exists()
    output = str(tmp_path / "x.tif")
    DespeckleJob(tuning.input, output, model_file=result.path, looks=4.0, device="cpu").run(
        silent, never
    )
    assert np.isfinite(gdal.Open(output).ReadAsArray()).all()


def test_cancelled_job_goes_on_where_it_was(job, tmp_path):
    state = tmp_path / "state"
    seen = []

    def after_one_epoch():
        return any("Epoch 1" in text for text in seen)

    stopped = job(checkpoint=str(state), epochs=20, patience=0)
    with pytest.raises(Cancelled):
        stopped.run(lambda part, text: seen.append(text), after_one_epoch)
    assert not (tmp_path / "tuned.safetensors").exists()
    done = torch.load(state, weights_only=True)["tuner"]["done"]
    assert 8 <= done < 160
    first = []
    resumed = stopped.run(lambda part, text: first.append(part), never)
    assert len(resumed.tuned.history) == 21
    unbroken = job(epochs=20, patience=0).run(silent, never)
    assert unbroken.tuned.card.tensors_sha256 == resumed.tuned.card.tensors_sha256
    assert not state.exists()


def test_foreign_checkpoint_is_refused(job, tmp_path):
    state = tmp_path / "state"
    torch.save({"parent": "another", "tuner": {}}, state)
    with pytest.raises(InvalidInput, match="another model"):
        job(checkpoint=str(state)).run(silent, never)


def test_divergence_leaves_neither_model_nor_checkpoint(job, tmp_path):
    state = tmp_path / "state"
    with pytest.raises(InvalidInput, match="diverged"):
        job(checkpoint=str(state), learning_rate=1e30).run(silent, never)
    assert not state.exists()
    assert not (tmp_path / "tuned.safetensors").exists()


@pytest.mark.parametrize("psf, strides", [(0.0, {1}), (0.9, {2, 3})])
def test_correlated_speckle_is_learnt_from_at_a_stride(job, psf, strides):
    texts = []
    image = 0.1 * simulate_speckle((128, 128), 4, np.random.default_rng(1), psf)
    result = job(image, epochs=1).run(lambda part, text: texts.append(text), never)
    assert result.stride in strides
    assert any("correlated" in text for text in texts) == (psf > 0)
    assert result.tuned.card.training["recipe"]["stride"] == result.stride
    if psf:
        given = job(image, epochs=1, stride=1).run(silent, never)
        assert given.stride == 1 and "larger stride" in given.warnings[0]


def test_knob_and_extent_and_area_are_followed(job):
    masks = []

    def area(window):
        mask = np.zeros((window.height, window.width), bool)
        mask[:30] = True
        masks.append(window)
        return mask

    extent = Window(10, 20, 50, 40)
    result = job(knob=1.0, extent=extent, area=area).run(silent, never)
    assert (result.looks, result.knob) == (4.0, 1.0)
    recipe = result.tuned.card.training["recipe"]
    assert (recipe["looks"], recipe["knob"]) == (4.0, 1.0)
    assert set(masks) == {extent}
    assert result.pixels == 30 * 50


def test_big_scene_is_sampled(job, monkeypatch):
    monkeypatch.setattr(finetuning, "_WINDOW", 64)
    result = job(scene(300), pixels=2 * 64 * 64, epochs=1, depth="head").run(silent, never)
    assert result.pixels == 2 * 64 * 64


@pytest.mark.parametrize(
    "values, complaint",
    [
        ({"looks": 0.0}, "LOOKS must be a positive"),
        ({"knob": float("nan")}, "KNOB must be a positive"),
        ({"depth": "deep"}, "depth"),
        ({"epochs": -1}, "epoch"),
        ({"extent": Window(500, 0, 9, 9)}, "outside the raster"),
        ({"extent": Window(0, 0, 1, 1)}, "Fewer than 64"),
        ({"area": lambda window: np.zeros((window.height, window.width), bool)}, "Fewer than 64"),
        ({"device": "cuda:7"}, "cuda"),
        ({"precision": "fp16"}, "fp16"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_settings_are_refused(job, tmp_path, values, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        job(**values).run(silent, never)
    assert not (tmp_path / "tuned.safetensors").exists()


def test_bad_models_and_outputs_are_refused(job, tmp_path, model):
    with pytest.raises(InvalidInput, match="no maps"):
        job(model_file=None, model="ffdnet-sar").run(silent, never)
    tuning = job()
    for output, complaint in (
        (model, "overwrite"), (tmp_path / "x.tif", "safetensors"),
        (tmp_path / "no" / "x.safetensors", "does not exist"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=complaint):
            FineTuneJob(tuning.input, str(output), model_file=str(model)).run(silent, never)
    assert load_model(model).card.id == "tiny"


def test_empty_scene_is_refused(tmp_path, model):
    path = write(tmp_path / "empty.tif", np.full((64, 64), -9.0), nodata=-9.0)
    with pytest.raises(RasterError):
        FineTuneJob(path, str(tmp_path / "t.safetensors"), model_file=str(model)).run(silent, never)

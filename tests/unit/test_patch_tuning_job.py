"""deSpeckNet's phase 2 and learning from pairs, from raster to model file."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from networks import save_network

from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.jobs.adapting import AdaptJob
from speckless.plugin.jobs.checks import settle_method
from speckless.plugin.jobs.finetuning import FineTuneJob

gdal = pytest.importorskip("osgeo.gdal")

ARGUMENTS = {
    "despecknet": {"layers": 3, "channels": 4, "domain": "log"},
    "aindnet": {"channels": 4, "estimator_channels": 4, "blocks": (1, 1, 1, 1, 1)},
    "ffdnet": {"layers": 3, "channels": 4},
    "dopamine": {"layers": 2, "channels": 4, "blocks": 1},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {
        name: str(save_network(folder / f"{name}.safetensors", arguments, name))
        for name, arguments in ARGUMENTS.items()
    }


def _write(path, values):
    height, width = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, 1, gdal.GDT_Float32)
    dataset.SetGeoTransform((500000.0, 10.0, 0.0, 4800000.0, 0.0, -10.0))
    dataset.GetRasterBand(1).WriteArray(values.astype(np.float32))
    dataset = None
    return str(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(0)
    clean = np.where(np.arange(120) < 60, 1.0, 4.0) * np.ones((110, 1))
    noisy = clean * rng.gamma(1.0, 1.0, clean.shape)
    return _write(folder / "noisy.tif", noisy), _write(folder / "clean.tif", clean)


def _job(scene, output, **options):
    return FineTuneJob(
        scene, str(output), looks=1.0, domain="intensity", precision="fp32",
        checkpoint=f"{output}.checkpoint", **options,
    )  # fmt: skip


def _quiet(part, text):
    pass


def test_phase_two_tunes_on_the_image_alone_and_reports(pair, weights, tmp_path):
    output, texts = tmp_path / "tuned.safetensors", []
    job = AdaptJob(
        _job(pair[0], output, model_file=weights["despecknet"], patience=0),
        despeckled=str(tmp_path / "out.tif"),
        report=str(tmp_path / "report.html"),
    )
    result = job.run(lambda part, text: texts.append(text), lambda: False)
    card = ModelCard.read(output)
    assert card.training["method"] == "despecknet"
    assert card.training["recipe"]["epochs"] == 1
    assert any("held-out loss" in text for text in texts)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "deSpeckNet&#x27;s loss" in page or "deSpeckNet's loss" in page
    assert "Mullissa" in page
    # Untrained weights soon put the speckle back: they are not kept, and the report says why.
    assert min(entry["risk"] for entry in result.tuned.tuned.history) < result.tuned.risk_before
    assert result.tuned.tuned.best_epoch == 0 and "speckle is put back" in page
    assert "Slope a" not in page
    assert "Estimated speckle: mean" in page
    assert "exponential (1 look)" in page
    assert (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(("name", "method"), [("aindnet", "transfer"), ("ffdnet", "retrain")])
def test_pairs_are_learnt_from(name, method, pair, weights, tmp_path):
    output = tmp_path / "tuned.safetensors"
    job = _job(
        pair[0], output, model_file=weights[name], reference=pair[1], learning_rate=1e-2,
        epochs=3, patience=0,
    )  # fmt: skip
    result = job.run(_quiet, lambda: False)
    assert ModelCard.read(output).training["method"] == method
    assert result.risk_after < result.risk_before
    assert not os.path.exists(job.checkpoint)
    with torch.no_grad():
        x = load_model(output)(torch.rand(1, 1, 20, 20) + 0.1, torch.ones(1)).x
    assert bool(torch.isfinite(x).all())


@pytest.mark.parametrize("name", ["despecknet", "aindnet"])
def test_cancelled_and_resumed(name, pair, weights, tmp_path):
    output = tmp_path / "tuned.safetensors"
    output.write_bytes(b"old")
    # Long enough to be cancelled before its end.
    more = {"reference": pair[1], "epochs": 500} if name == "aindnet" else {"epochs": 2}
    job = _job(pair[0], output, model_file=weights[name], patience=0, **more)
    seen = []
    with pytest.raises(Cancelled):
        job.run(lambda part, text: seen.append(text), lambda: any("Check 1" in t for t in seen))
    assert output.read_bytes() == b"old"
    if name == "aindnet":
        return
    job.run(_quiet, lambda: False)
    assert ModelCard.read(output).parent == name
    assert not os.path.exists(job.checkpoint)


def test_a_diverging_tuning_writes_no_model(pair, weights, tmp_path):
    output = tmp_path / "tuned.safetensors"
    job = _job(pair[0], output, model_file=weights["ffdnet"], reference=pair[1], learning_rate=1e30)
    with pytest.raises(InvalidInput, match="diverged"):
        job.run(_quiet, lambda: False)
    assert not output.exists()
    assert not os.path.exists(job.checkpoint)


def test_a_reference_of_other_pixels_is_refused(pair, weights, tmp_path):
    other = _write(tmp_path / "other.tif", np.ones((110, 120)))
    dataset = gdal.Open(other, gdal.GA_Update)
    dataset.SetGeoTransform((500004.0, 10.0, 0.0, 4800000.0, 0.0, -10.0))
    dataset = None
    job = _job(pair[0], tmp_path / "t.safetensors", model_file=weights["ffdnet"], reference=other)
    with pytest.raises(Exception, match="do not coincide"):
        job.run(_quiet, lambda: False)


@pytest.mark.parametrize(
    ("name", "method", "reference", "expected"),
    [
        ("dopamine", "auto", None, "aft"),
        ("despecknet", "auto", None, "despecknet"),
        ("despecknet", "auto", "r.tif", "retrain"),
        ("aindnet", "auto", "r.tif", "transfer"),
        ("ffdnet", "auto", "r.tif", "retrain"),
        ("aindnet", "retrain", "r.tif", "retrain"),
        ("ffdnet", "auto", None, "cannot be fine-tuned on the image alone"),
        ("aindnet", "auto", None, "REFERENCE"),
        ("ffdnet", "transfer", "r.tif", "needs AINDNet"),
        ("ffdnet", "despecknet", None, "needs deSpeckNet"),
        ("dopamine", "aft", "r.tif", "uses no REFERENCE"),
        ("dopamine", "magic", None, "not one of"),
    ],
)
def test_method_is_settled_by_the_model(name, method, reference, expected, weights):
    card = ModelCard.read(weights[name])
    if expected in ("aft", "despecknet", "transfer", "retrain"):
        assert settle_method(card, method, reference) == expected
    else:
        with pytest.raises(InvalidInput, match=expected):
            settle_method(card, method, reference)

"""The despeckle job from file to file: figures, extents, and every bad input."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import save_network

from speckless.plugin.core.errors import (
    Cancelled,
    EngineError,
    InvalidInput,
    ModelError,
    RasterError,
)
from speckless.plugin.core.models.registry import DEFAULT_MODEL, find
from speckless.plugin.core.models.weights import load_model, save_model
from speckless.plugin.core.tiling import Window
from speckless.plugin.engine.shared import shared_engine
from speckless.plugin.jobs.despeckling import DespeckleJob
from speckless.plugin.jobs.messages import Caution

gdal = pytest.importorskip("osgeo.gdal")

ARCHITECTURES = {
    "boxcar": {"radius": 1},
    "dopamine": {"layers": 4, "channels": 8, "blocks": 1, "inputs": "log", "head": "moments"},
    "slow": {"layers": 21, "channels": 64, "blocks": 5},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights files by name."""
    folder = tmp_path_factory.mktemp("weights")
    return {
        name: str(
            save_network(
                folder / f"{name}.safetensors", arguments, "dopamine" if name == "slow" else name
            )
        )
        for name, arguments in ARCHITECTURES.items()
    }


def write(path, bands, nodata=None):
    """Write float32 bands as a georeferenced GeoTIFF."""
    height, width = bands[0].shape
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), width, height, len(bands), gdal.GDT_Float32
    )
    dataset.SetGeoTransform((500000.0, 10.0, 0.0, 4800000.0, 0.0, -10.0))
    for number, values in enumerate(bands, 1):
        dataset.GetRasterBand(number).WriteArray(values.astype(np.float32))
        if nodata is not None:
            dataset.GetRasterBand(number).SetNoDataValue(nodata)
    dataset.FlushCache()
    dataset = None
    return str(path)


def read(path, band=1):
    dataset = gdal.Open(str(path))
    values = dataset.GetRasterBand(band).ReadAsArray()
    dataset = None
    return values


def speckle(height=150, width=170, seed=0):
    rng = np.random.default_rng(seed)
    return (np.linspace(1, 50, width) * rng.gamma(1.0, 1.0, (height, width))).astype(np.float32)


def run(*args, cancelled=lambda: False, **options):
    messages = []
    job = DespeckleJob(*args, **options)
    return job.run(lambda part, text: messages.append((part, text)), cancelled), messages


@pytest.fixture
def scene(tmp_path):
    return write(tmp_path / "scene.tif", [speckle(), speckle(seed=1)])


def test_all_bands_are_despeckled_and_reported(scene, tmp_path, weights):
    output = str(tmp_path / "out.tif")
    ratio = str(tmp_path / "ratio.tif")
    result, messages = run(
        scene, output, model_file=weights["boxcar"], looks=1.0, ratio=ratio, domain="intensity"
    )
    for band in (1, 2):
        noisy, estimate = read(scene, band), read(output, band)
        np.testing.assert_allclose(estimate[1:-1, 1:-1], _mean3(noisy), rtol=1e-5)
        np.testing.assert_allclose(read(ratio, band), noisy / estimate, rtol=1e-5)
    ratios = np.stack([read(ratio, band) for band in (1, 2)]).astype(float)
    assert result.mean_ratio == pytest.approx(ratios.mean(), rel=1e-6)
    assert result.variance_ratio == pytest.approx(ratios.var(), rel=1e-3)
    parts = [part for part, _ in messages]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert any("intensity" in text for _, text in messages)


def _mean3(values):
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(float), (3, 3))
    return windows.mean((-2, -1))


@pytest.mark.parametrize(
    ("factor", "scale", "advice"),
    [(0.5, "mean", "ends in -sar"), (2.0, "geometric", "Another KNOB"), (1.0, "geometric", "")],
)
def test_a_ratio_far_from_one_is_told(tmp_path, factor, scale, advice):
    sample = Path(__file__).parents[2] / "resources/samples/sentinel1_sample.tif"
    model, path = load_model(find(DEFAULT_MODEL)), tmp_path / "scaled.safetensors"
    assert model.scale_output(factor)
    save_model(path, model, replace(model.card, scale=scale))
    result, messages = run(
        str(sample), str(tmp_path / "out.tif"), model_file=str(path), extent=Window(0, 0, 128, 128)
    )
    assert result.mean_ratio == pytest.approx(1 / factor, rel=0.1)
    cautions = [text for _, text in messages if isinstance(text, Caution)]
    assert cautions == result.warnings
    found = [text for text in cautions if "far from 1" in text]
    assert len(found) == bool(advice) and all(advice in text for text in found)


@pytest.mark.parametrize("tile_size", [64, 100, 256])
def test_tiles_and_extents_give_the_pixels_of_the_whole(scene, tmp_path, weights, tile_size):
    options = {"model_file": weights["dopamine"], "looks": 1.0, "bands": [1], "device": "cpu"}
    whole, part = str(tmp_path / "whole.tif"), str(tmp_path / "part.tif")
    run(scene, whole, tile_size=2048, **options)
    run(scene, part, tile_size=tile_size, extent=Window(31, 17, 101, 65), **options)
    np.testing.assert_allclose(read(part), read(whole)[17:82, 31:132], rtol=1e-5)
    dataset = gdal.Open(part)
    assert dataset.GetGeoTransform()[0] == 500000.0 + 310
    assert dataset.GetGeoTransform()[3] == 4800000.0 - 170
    dataset = None


def test_looks_are_estimated_from_the_scene(tmp_path, weights):
    rng = np.random.default_rng(2)
    scene = write(tmp_path / "four.tif", [rng.gamma(4.0, 0.25, (256, 256))])
    result, messages = run(scene, str(tmp_path / "o.tif"), model_file=weights["boxcar"])
    assert result.looks_used == pytest.approx(4, rel=0.1)
    assert any("estimated" in text for _, text in messages)


def test_knob_smooths_and_maps_are_written(scene, tmp_path, weights):
    slopes = []
    for knob in (0.25, 4.0):
        slope, bias = str(tmp_path / f"a{knob}.tif"), str(tmp_path / f"b{knob}.tif")
        output = str(tmp_path / f"o{knob}.tif")
        run(
            scene, output, model_file=weights["dopamine"], looks=1.0, knob=knob, bands=[2],
            slope=slope, bias=bias,
        )  # fmt: skip
        a, b = read(slope), read(bias)
        expected = a * read(scene, 2) + b
        above = expected > 1e-3
        np.testing.assert_allclose(read(output)[above], expected[above], rtol=1e-4)
        slopes.append(a.mean())
    assert slopes[0] < slopes[1]


def test_nodata_stays_and_does_not_leak(tmp_path, weights):
    values = speckle()
    values[40:80, 50:90] = -9999
    output = str(tmp_path / "o.tif")
    run(write(tmp_path / "s.tif", [values], -9999), output, model_file=weights["dopamine"])
    result = read(output)
    assert (result[40:80, 50:90] == -9999).all()
    result[40:80, 50:90] = 1
    assert (result > 0).all()


def test_input_is_not_touched(scene, tmp_path, weights):
    before = hashlib.sha256(Path(scene).read_bytes()).hexdigest()
    run(scene, str(tmp_path / "o.tif"), model_file=weights["boxcar"])
    assert hashlib.sha256(Path(scene).read_bytes()).hexdigest() == before


BAD = {
    "looks": ({"looks": 0.0}, InvalidInput, "LOOKS must be a positive"),
    "knob": ({"knob": -1.0}, InvalidInput, "KNOB must be a positive"),
    "tile": ({"tile_size": 3}, InvalidInput, "TILE_SIZE must be"),
    "model": ({"model_file": None, "model": "nonesuch"}, ModelError, "no model 'nonesuch'"),
    "model file": ({"model_file": "/nowhere/x.safetensors"}, ModelError, "cannot be read"),
    "device": ({"device": "tpu"}, InvalidInput, "tpu"),
    "precision": ({"precision": "int4"}, InvalidInput, "int4"),
    "bands": ({"bands": [7]}, RasterError, "7"),
    "extent": ({"extent": Window(900, 900, 5, 5)}, InvalidInput, "outside"),
    "slope": ({"slope": "a.tif"}, InvalidInput, "has no SLOPE"),
    "same path": ({"ratio": "OUTPUT"}, InvalidInput, "same path"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters_have_their_error_and_leave_nothing(name, scene, tmp_path, weights):
    changes, error, message = BAD[name]
    output = str(tmp_path / "out.tif")
    options = {"model_file": weights["boxcar"], **changes}
    if options.get("ratio") == "OUTPUT":
        options["ratio"] = output
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(error, match=message):
        run(scene, output, **options)
    assert sorted(os.listdir(tmp_path)) == before


def test_rasters_that_cannot_be_used(tmp_path, weights):
    output, options = str(tmp_path / "o.tif"), {"model_file": weights["boxcar"]}
    text = tmp_path / "notes.txt"
    text.write_text("no raster")
    with pytest.raises(RasterError, match=r"notes\.txt"):
        run(str(text), output, **options)
    empty = write(tmp_path / "empty.tif", [np.full((20, 20), -1.0)], -1.0)
    with pytest.raises(RasterError, match="valid"):
        run(empty, output, **options)
    zeros = write(tmp_path / "zeros.tif", [np.zeros((20, 20))])
    with pytest.raises(RasterError, match="zero"):
        run(zeros, output, domain="intensity", **options)
    with pytest.raises(RasterError, match="input"):
        run(zeros, zeros, **options)
    with pytest.raises(RasterError, match="folder"):
        run(zeros, str(tmp_path / "absent" / "o.tif"), **options)
    assert sorted(os.listdir(tmp_path)) == ["empty.tif", "notes.txt", "zeros.tif"]


def test_corrupted_weights_are_refused(scene, tmp_path, weights):
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray(Path(weights["boxcar"]).read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ModelError, match="corrupted"):
        run(scene, str(tmp_path / "o.tif"), model_file=str(damaged))
    assert not (tmp_path / "o.tif").exists()


def _after(seconds, action):
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def test_cancel_stops_within_two_seconds_and_keeps_the_old_file(tmp_path, weights):
    scene = write(tmp_path / "big.tif", [speckle(1500, 1500)])
    output = tmp_path / "old.tif"
    output.write_bytes(b"precious")
    asked = []
    with shared_engine() as engine:
        engine.load(weights["slow"], "cpu")  # the start of torch is not what is timed
    _after(1.5, lambda: asked.append(time.monotonic()))
    with pytest.raises(Cancelled):
        run(scene, str(output), model_file=weights["slow"], cancelled=lambda: bool(asked))
    assert time.monotonic() - asked[0] < 2
    assert output.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["big.tif", "old.tif"]


def test_killed_engine_is_an_error_and_the_next_run_works(tmp_path, weights):
    scene = write(tmp_path / "big.tif", [speckle(1500, 1500)])
    with shared_engine() as engine:
        engine.load(weights["slow"], "cpu")
        pid = engine.pid
    _after(1.5, lambda: os.kill(pid, signal.SIGKILL))
    with pytest.raises(EngineError, match="killed"):
        run(scene, str(tmp_path / "o.tif"), model_file=weights["slow"])
    assert os.listdir(tmp_path) == ["big.tif"]
    run(scene, str(tmp_path / "o.tif"), model_file=weights["boxcar"])
    assert (tmp_path / "o.tif").exists()

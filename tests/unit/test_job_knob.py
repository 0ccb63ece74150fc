"""What the despeckle job says and does about the knob and about correlated speckle."""

from __future__ import annotations

import numpy as np
import pytest
from networks import TINY, save_network

pytest.importorskip("osgeo.gdal")

from raster_files import make_raster
from test_despeckle_job import read, run

from speckless.plugin.core.affine import moments
from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.risk import best_knob
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs.doubts import correlation_warnings
from speckless.plugin.jobs.knob import ChosenKnob


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Small affine networks of either scale, and a moving average."""
    folder = tmp_path_factory.mktemp("weights")
    affine = {**TINY, "channels": 6}
    return {
        name: str(save_network(folder / f"{name}.safetensors", arguments, architecture, scale))
        for name, architecture, arguments, scale in (
            ("boxcar", "boxcar", {"radius": 1}, "mean"),
            ("dopamine", "dopamine", affine, "geometric"),
            ("dopamine-mean", "dopamine", affine, "mean"),
        )
    }


def image(height=96, width=120, looks=2, seed=0, psf=0.0):
    clean = np.linspace(1, 9, width)
    rng = np.random.default_rng(seed)
    return (clean * simulate_speckle((height, width), looks, rng, psf)).astype(np.float32)


@pytest.mark.parametrize("model", ["dopamine", "dopamine-mean"])
def test_knob_chosen_is_that_of_least_risk_over_the_scene(tmp_path, weights, model):
    scene = make_raster(tmp_path / "scene.tif", image())
    paths = {name: str(tmp_path / f"{name}.tif") for name in ("slope", "bias", "auto", "given")}
    options = {"model_file": weights[model], "looks": 2.0, "device": "cpu"}
    run(scene, paths["given"], slope=paths["slope"], bias=paths["bias"], **options)
    z, a, b = (read(path).astype(float) for path in (scene, paths["slope"], paths["bias"]))
    mean, variance = moments(a, b, 2.0)
    weight = 1 / np.maximum(mean, 1e-3) ** 2 if model == "dopamine" else None
    wanted = best_knob(mean, variance, z, 2.0, z <= 20 * mean, weight)

    result, messages = run(scene, paths["auto"], knob_auto=True, **options)
    assert result.knob_used == pytest.approx(wanted.knob, rel=1e-3)
    told = [text for _, text in messages if "least estimated risk" in text]
    assert len(told) == 1
    assert f"{result.knob_used:.3g} looks" in told[0]
    assert ("end of that range" in told[0]) == wanted.at_edge == (told[0] in result.warnings)
    run(scene, paths["given"], knob=result.knob_used, **options)
    np.testing.assert_array_equal(read(paths["auto"]), read(paths["given"]))


def test_knob_chosen_is_the_same_for_any_extent_and_skips_nodata(tmp_path, weights):
    values = image()
    values[:, :50] = -9999
    scene = make_raster(tmp_path / "scene.tif", [values, image(seed=1)], nodata=-9999)
    options = {"model_file": weights["dopamine"], "looks": 2.0, "knob_auto": True}
    whole, _ = run(scene, str(tmp_path / "a.tif"), **options)
    part, _ = run(scene, str(tmp_path / "b.tif"), extent=Window(60, 10, 30, 20), **options)
    assert np.isfinite(whole.knob_used)
    assert whole.knob_used == part.knob_used
    only = make_raster(tmp_path / "only.tif", values[:, 50:])
    cut, _ = run(scene, str(tmp_path / "c.tif"), bands=[1], **options)
    alone, _ = run(only, str(tmp_path / "d.tif"), **options)
    # The border of the valid pixels is filled here, the image's edge there: not quite the same.
    assert cut.knob_used == pytest.approx(alone.knob_used, rel=0.3)


def test_knob_used_is_reported_without_auto(tmp_path, weights):
    scene = make_raster(tmp_path / "scene.tif", image())
    options = {"model_file": weights["dopamine"], "looks": 2.0}
    assert run(scene, str(tmp_path / "a.tif"), **options)[0].knob_used == 2
    assert run(scene, str(tmp_path / "b.tif"), knob=0.5, **options)[0].knob_used == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_file": "boxcar"}, "risk cannot be estimated"),
        ({"knob": 1.0}, "not both"),
    ],
)
def test_auto_is_refused_where_it_makes_no_sense(tmp_path, weights, changes, message):
    scene = make_raster(tmp_path / "scene.tif", image())
    options = {"model_file": "dopamine", "looks": 2.0, "knob_auto": True, **changes}
    options["model_file"] = weights[options["model_file"]]
    with pytest.raises(InvalidInput, match=message):
        run(scene, str(tmp_path / "a.tif"), **options)
    assert not (tmp_path / "a.tif").exists()


def test_too_few_pixels_to_choose_by_and_cancel(tmp_path, weights):
    values = np.full((40, 40), -1.0, np.float32)
    values[:6, :6] = image(6, 6)
    scene = make_raster(tmp_path / "scene.tif", values, nodata=-1)
    options = {"model_file": weights["dopamine"], "looks": 2.0, "knob_auto": True}
    with pytest.raises(InvalidInput, match="too few valid pixels to choose the knob"):
        run(scene, str(tmp_path / "a.tif"), **options)
    big = make_raster(tmp_path / "big.tif", image(600, 600))
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) > 8

    with pytest.raises(Cancelled):
        run(big, str(tmp_path / "a.tif"), cancelled=cancelled, **options)
    assert not (tmp_path / "a.tif").exists()


def test_end_of_the_range_is_told():
    assert "end of that range" in ChosenKnob(16.0, True, 0.1, 16.0, 100).describe()
    assert "end of that range" not in ChosenKnob(3.0, False, 0.1, 16.0, 100).describe()


def test_correlation_is_measured_and_affine_models_warned_of_it(tmp_path, weights):
    correlated = make_raster(tmp_path / "correlated.tif", image(256, 256, 1, psf=0.8))
    white = make_raster(tmp_path / "white.tif", image(256, 256, 1))
    output = str(tmp_path / "out.tif")
    found, _ = run(correlated, output, model_file=weights["dopamine"], looks=1.0)
    assert found.correlation == pytest.approx(0.44, abs=0.08)
    assert len(found.warnings) == 1
    assert "correlated (0.4" in found.warnings[0]
    assert "ffdnet-sar" in found.warnings[0]
    auto, _ = run(correlated, output, model_file=weights["dopamine"], looks=1.0, knob_auto=True)
    assert "cannot be trusted" in auto.warnings[0]
    other, _ = run(correlated, output, model_file=weights["boxcar"], looks=1.0)
    assert other.correlation == found.correlation
    assert other.warnings == []
    clean, _ = run(white, output, model_file=weights["dopamine"], looks=1.0)
    assert clean.correlation == pytest.approx(0, abs=0.03)
    assert clean.warnings == []
    both = make_raster(tmp_path / "both.tif", [read(white), read(correlated)])
    worse, _ = run(both, output, model_file=weights["dopamine"], looks=1.0)
    assert worse.correlation == found.correlation
    assert worse.warnings == found.warnings


def test_who_took_a_cure_is_not_warned():
    assert correlation_warnings("m", 0.3, 1.0, 1.0, False)
    assert not correlation_warnings("m", 0.3, 1.0, 0.5, False)
    # Chosen by the risk, the knob is not the user's own.
    assert correlation_warnings("m", 0.3, 1.0, None, True)

"""Tiles, holes, scale and knob around a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.tiling import Window, plan_tiles

ARCHITECTURES = {
    "boxcar": {"radius": 2},
    "dopamine": {"layers": 5, "channels": 8, "blocks": 1, "inputs": "log", "head": "moments"},
    "ffdnet": {"layers": 4, "channels": 8},
}


def make(architecture, scale="geometric"):
    torch.manual_seed(0)
    arguments = ARCHITECTURES[architecture]
    model = create(architecture, arguments).eval()
    model.card = model.describe(
        id="test", title="Test", architecture=architecture, arguments=arguments, scale=scale
    )
    return model


def scene(height, width, holes=0.0, seed=0):
    rng = np.random.default_rng(seed)
    ramp = np.exp(np.linspace(0, 4, height * width).reshape(height, width))
    values = (ramp * rng.gamma(1.0, 1.0, (height, width))).astype(np.float32)
    valid = rng.random((height, width)) >= holes
    valid[: height // 3, : width // 4] &= holes == 0
    return values, valid


def whole_and_tiled(model, values, valid, size, **options):
    whole = despeckle_tile(model, values, valid, scale=3.0, looks=1.0, **options)["x"]
    raster = Window(0, 0, values.shape[1], values.shape[0])
    tiled = np.zeros_like(whole)
    for tile in plan_tiles(raster, None, size, model.card.halo, model.card.divisor):
        source, core = tile.source, tile.core
        part = np.s_[source.y : source.bottom, source.x : source.right]
        tiled[core.y : core.bottom, core.x : core.right] = despeckle_tile(
            model, values[part], valid[part], scale=3.0, looks=1.0, inner=tile.inner, **options
        )["x"]
    return whole, tiled


@pytest.mark.parametrize("shape", [(300, 280), (50, 61), (1, 130), (130, 1), (101, 65), (257, 100)])
@pytest.mark.parametrize("size", [64, 100, 256])
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_tiles_equal_the_whole(architecture, size, shape):
    whole, tiled = whole_and_tiled(make(architecture), *scene(*shape), size)
    np.testing.assert_allclose(tiled, whole, rtol=1e-5)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_tiles_equal_the_whole_around_holes(architecture):
    whole, tiled = whole_and_tiled(make(architecture), *scene(150, 170, holes=0.2), 64)
    np.testing.assert_allclose(tiled, whole, rtol=1e-5)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_holes_stay_holes_and_what_they_hold_does_not_matter(architecture):
    model = make(architecture)
    values, valid = scene(60, 50, holes=0.1)
    poisoned = np.where(valid, values, np.nan).astype(np.float32)
    clean = despeckle_tile(model, values, valid, scale=2.0, looks=1.0)["x"]
    other = despeckle_tile(model, poisoned, valid, scale=2.0, looks=1.0)["x"]
    assert np.array_equal(np.isnan(other), ~valid)
    np.testing.assert_array_equal(clean, other)
    assert (other[valid] > 0).all()


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_scaled_scene_gives_scaled_estimate(architecture):
    model = make(architecture)
    values, valid = scene(40, 40)
    once = despeckle_tile(model, values, valid, scale=2.0, looks=1.0)["x"]
    scaled = despeckle_tile(model, values * 1e-3, valid, scale=2e-3, looks=1.0)["x"]
    np.testing.assert_allclose(scaled, once * 1e-3, rtol=1e-4)


def test_affine_maps_make_the_estimate():
    model = make("dopamine")
    values, valid = scene(30, 30)
    result = despeckle_tile(model, values, valid, scale=2.0, looks=1.0, knob=0.5)
    expected = result["a"] * values + result["b"]
    above = expected > 1e-3
    np.testing.assert_allclose(result["x"][above], expected[above], rtol=1e-4)


def test_knob_smooths_an_affine_model():
    model = make("dopamine")
    values, valid = scene(30, 30)
    slopes = [
        despeckle_tile(model, values, valid, scale=2.0, looks=1.0, knob=k)["a"].mean()
        for k in (0.1, 1.0, 10.0)
    ]
    assert slopes == sorted(slopes)


@pytest.mark.parametrize("name", ["scale", "looks", "knob"])
def test_numbers_must_be_positive(name):
    values, valid = scene(8, 8)
    options = {"scale": 1.0, "looks": 1.0, name: 0.0}
    if name == "knob":
        options["knob"] = -1.0
    with pytest.raises(InvalidInput, match="positive"):
        despeckle_tile(make("boxcar"), values, valid, **options)

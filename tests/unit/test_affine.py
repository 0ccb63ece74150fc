"""The affine map and the knob, against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.affine import (
    AffineKnob,
    affine_map,
    moments,
    turn,
    turn_smoothly,
)
from speckless.plugin.core.errors import InvalidInput


def test_turning_there_and_back_is_the_identity():
    rng = np.random.default_rng(0)
    mean, variance = rng.uniform(0.1, 3, 500), rng.uniform(0.01, 4, 500)
    a, b = affine_map(mean, variance, 2.0)
    back = turn(*turn(a, b, 2.0, 0.5), 0.5, 2.0)
    np.testing.assert_allclose(back[0], a, rtol=1e-6)
    np.testing.assert_allclose(back[1], b, rtol=1e-6)


@pytest.mark.parametrize("knob", [0.25, 2.0, 16.0])
def test_smooth_turn_is_the_turn_where_moments_explain_the_map_and_goes_on_beyond(knob):
    rng = np.random.default_rng(0)
    a, b = affine_map(rng.uniform(0.1, 3, 500), rng.uniform(0.01, 4, 500), 2.0)
    for smooth, sharp in zip(turn_smoothly(a, b, 2.0, knob), turn(a, b, 2.0, knob)):
        np.testing.assert_allclose(smooth, sharp, rtol=1e-5)
    # Slopes below 0 stay there, finite, and lead back: a gradient can bring them up.
    low = np.array([-10.0, -0.3, -0.01]), np.ones(3)
    there = turn_smoothly(*low, 2.0, knob)
    assert (there[0] < 0).all() and np.isfinite(there).all()
    near = tuple(values[1:] for values in there) if knob < 2 else tuple(v[2:] for v in there)
    back = turn_smoothly(*near, knob, 2.0)
    np.testing.assert_allclose(back[0][-1], -0.01, rtol=1e-6)


def test_moments_are_recovered():
    a, b = affine_map(np.array([0.5, 2.0]), np.array([0.3, 1.5]), 3.0)
    mean, variance = moments(a, b, 3.0)
    np.testing.assert_allclose(mean, [0.5, 2.0], rtol=1e-6)
    np.testing.assert_allclose(variance, [0.3, 1.5], rtol=1e-6)


def test_map_is_the_best_affine_one():
    # x Gamma with mean 1.5 and variance r·mean²; Z = x·N: no other slope or bias does better.
    rng = np.random.default_rng(1)
    looks, relative = 2.0, 0.4
    x = rng.gamma(1 / relative, relative * 1.5, 400_000)
    z = x * rng.gamma(looks, 1 / looks, x.size)
    a, b = affine_map(np.array(1.5), np.array(relative), looks)
    best = np.polyfit(z, x, 1)
    assert a == pytest.approx(best[0], abs=0.01)
    assert b == pytest.approx(best[1], abs=0.02)


def test_lower_knob_is_smoother_and_limits_hold():
    a, b = np.array([0.2]), np.array([0.8])
    slopes = [float(turn(a, b, 1.0, knob)[0][0]) for knob in (1e-6, 0.25, 1.0, 4.0, 1e9)]
    assert slopes == sorted(slopes)
    assert slopes[0] == pytest.approx(0, abs=1e-5)
    assert slopes[-1] == pytest.approx(1, abs=1e-5)
    # Fully smooth: the estimate is the mean of the surroundings.
    assert float(turn(a, b, 1.0, 1e-6)[1][0]) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.5, 0.9, 1.0, 1.7])
def test_slopes_that_no_moments_explain_stay_finite(slope):
    a, b = turn(np.array([slope]), np.array([-0.3]), 1.0, 0.1)
    assert np.isfinite(a).all()
    assert np.isfinite(b).all()
    assert 0 <= float(a[0]) < 1


@pytest.mark.parametrize("looks, knob", [(0.0, 1.0), (1.0, -2.0), (float("nan"), 1.0)])
def test_looks_must_be_positive(looks, knob):
    with pytest.raises(InvalidInput, match="positive"):
        turn(np.zeros(1), np.zeros(1), looks, knob)


def test_instant_knob_is_the_same_as_turning_the_map():
    rng = np.random.default_rng(4)
    z = rng.gamma(1.0, 1.0, (20, 30))
    a, b = rng.uniform(-0.1, 0.6, z.shape), rng.uniform(0.01, 2, z.shape)
    a[0, :5] = 0
    z[3, 4] = np.nan
    knob = AffineKnob(z, a, b, 1.0)
    out = np.empty(z.shape, np.float32)
    for level in (0.125, 0.9, 1.0, 3.0, 8.0):
        slope, bias = turn(a, b, 1.0, level)
        wanted = np.maximum(slope * z + bias, 1e-12)
        assert knob.turned(level, out) is out
        np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(knob.turned(level), out)


def test_instant_knob_refuses_what_does_not_fit():
    ones = np.ones((3, 4))
    with pytest.raises(InvalidInput, match="shape"):
        AffineKnob(ones, ones[1:], ones, 1.0)
    with pytest.raises(InvalidInput, match="positive"):
        AffineKnob(ones, 0 * ones, ones, 1.0).turned(0.0)

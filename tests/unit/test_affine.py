"""The affine map and the knob, against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.affine import affine_map, moments, turn, turned_estimate
from speckless.plugin.core.errors import InvalidInput


def test_turning_there_and_back_is_the_identity():
    rng = np.random.default_rng(0)
    mean, variance = rng.uniform(0.1, 3, 500), rng.uniform(0.01, 4, 500)
    a, b = affine_map(mean, variance, 2.0)
    back = turn(*turn(a, b, 2.0, 0.5), 0.5, 2.0)
    np.testing.assert_allclose(back[0], a, rtol=1e-6)
    np.testing.assert_allclose(back[1], b, rtol=1e-6)


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


def surroundings(shape, seed=2, dtype=np.float32):
    rng = np.random.default_rng(seed)
    mean, variance = rng.uniform(0.01, 30, shape), rng.gamma(0.5, 1.0, shape)
    z = mean * rng.gamma(1.0, 1.0, shape)
    variance.flat[::7] = 0
    return [values.astype(dtype) for values in (mean, variance, z)]


@pytest.mark.parametrize("knob", [0.125, 1.0, 4.0, 64.0])
@pytest.mark.parametrize("shape", [(3, 5), (251, 273), (32768,)])
def test_turned_estimate_is_that_of_the_affine_map(knob, shape):
    mean, variance, z = surroundings(shape)
    a, b = affine_map(mean.astype(np.float64), variance.astype(np.float64), knob)
    x = turned_estimate(mean, variance, z, knob)
    assert x.dtype == np.float32
    # Relative to what is added up: a·Z and b may be of any size.
    assert np.max(np.abs(x - (a * z + b)) / np.maximum(z, mean)) < 1e-6
    exact = turned_estimate(*surroundings(shape, dtype=np.float64), knob)
    assert exact.dtype == np.float64


@pytest.mark.parametrize("place", [0, 1, 2])
def test_turned_estimate_may_be_put_into_an_input(place):
    arrays = surroundings((90, 200))
    expected = turned_estimate(*arrays, 0.5)
    assert turned_estimate(*arrays, 0.5, out=arrays[place]) is arrays[place]
    np.testing.assert_array_equal(arrays[place], expected)


def test_turned_estimate_of_a_part_of_an_image():
    arrays = surroundings((60, 80))
    part = [values[10:50, ::2] for values in arrays]
    np.testing.assert_array_equal(
        turned_estimate(*part, 2.0), turned_estimate(*arrays, 2.0)[10:50, ::2]
    )


@pytest.mark.parametrize(
    "out", [np.empty((4, 5), np.float32), np.empty((4, 4)), np.empty((8, 8), np.float32)[::2, ::2]]
)
def test_turned_estimate_refuses_an_output_that_does_not_fit(out):
    with pytest.raises(InvalidInput, match="C-contiguous"):
        turned_estimate(*surroundings((4, 4)), 1.0, out=out)


def test_turned_estimate_refuses_shapes_that_differ():
    mean, variance, z = surroundings((4, 4))
    with pytest.raises(InvalidInput, match="shape"):
        turned_estimate(mean, variance[:2], z, 1.0)
    with pytest.raises(InvalidInput, match="positive"):
        turned_estimate(mean, variance, z, 0.0)

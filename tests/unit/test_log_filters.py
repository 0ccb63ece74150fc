"""Non-local means, wavelets, total variation and MuLoG: their statistics, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.filters.base import SceneConstants
from speckless.plugin.core.filters.boxcar import Boxcar
from speckless.plugin.core.filters.logarithm import gamma_proximal, log_intensity
from speckless.plugin.core.filters.mulog import MuLog
from speckless.plugin.core.filters.nlmeans import NonLocalMeans, same_ground, shifts
from speckless.plugin.core.filters.totalvariation import TotalVariation
from speckless.plugin.core.filters.wavelet import Wavelet, noise_gains, shrunk

FOUR = [NonLocalMeans(), Wavelet(), TotalVariation(), MuLog()]


@pytest.mark.parametrize("looks", [0.7, 1.0, 4.4])
def test_dissimilarity_on_the_same_ground_has_the_stated_moments(looks: float) -> None:
    one, other = np.random.default_rng(0).gamma(looks, 1 / looks, (2, 300_000))
    apart = np.log((one + other) ** 2 / (4 * one * other))
    mean, deviation = same_ground(looks)
    assert apart.mean() == pytest.approx(mean, rel=0.01)
    assert apart.std() == pytest.approx(deviation, rel=0.01)


def test_shifts_pair_each_two_pixels_once() -> None:
    number = np.arange(5 * 4).reshape(5, 4)
    pairs = [
        frozenset(pair)
        for one, other in shifts(number.shape, 2)
        for pair in zip(number[one].ravel(), number[other].ravel())
    ]
    rows, columns = np.divmod(number.ravel(), 4)
    near = {
        frozenset((a, b))
        for a in number.ravel()
        for b in number.ravel()
        if a != b and max(abs(rows[a] - rows[b]), abs(columns[a] - columns[b])) <= 2
    }
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == near


def test_non_local_means_by_hand() -> None:
    """Two pixels, patches of one pair each where the other patch pixels are missing."""
    values, valid = np.array([[1.0, 30.0]], np.float32), np.ones((1, 2), bool)
    looks = 2.0
    apart = np.log(31.0**2 / (4 * 30.0))
    mean, deviation = same_ground(looks)
    weight = np.exp(-(apart - mean) / (deviation / 3))
    estimate = NonLocalMeans(radius=1, patch=1)(values, valid, SceneConstants(looks))
    expected = [[(1 + weight * 30) / (1 + weight), (30 + weight) / (1 + weight)]]
    np.testing.assert_allclose(estimate, expected, rtol=1e-5)


@pytest.mark.parametrize("step", [0.01, 1.0, 30.0])
def test_proximal_step_is_the_minimum(step: float) -> None:
    rng = np.random.default_rng(0)
    values = 10.0 ** rng.uniform(-6, 6, 2000)
    point = np.log(values) + rng.normal(0, 4, 2000)
    found = gamma_proximal(point, values, step)
    slope = step * (1 - values * np.exp(-found)) + found - point
    np.testing.assert_allclose(slope / (1 + step), 0, atol=1e-9)


def test_logarithms_are_taken_of_what_is_positive() -> None:
    values, valid = np.ones((20, 30)), np.ones((20, 30), bool)
    values[5, 5] = 0.0
    values[10:, :15] = 0.0
    valid[0, 0] = False
    image = log_intensity(values, valid)
    assert image.values[5, 5] == pytest.approx(1e-3 * 48 / 49)
    assert image.values[0, 0] == 1.0
    assert image.dark[16, 5]
    assert not image.dark[11, 14]
    assert (image.values > 0).all()


def test_gains_are_those_of_white_noise() -> None:
    noise = np.random.default_rng(0).normal(size=(256, 256))
    valid = np.ones(noise.shape, bool)
    left = shrunk(noise, valid, 0.0001, 3)  # hardly any threshold: the transform is exact
    np.testing.assert_allclose(left, noise, atol=1e-4)
    gains = noise_gains(3)
    assert gains == pytest.approx((0.889, 0.200, 0.086), abs=0.002)  # as in Starck et al.
    assert shrunk(noise, valid, 1.0, 3).std() < 0.15


def test_total_variation_lowers_what_it_minimises() -> None:
    looks = 2.0
    values = np.random.default_rng(0).gamma(looks, 1 / looks, (40, 40)) + 0.01
    values[:, 20:] *= 10
    valid = np.ones(values.shape, bool)

    def energy(estimate):
        u = np.log(estimate.astype(float))
        down, across = np.zeros(u.shape), np.zeros(u.shape)
        down[:-1], across[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
        variation = np.hypot(down, across).sum()
        return np.sum(looks * (u + values * np.exp(-u))) + np.sqrt(looks) * variation

    found = [
        TotalVariation(iterations=n)(values, valid, SceneConstants(looks)) for n in (5, 40, 200)
    ]
    energies = [energy(estimate) for estimate in found]
    assert energies[0] > energies[1] > energies[2]
    assert energies[1] - energies[2] < 0.01 * (energy(values) - energies[2])
    for factor in (0.98, 1.02):
        assert energy(found[2] * factor) > energies[2]


@pytest.mark.parametrize("filter", FOUR, ids=lambda filter: filter.id)
def test_edges_and_fields_come_out_nearer_than_by_a_mean(filter) -> None:
    """Log-RMSE of two-level fields and an edge under four looks."""
    looks = 4.0
    rows, columns = np.indices((96, 96))
    clean = np.where((rows // 24 + columns // 31) % 2, 8.0, 2.0) + 5.0 * (columns > rows)
    noisy = (clean * np.random.default_rng(3).gamma(looks, 1 / looks, clean.shape)).astype(
        np.float32
    )
    valid, scene = np.ones(clean.shape, bool), SceneConstants(looks)

    def error(estimate):
        return np.sqrt(np.mean(np.log(estimate / clean) ** 2))

    assert error(filter(noisy, valid, scene)) < error(Boxcar()(noisy, valid, scene))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NonLocalMeans(patch=0), "patch radius must be 1 to 10"),
        (lambda: NonLocalMeans(radius=21), "radius must be 1 to 20"),
        (lambda: NonLocalMeans(strength=0.0), "strength must be a positive"),
        (lambda: TotalVariation(strength=float("nan")), "strength must be a positive"),
        (lambda: TotalVariation(iterations=0), "iterations must be 1 to 200"),
        (lambda: Wavelet(scales=7), "scales must be 1 to 6"),
        (lambda: MuLog(iterations=21), "iterations must be 1 to 20"),
    ],
)
def test_parameters_out_of_range(make, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make()

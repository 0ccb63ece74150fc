"""The unbiased risk, its error and the knob that it chooses, against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from speckless.plugin.core.affine import affine_map
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.risk import (
    RiskEstimate,
    best_knob,
    block_mean,
    estimated_risk,
    multiplicative_risk,
    pooled,
    risk_over_knob,
)
from speckless.plugin.core.speckle import simulate_speckle


def textured(size, seed=0):
    """Fields, an edge, waves and fine texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    scene = 1 + 0.5 * np.sin(x / 9) + 0.3 * np.cos(y / 7)
    scene[size // 3 : size // 2, size // 4 : size // 2] *= 3
    return (scene + 0.05) * rng.gamma(8, 1 / 8, scene.shape)


def oracle(x, radius=3):
    """Mean and relative variance of the clean scene around each pixel."""
    side = 2 * radius + 1

    def box(image):
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(image, radius, mode="reflect"), (side, side)
        )
        return windows.mean((2, 3))

    mean = box(x)
    return mean, box(x * x) / mean**2 - 1


@pytest.mark.parametrize("looks", [1, 2, 4, 8])
def test_risk_is_unbiased_for_white_speckle(looks):
    x = textured(64)
    rng = np.random.default_rng(looks)
    # Any map that does not look at its pixel will do, good or bad.
    a, b = rng.uniform(-0.2, 1.2, x.shape), rng.uniform(0, 2, x.shape)
    excess = []
    for _ in range(200):
        z = x * simulate_speckle(x.shape, looks, rng)
        error = (x - a * z - b) ** 2
        excess.append(np.mean(multiplicative_risk(z, a, b, looks) - error))
    assert abs(np.mean(excess)) < 3 * np.std(excess) / math.sqrt(len(excess))


def test_risk_is_biased_where_the_map_sees_its_pixel():
    x = np.ones((128, 128))
    z = simulate_speckle(x.shape, 1, np.random.default_rng(0)).astype(float)
    b = 0.5 * z  # an estimate that cheats
    error = np.mean((x - b) ** 2)
    assert np.mean(multiplicative_risk(z, 0 * z, b, 1.0)) < error - 0.3


def test_torch_and_numpy_agree():
    rng = np.random.default_rng(0)
    z, a, b = rng.random((3, 8, 9))
    ours = multiplicative_risk(*(torch.from_numpy(v) for v in (z, a, b)), 2.0)
    np.testing.assert_allclose(ours.numpy(), multiplicative_risk(z, a, b, 2.0), rtol=1e-12)
    # Equation 5 as printed.
    variance = 1 / 2
    printed = (z - a * z - b) ** 2 + z**2 * variance / (1 + variance) * (2 * a - 1)
    np.testing.assert_allclose(ours.numpy(), printed, rtol=1e-12)


def coverage(x, maps, looks, psf, draws=200):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(draws):
        z = x * simulate_speckle(x.shape, looks, rng, psf)
        low, high = estimated_risk(z, *maps, looks).interval()
        hits += low <= np.mean((x - maps[0] * z - maps[1]) ** 2) <= high
    return hits / draws


def test_intervals_hold_the_true_error():
    x = textured(64)
    shares = [coverage(x, affine_map(*oracle(x), looks), looks, 0.0) for looks in (1, 2, 4)]
    flat = np.ones((64, 64))
    for looks in (1, 2, 4, 8):
        maps = affine_map(flat, 0.3 * flat, looks)
        shares.append(coverage(flat, maps, looks, 0.0))
    assert min(shares) >= 0.92
    assert np.mean(shares) >= 0.95
    # The scene's variation widens intervals, but they must say something.
    z = x * simulate_speckle(x.shape, 4, np.random.default_rng(0))
    risk = estimated_risk(z, *affine_map(*oracle(x), 4.0), 4.0)
    assert risk.standard_error < 0.2 * risk.value


def test_blocks_are_not_fooled_by_correlated_pixels():
    flat = np.ones((96, 96))
    maps = affine_map(flat, 0.3 * flat, 2.0)
    assert coverage(flat, maps, 2, 0.9) >= 0.92
    # Taking pixels as independent, the error would come out too small.
    z = simulate_speckle(flat.shape, 2, np.random.default_rng(0), 0.9)
    risk = multiplicative_risk(z, *maps, 2.0)
    assert block_mean(risk).standard_error > 1.2 * risk.std() / math.sqrt(risk.size)


@pytest.mark.parametrize("looks", [1, 4])
def test_lowest_risk_lies_by_the_true_looks(looks):
    x = textured(256)
    z = x * simulate_speckle(x.shape, looks, np.random.default_rng(looks))
    found = best_knob(*oracle(x), z, looks)
    assert not found.at_edge
    assert looks / 2 <= found.knob <= looks * 2


def test_differences_over_the_knob_are_known_better_than_the_risk():
    x = textured(96)
    mean, variance = oracle(x)
    knobs = [0.25, 1.0, 4.0]
    maps = [affine_map(mean, variance, knob) for knob in knobs]
    # Expected, over all speckle of one look.
    errors = [np.mean((x - a * x - b) ** 2 + (a * x) ** 2) for a, b in maps]
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(60):
        z = x * simulate_speckle(x.shape, 1, rng)
        curve = risk_over_knob(mean, variance, z, 1.0, knobs)
        best = curve.best
        for index, (risk, difference) in enumerate(zip(curve.risk, curve.difference)):
            gap = risk.value - curve.risk[best].value
            assert difference.value == pytest.approx(gap, abs=1e-12)
            assert difference.standard_error < 0.75 * risk.standard_error
            low, high = difference.interval()
            hits.append(low <= errors[index] - errors[best] <= high)
    assert np.mean(hits) >= 0.92


def test_knob_at_the_end_of_the_range_is_told():
    # In a homogeneous scene whose texture is claimed too strong, smoother is always better.
    z = simulate_speckle((64, 64), 4, np.random.default_rng(0))
    found = best_knob(np.ones(z.shape), np.ones(z.shape), z, 4.0)
    assert found.at_edge
    assert found.knob == pytest.approx(4 / 16)


def test_invalid_pixels_do_not_count():
    rng = np.random.default_rng(0)
    z, a, b = rng.random((3, 40, 40))
    valid = rng.random(z.shape) < 0.8
    whole = estimated_risk(z, a, b, 1.0, valid)
    spoiled = [np.where(valid, v, rubbish) for v, rubbish in zip((z, a, b), (np.nan, 9, np.inf))]
    assert estimated_risk(*spoiled, 1.0) == whole
    assert whole.n == valid.sum()
    assert whole.value == pytest.approx(multiplicative_risk(z, a, b, 1.0)[valid].mean())


def test_weights_weigh():
    z, a, b = np.random.default_rng(0).random((3, 40, 40))
    once, twice = (estimated_risk(z, a, b, 1.0, weight=np.full(z.shape, w)) for w in (1.0, 2.0))
    assert twice.value == pytest.approx(2 * once.value)
    assert twice.standard_error == pytest.approx(2 * once.standard_error)


def test_pooling_two_halves_is_like_the_whole():
    values = np.random.default_rng(0).normal(1, 1, (64, 128))
    whole = block_mean(values, block=8)
    halves = pooled([block_mean(values[:, :64], block=8), block_mean(values[:, 64:], block=8)])
    assert halves.n == whole.n
    assert halves.value == pytest.approx(whole.value)
    assert halves.standard_error == pytest.approx(whole.standard_error, rel=0.2)
    assert halves.freedom == pytest.approx(whole.freedom, rel=0.5)


@pytest.mark.parametrize("freedom, quantile", [(1, 12.706), (2, 4.303), (3, 3.182), (10, 2.228)])
def test_intervals_are_students(freedom, quantile):
    low, high = RiskEstimate(1.0, 0.5, 100, freedom).interval()
    assert high - 1 == pytest.approx(0.5 * quantile, rel=0.02)
    assert 1 - low == pytest.approx(high - 1)
    assert RiskEstimate(0.0, 1.0, 9).interval(0.95)[1] == pytest.approx(1.95996, abs=1e-4)


@pytest.mark.parametrize("looks", [0.0, -1.0, float("nan"), float("inf")])
def test_looks_must_be_positive(looks):
    z = np.ones((16, 16))
    with pytest.raises(InvalidInput, match="number of looks"):
        estimated_risk(z, z, z, looks)
    with pytest.raises(InvalidInput, match="number of looks"):
        best_knob(z, z, z, looks)


def test_what_cannot_be_estimated_is_refused():
    z = np.ones((16, 16))
    with pytest.raises(InvalidInput, match="too few"):
        estimated_risk(z, z, z, 1.0, np.zeros(z.shape, bool))
    one = np.zeros(z.shape, bool)
    one[3, 3] = True
    with pytest.raises(InvalidInput, match="Only 1 valid"):
        estimated_risk(z, z, z, 1.0, one)
    with pytest.raises(InvalidInput, match="mask"):
        estimated_risk(z, z, z, 1.0, one[1:])
    with pytest.raises(InvalidInput, match="shape"):
        estimated_risk(z, z[1:], z, 1.0)
    with pytest.raises(InvalidInput, match="shape"):
        risk_over_knob(z, z[1:], z, 1.0, [1.0])
    with pytest.raises(InvalidInput, match="one band"):
        block_mean(z.ravel())
    with pytest.raises(InvalidInput, match="no knob"):
        risk_over_knob(z, z, z, 1.0, [])
    with pytest.raises(InvalidInput, match="steps"):
        best_knob(z, z, z, 1.0, steps=2)
    with pytest.raises(InvalidInput, match="nothing"):
        pooled([])
    with pytest.raises(InvalidInput, match="confidence"):
        RiskEstimate(0, 1, 2).interval(1.0)


def test_correlated_speckle_lowers_the_risk_and_the_knob():
    # Why the job warns: the surroundings foretell the pixel's own speckle.
    x = textured(128)

    def surroundings(z, radius=1):
        side = 2 * radius + 1
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(z, radius, mode="reflect"), (side, side)
        )
        mean = (windows.sum((2, 3)) - z) / (side**2 - 1)
        square = ((windows**2).sum((2, 3)) - z**2) / (side**2 - 1)
        return mean, np.maximum(square / mean**2 / 2 - 1, 0) + 0.05

    found = {}
    for psf in (0.0, 0.9):
        z = (x * simulate_speckle(x.shape, 1, np.random.default_rng(1), psf)).astype(float)
        mean, variance = surroundings(z)
        best = best_knob(mean, variance, z, 1.0)
        a, b = affine_map(mean, variance, 1.0)
        risk = estimated_risk(z, a, b, 1.0).value
        found[psf] = best.knob, risk / np.mean((x - a * z - b) ** 2)
    assert found[0.0][1] == pytest.approx(1, abs=0.2)
    assert found[0.9][1] < 0.5
    assert found[0.9][0] < found[0.0][0] / 2

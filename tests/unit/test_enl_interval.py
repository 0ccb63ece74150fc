from __future__ import annotations

import math

import numpy as np
import pytest

from speckless.plugin.core.area_statistics import area_statistics
from speckless.plugin.core.enl_interval import design_effects, effective_pixels, enl_interval
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.speckle import simulate_speckle


def coverage(looks: float, shape: tuple[int, int], runs: int, psf_sigma: float = 0.0) -> float:
    rng = np.random.default_rng(int(100 * looks) + shape[0])
    held = 0
    for _ in range(runs):
        found = area_statistics(simulate_speckle(shape, looks, rng, psf_sigma)).original
        held += found.enl_low <= looks <= found.enl_high
    return held / runs


@pytest.mark.parametrize(("looks", "shape"), [(1, (5, 10)), (16, (5, 10)), (4, (20, 20))])
def test_interval_of_white_speckle_holds_the_truth_95_times_in_100(looks, shape) -> None:
    assert coverage(looks, shape, 800) == pytest.approx(0.95, abs=0.022)  # 3 standard errors


@pytest.mark.parametrize("looks", [1, 4])
def test_interval_of_correlated_speckle_holds_the_truth_too(looks: int) -> None:
    found = coverage(looks, (24, 24), 300, psf_sigma=0.9)  # taken as white: 0.80
    assert found == pytest.approx(0.95, abs=0.038)


def test_width_is_that_of_theory_in_large_areas() -> None:
    low, high = enl_interval(1, 400, 0.6827)
    assert math.sqrt(high / low) == pytest.approx(1.105, abs=0.005)  # 10 % for one look, n = 400
    low, high = enl_interval(4, 1e6)
    assert high - low == pytest.approx(2 * 1.96 * 4 * math.sqrt(2.5e-6), rel=1e-3)
    assert (low + high) / 2 == pytest.approx(4, rel=1e-5)


def test_design_effects_of_a_gaussian_point_spread() -> None:
    # Sums of exp(-d**2 / s**2) and its square over the plane: pi s**2 and half of it.
    correlation = math.exp(-1 / 9)
    effects = design_effects((correlation, correlation), 1e8)
    assert effects.mean == pytest.approx(9 * math.pi, rel=0.01)
    assert effects.enl == pytest.approx(4.5 * math.pi, rel=0.01)
    assert design_effects((0.0, -0.3), 100) == (1.0, 1.0)
    assert effective_pixels(1e8, (correlation, correlation)) == pytest.approx(1e8 / effects.enl)
    # What chance shows in 25 white pixels is not taken for correlation.
    assert design_effects((0.15, 0.15), 25).enl == 1.0


@pytest.mark.parametrize("arguments", [(0, 9), (1, 1), (1, 9, 1.0), (1, 9, 0.0), (math.inf, 9)])
def test_refusals(arguments: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInput):
        enl_interval(*arguments)


def test_pixels_all_alike_are_refused() -> None:
    with pytest.raises(InvalidInput, match="larger area"):
        enl_interval(100, 49, correlation=(0.99, 0.99))

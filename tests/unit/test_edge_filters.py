"""Refined Lee, improved Lee sigma and IDAN against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.filters.base import SceneConstants
from speckless.plugin.core.filters.idan import Idan
from speckless.plugin.core.filters.leesigma import LeeSigma, sigma_range
from speckless.plugin.core.filters.refinedlee import _HALVES, RefinedLee

ALL = np.ones((7, 7), bool)


def steps() -> dict[str, np.ndarray]:
    """Images of 1 and 9 with an edge through or beside the centre, which lies in the ones."""
    rows, columns = np.indices((7, 7)) - 3
    return {
        "east": np.where(columns >= 0, 1.0, 9.0),
        "west": np.where(columns <= 0, 1.0, 9.0),
        "north": np.where(rows <= 0, 1.0, 9.0),
        "south": np.where(rows >= 0, 1.0, 9.0),
        "northeast": np.where(columns >= rows, 1.0, 9.0),
        "southwest": np.where(columns <= rows, 1.0, 9.0),
        "northwest": np.where(columns <= -rows, 1.0, 9.0),
        "southeast": np.where(columns >= -rows, 1.0, 9.0),
    }


def test_halves_hold_28_pixels_with_the_centre() -> None:
    for spans in _HALVES:
        assert sum(last - first + 1 for first, last in filter(None, spans)) == 28
        assert spans[3][0] <= 0 <= spans[3][1]


@pytest.mark.parametrize("variant", ["speckless", "snap"])
@pytest.mark.parametrize("side", steps())
def test_refined_lee_averages_its_side_of_an_edge_only(side: str, variant: str) -> None:
    values = steps()[side].astype(np.float32)
    estimate = RefinedLee(variant=variant)(values, ALL, SceneConstants(1.0))
    assert estimate[3, 3] == pytest.approx(1.0)


def test_refined_lee_by_hand() -> None:
    """An edge to the west: the east half holds 27 ones and a 4 at the centre."""
    values = steps()["east"].astype(np.float32)
    values[3, 3] = 4.0
    mean = (27 + 4) / 28
    variance = (27 + 16 - 28 * mean**2) / 27
    noise = 0.1
    weight = (1 - noise * mean**2 / variance) / (1 + noise)
    estimate = RefinedLee()(values, ALL, SceneConstants(10.0))[3, 3]
    assert estimate == pytest.approx(mean + weight * (4 - mean), rel=1e-6)
    # Of the nine sub-areas at least five are constant: no noise, so nothing is taken away.
    assert RefinedLee(variant="snap")(values, ALL, SceneConstants(10.0))[3, 3] == pytest.approx(4)


def test_refined_lee_on_a_constant_is_no_black_hole() -> None:
    values = np.full((12, 12), 5.0, np.float32)
    for variant in RefinedLee.variants:
        estimate = RefinedLee(variant=variant)(values, np.ones((12, 12), bool), SceneConstants())
        np.testing.assert_allclose(estimate, 5.0, rtol=1e-6)


def test_refined_lee_beside_nodata_sees_no_edge_there() -> None:
    """With the west missing, the pixels left are one even area, not an edge to nothing."""
    rng = np.random.default_rng(0)
    values = (1 + 0.01 * rng.random((7, 7))).astype(np.float32)
    valid = ALL.copy()
    valid[:, :3] = False
    estimate = RefinedLee()(values, valid, SceneConstants(1.0))[3, 3]
    assert estimate == pytest.approx(1.005, abs=0.005)


# As published (Lee et al. 2009, and SNAP): looks, share -> I1, I2, η.
PUBLISHED = {
    (1, 0.5): (0.436, 1.920, 0.4057),
    (1, 0.9): (0.084, 3.941, 0.8191),
    (2, 0.7): (0.418, 1.972, 0.4062),
    (3, 0.8): (0.419, 1.965, 0.3892),
    (4, 0.6): (0.630, 1.495, 0.2348),
    (4, 0.9): (0.378, 2.094, 0.3991),
}


@pytest.mark.parametrize(("looks", "share"), PUBLISHED)
def test_sigma_ranges_are_the_published_ones(looks: int, share: float) -> None:
    low, high, deviation = PUBLISHED[looks, share]
    found = sigma_range(float(looks), share)
    # Their third digits are not exact: of single-look speckle between 0.084 and 3.941, the mean
    # is 1.0007.
    assert found.low == pytest.approx(low, rel=5e-3, abs=1e-3)
    assert found.high == pytest.approx(high, rel=5e-3)
    assert np.sqrt(found.variance) == pytest.approx(deviation, rel=5e-3)


@pytest.mark.parametrize("looks", [0.6, 4.4, 30.0])
def test_sigma_range_holds_its_share_and_the_mean(looks: float) -> None:
    draws = np.random.default_rng(0).gamma(looks, 1 / looks, 400_000)
    found = sigma_range(looks, 0.8)
    inside = draws[(draws > found.low) & (draws < found.high)]
    assert len(inside) / len(draws) == pytest.approx(0.8, abs=0.005)
    assert inside.mean() == pytest.approx(1.0, abs=0.005)
    assert inside.var() == pytest.approx(found.variance, rel=0.03)


def sigma_window() -> np.ndarray:
    values = np.ones((7, 7), np.float32)
    values[0, 0] = 50.0  # out of every range around 1
    values[3, 3] = 1.5
    return values


def test_lee_sigma_leaves_other_kinds_out() -> None:
    looks = 4.0
    span = sigma_range(looks, 0.9)
    estimate = LeeSigma()(sigma_window(), ALL, SceneConstants(looks, 100.0))[3, 3]
    # 3 x 3: mean 9.5/9, less varied than speckle, so x̃ is that mean; 47 ones and the 1.5 are in
    # range, less varied than speckle too.
    assert span.low < 1 / (9.5 / 9) < 1.5 / (9.5 / 9) < span.high
    assert estimate == pytest.approx((47 + 1.5) / 48, rel=1e-6)


def test_lee_sigma_keeps_clusters_of_bright_pixels() -> None:
    bright = np.zeros((9, 9))
    bright[2, 2:5] = bright[3, 2:4] = 100.0  # five, that (2, 3) and (3, 3) see
    bright[7, 7] = 100.0  # alone
    valid = np.ones((9, 9), bool)
    cluster = bright.astype(bool)
    cluster[7, 7] = False
    np.testing.assert_array_equal(LeeSigma()._targets(bright, valid, 50.0), cluster)
    # SNAP asks for six around the pixel itself.
    snap = LeeSigma(variant="snap")
    assert not snap._targets(bright, valid, 50.0).any()
    bright[3, 4] = 100.0
    found = np.argwhere(snap._targets(bright, valid, 50.0))
    np.testing.assert_array_equal(found, [[2, 3], [3, 3]])
    valid[2, 2] = False
    assert not snap._targets(bright, valid, 50.0).any()


def test_lee_sigma_gives_kept_pixels_as_they_are() -> None:
    values = sigma_window()
    values[2:5, 2:5] = np.arange(60, 69).reshape(3, 3)
    estimate = LeeSigma()(values, ALL, SceneConstants(4.0, 55.0))
    np.testing.assert_array_equal(estimate[2:5, 2:5], values[2:5, 2:5])
    assert estimate[3, 3] != LeeSigma()(values, ALL, SceneConstants(4.0, 1e9))[3, 3]


def test_lee_sigma_without_any_pixel_in_range_gives_the_guess() -> None:
    values = np.zeros((7, 7), np.float32)
    values[2:5, 2:5] = [[1.0, 8.0, 1.0], [8.0, 0.0, 8.0], [1.0, 8.0, 1.0]]
    mean, squares = 4.0, 4 * 1 + 4 * 64
    variation = (squares - 9 * mean**2) / 8 / mean**2
    looks = 5.0
    weight = (1 - 1 / looks / variation) / (1 + 1 / looks)
    guess = (1 - weight) * mean
    span = sigma_range(looks, 0.5)
    assert 1 < span.low * guess < span.high * guess < 8
    estimate = LeeSigma(sigma=0.5)(values, ALL, SceneConstants(looks, 1e9))[3, 3]
    assert estimate == pytest.approx(guess, rel=1e-6)


def test_idan_grows_along_what_is_alike() -> None:
    """A diagonal line of 1 in a field of 20: the line alone makes the estimate."""
    values = np.full((11, 11), 20.0, np.float32)
    line = np.arange(11)
    values[line, line] = 1.0
    values[line[:-1], line[1:]] = 1.2
    values[line[1:], line[:-1]] = 1.2
    estimate = Idan()(values, np.ones((11, 11), bool), SceneConstants(16.0))
    assert estimate[5, 5] == pytest.approx((11 + 20 * 1.2) / 31, rel=1e-6)
    assert estimate[0, 10] == pytest.approx(20.0)


def test_idan_does_not_jump_over_what_differs() -> None:
    values = np.ones((11, 11), np.float32)
    values[:, 7] = 30.0
    values[:, 8:] = 1.05  # alike, but beyond the wall
    estimate = Idan(size=225)(values, np.ones((11, 11), bool), SceneConstants(16.0))
    assert estimate[5, 5] == pytest.approx(1.0, rel=1e-6)


def test_idan_takes_in_neighbours_at_the_second_look() -> None:
    """1.3 is beyond 2/3 σ of the seed 1, but within 2 σ of the mean: taken in if adjacent."""
    values = np.ones((11, 11), np.float32)
    values[4, 5] = 1.3
    values[5, 5] = 1.0
    estimate = Idan(radius=1, size=9)(values, np.ones((11, 11), bool), SceneConstants(16.0))
    assert estimate[5, 5] == pytest.approx((8 + 1.3) / 9, rel=1e-6)


def test_idan_stops_growing_at_its_size() -> None:
    """Grown a ring at a time: 1, 9, 25; then the ring beside is within 2 σ and taken in."""
    values = np.ones((15, 15), np.float32)
    values[4:11, 4:11] = 1.01
    values[7, 7] = 1.02
    estimate = Idan(size=10)(values, np.ones((15, 15), bool), SceneConstants(16.0))[7, 7]
    assert estimate == pytest.approx((48 * 1.01 + 1.02) / 49, rel=1e-6)


def test_idan_beside_nodata() -> None:
    values = np.full((11, 11), 2.0, np.float32)
    valid = np.zeros((11, 11), bool)
    valid[5, 5] = True
    estimate = Idan()(values, valid, SceneConstants(1.0))
    assert estimate[5, 5] == 2.0
    np.testing.assert_array_equal(estimate[~valid], 0)


def test_parameters_out_of_range() -> None:
    with pytest.raises(InvalidInput, match="radius must be 1 to 7"):
        Idan(radius=8)
    with pytest.raises(InvalidInput, match="2 to 225 pixels"):
        Idan(size=1)
    with pytest.raises(InvalidInput, match=r"sigma range must be 0\.5 to 0\.95"):
        LeeSigma(sigma=0.99)

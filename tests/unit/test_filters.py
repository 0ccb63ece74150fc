"""What holds of every classical filter, whatever it computes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from speckless.plugin.core.errors import InvalidInput, MissingPackage
from speckless.plugin.core.filters import packages, windowed
from speckless.plugin.core.filters.base import SceneConstants, SpeckleFilter
from speckless.plugin.core.filters.frost import round_rings, square_rings
from speckless.plugin.core.filters.local import local_mean, local_statistics
from speckless.plugin.core.filters.median import expected_median
from speckless.plugin.core.filters.registry import FILTERS, find_filter
from speckless.plugin.core.quality import enl
from speckless.plugin.core.tiling import Window, plan_tiles

EVERY = [
    pytest.param(kind(variant=variant), id=f"{name}-{variant}")
    for name, kind in FILTERS.items()
    for variant in kind.variants
]
every = pytest.mark.parametrize("filter", EVERY)

# These undo the bias that medians and logarithms of speckle have, which a constant has not.
UNBIASED_FOR_SPECKLE = {"median-speckless", "wavelet-speckless", "mulog-speckless"}


def textured(shape=(90, 110), looks=2.0, seed=0):
    """Fields of two levels, an edge that runs across, a bright point, under speckle."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    clean = np.where((rows // 24 + columns // 31) % 2, 8.0, 2.0) + 5.0 * (columns > rows)
    clean[shape[0] // 2, shape[1] // 2] = 4000.0
    return (clean * rng.gamma(looks, 1 / looks, shape)).astype(np.float32)


def with_holes(shape=(90, 110), seed=1):
    rng = np.random.default_rng(seed)
    valid = rng.random(shape) > 0.05
    valid[20:45, 60:75] = False
    valid[:, :4] = False
    return valid


def scene_of(values, looks=2.0):
    return SceneConstants(looks, float(np.quantile(values, 0.98)))


@every
def test_tiles_give_the_pixels_of_the_whole(filter: SpeckleFilter) -> None:
    values, valid = textured(), with_holes()
    scene = scene_of(values)
    whole = filter(values, valid, scene)
    tiled = np.full(values.shape, np.nan, np.float32)
    for tile in plan_tiles(Window(0, 0, 110, 90), None, 37, filter.halo, filter.lattice):
        source, core, inner = tile.source, tile.core, tile.inner
        place = np.s_[source.y : source.bottom, source.x : source.right]
        estimate = filter(values[place], valid[place], scene)
        tiled[core.y : core.bottom, core.x : core.right] = estimate[
            inner.y : inner.bottom, inner.x : inner.right
        ]
    np.testing.assert_allclose(tiled, whole, rtol=1e-5)


@every
def test_strips_of_a_tile_do_not_show(
    filter: SpeckleFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, valid = textured(), with_holes()
    once = filter(values, valid, scene_of(values))
    monkeypatch.setattr(type(filter), "strip_pixels", 110)
    strips = filter(values, valid, scene_of(values))
    np.testing.assert_allclose(strips, once, rtol=1e-6)


@every
@pytest.mark.parametrize("sentinel", [np.nan, np.inf, -9999.0, 0.0, 1e30])
def test_what_is_not_valid_has_no_influence(filter: SpeckleFilter, sentinel: float) -> None:
    values, valid = textured((40, 50)), with_holes((40, 50))
    valid[20:30, 20:30] = False
    scene = scene_of(values)
    clean = filter(np.where(valid, values, 1.0), valid, scene)
    filled = filter(np.where(valid, values, np.float32(sentinel)), valid, scene)
    np.testing.assert_array_equal(filled, clean)
    assert (clean[~valid] == 0).all()
    assert (clean[valid] > 0).all()


@every
def test_valid_pixels_alone_make_the_mean_beside_a_hole(filter: SpeckleFilter) -> None:
    """A constant is the constant up to the edges of nodata and of the image: no dark rims."""
    valid = with_holes((40, 50))
    estimate = filter(np.full((40, 50), 3.0, np.float32), valid, SceneConstants(4.0, 3.0))
    if f"{filter.id}-{filter.variant}" not in UNBIASED_FOR_SPECKLE:
        np.testing.assert_allclose(estimate[valid], 3.0, rtol=1e-6)
    assert (estimate[valid] > 2.9).all()
    assert np.ptp(estimate[valid]) < 0.3


@every
def test_zeros_stay_zeros_without_a_word(filter: SpeckleFilter) -> None:
    values = np.zeros((20, 30), np.float32)
    with np.errstate(all="raise"):
        estimate = filter(values, np.ones(values.shape, bool), SceneConstants(1.0, 0.0))
    np.testing.assert_array_equal(estimate, 0)


@every
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (1, 40), (40, 1)])
def test_tiny_rasters(filter: SpeckleFilter, shape: tuple[int, int]) -> None:
    values = textured((40, 40))[: shape[0], : shape[1]]
    estimate = filter(values, np.ones(shape, bool), scene_of(values))
    assert estimate.shape == shape
    assert np.isfinite(estimate).all()
    assert (estimate > 0).all()
    if shape == (1, 1):
        rtol = 0.5 if f"{filter.id}-{filter.variant}" in UNBIASED_FOR_SPECKLE else 1e-6
        np.testing.assert_allclose(estimate, values, rtol=rtol)


@every
def test_nothing_valid(filter: SpeckleFilter) -> None:
    estimate = filter(np.full((9, 9), np.nan), np.zeros((9, 9), bool), SceneConstants())
    np.testing.assert_array_equal(estimate, 0)


@every
@pytest.mark.parametrize("scale", [2.0**-90, 2.0**60])
def test_scale_does_not_matter(filter: SpeckleFilter, scale: float) -> None:
    values, valid = textured((40, 50)), with_holes((40, 50))
    scene = scene_of(values)
    estimate = filter(values, valid, scene)
    scaled = filter(
        values * np.float32(scale), valid, SceneConstants(scene.looks, scene.bright * scale)
    )
    np.testing.assert_allclose(scaled / np.float32(scale), estimate, rtol=1e-5)


@every
def test_wild_values_give_finite_estimates(filter: SpeckleFilter) -> None:
    rng = np.random.default_rng(0)
    values = (10.0 ** rng.uniform(-37, 37, (40, 50))).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = 0
    estimate = filter(values, np.ones(values.shape, bool), scene_of(values, 0.3))
    assert np.isfinite(estimate).all()
    assert (estimate >= 0).all()


@every
def test_bright_target_leaves_no_trace_far_away(filter: SpeckleFilter) -> None:
    values = np.random.default_rng(0).gamma(2.0, 0.5, (8, 260)).astype(np.float32)
    valid = np.ones(values.shape, bool)
    clean = filter(values, valid, SceneConstants(2.0, 3.0))
    values[:, 10] = 1e9
    bright = filter(values, valid, SceneConstants(2.0, 3.0))
    far = 11 + filter.halo
    np.testing.assert_array_equal(bright[:, far:], clean[:, far:])


# How far below its input's mean a filter may come on homogeneous speckle: those not named keep
# the mean. The mode of a skewed density lies below its mean, so does the median, and so does what
# is left when pixels unlike their neighbours are left out.
DARKER = {
    "gammamap-speckless": 0.04,
    "median-snap": 0.3,
    "refinedlee-speckless": 0.02,
    "refinedlee-snap": 0.02,
    "leesigma-speckless": 0.02,
    "leesigma-snap": 0.02,
    "idan-speckless": 0.35,
    "wavelet-speckless": 0.03,
    "totalvariation-speckless": 0.03,
    "mulog-speckless": 0.07,
    "sarbm3d-speckless": 0.02,
}


@every
@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_homogeneous_speckle_is_smoothed_and_keeps_its_mean(
    filter: SpeckleFilter, looks: float
) -> None:
    values = np.random.default_rng(3).gamma(looks, 1 / looks, (200, 200)).astype(np.float32)
    estimate = filter(values, np.ones(values.shape, bool), scene_of(values, looks))
    allowed = DARKER.get(f"{filter.id}-{filter.variant}", 0.0)
    assert values.mean() * (1 - allowed) - 0.01 < estimate.mean() < values.mean() + 0.01
    assert enl(estimate) > 3 * looks


@pytest.mark.parametrize("looks", [1.0, 4.0, 32.0])
@pytest.mark.parametrize("name", ["lee", "kuan", "gammamap"])
def test_single_precision_is_enough(
    name: str, looks: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, valid = textured((200, 300), looks), np.ones((200, 300), bool)
    valid[60:80, :90] = False
    filter, scene = find_filter(name)(radius=1), SceneConstants(looks)
    types = []
    kept = windowed.Pool
    monkeypatch.setattr(windowed, "_pools", threading.local())
    monkeypatch.setattr(windowed, "Pool", lambda dtype: types.append(dtype) or kept(dtype))
    single = filter(values, valid, scene)
    double = filter(values.astype(np.float64), valid, scene)
    assert types == [np.float32, np.float64]
    assert (single != double).any()
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_gamma_map_keeps_points_whatever_the_rounding() -> None:
    """Estimates jump at Ci² = 2 Cu²; windows of exactly that are points, whole or in parts."""
    values = np.ones((3, 3), np.float32)
    values[1, 1] = 7.0  # sum 15, of squares 57: Ci² = (57 - 25) / 8 / (25 / 9) = 1.44
    for looks, point in ((2 / 1.44 * 1.0001, True), (2 / 1.44 * 0.9999, False)):
        estimate = find_filter("gammamap")(radius=1)(
            values, np.ones((3, 3), bool), SceneConstants(looks)
        )[1, 1]
        assert (estimate == 7.0) == point


def test_parameters_out_of_range() -> None:
    with pytest.raises(InvalidInput, match="radius must be 1 to 50"):
        find_filter("lee")(radius=0)
    with pytest.raises(InvalidInput, match="no variant 'envi'; choose speckless or snap or otb"):
        find_filter("frost")(variant="envi")
    with pytest.raises(InvalidInput, match="damping factor must be a positive"):
        find_filter("frost")(damping=-1.0)
    with pytest.raises(InvalidInput, match="no filter 'leee'"):
        find_filter("leee")


def test_missing_scipy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(packages.importlib, "import_module", fail)
    with pytest.raises(MissingPackage, match=r"package scipy, which the thing needs.*pip install"):
        packages.scipy_module("special", "the thing")


def test_local_statistics_are_those_of_the_definition() -> None:
    values, valid = textured((13, 17)).astype(np.float64), with_holes((13, 17))
    values[~valid] = 0
    found = local_statistics(values, valid, 2)
    for row in range(13):
        for column in range(17):
            box = np.s_[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
            inside = values[box][valid[box]]
            assert found.number[row, column] == len(inside)
            mean = inside.mean() if len(inside) else 0
            variance = inside.var(ddof=1) if len(inside) > 1 else 0
            assert found.mean[row, column] == pytest.approx(mean, rel=1e-12)
            assert found.variance[row, column] == pytest.approx(variance, rel=1e-9)
    np.testing.assert_array_equal(local_mean(values, valid, 2), found.mean)


def test_rings_cover_the_window_once() -> None:
    image = textured((11, 12)).astype(np.float64)
    valid = np.ones(image.shape, bool)
    for rings, distances in (
        (square_rings, [0, 1, 2]),
        (round_rings, np.sqrt([0, 1, 2, 4, 5, 8])),
    ):
        found = list(rings(image, valid, 2))
        np.testing.assert_allclose([ring.distance for ring in found], distances)
        statistics = local_statistics(image, valid, 2)
        np.testing.assert_array_equal(sum(ring.number for ring in found), statistics.number)
        total = sum(ring.total for ring in found)
        np.testing.assert_allclose(total, statistics.mean * statistics.number, rtol=1e-12)


@pytest.mark.parametrize(("looks", "count"), [(1.0, 9), (1.0, 4), (3.7, 25), (0.5, 3)])
def test_expected_median_is_that_of_many_draws(looks: float, count: int) -> None:
    draws = np.random.default_rng(0).gamma(looks, 1 / looks, (50_000, count))
    medians = np.median(draws, axis=1)
    error = medians.std() / np.sqrt(len(medians))
    assert expected_median(looks, count) == pytest.approx(medians.mean(), abs=4 * error + 1e-4)


def test_expected_median_of_nine_single_looks_is_the_closed_form() -> None:
    closed = sum(1 / n for n in range(5, 10))  # fifth of nine exponential order statistics
    assert expected_median(1.0, 9) == pytest.approx(closed, abs=1e-4)


# A 3 x 3 window of mean 3 and squares that sum to 143: its variance is (143 - 81) / 8, Ci² 62 / 72.
WINDOW = np.array([[1.0, 2.0, 2.0], [3.0, 1.0, 4.0], [2.0, 2.0, 10.0]], np.float32)
MEAN = 3.0
VARIATION = ((1 + 4 + 4 + 9 + 1 + 16 + 4 + 4 + 100) - 9 * 9) / 8 / 9


def centre(name: str, looks: float, **arguments: object) -> float:
    filter = find_filter(name)(radius=1, **arguments)
    return float(filter(WINDOW, np.ones((3, 3), bool), SceneConstants(looks))[1, 1])


def test_lee_and_kuan_by_hand() -> None:
    assert pytest.approx(62 / 72) == VARIATION
    weight = 1 - 0.25 / VARIATION
    assert centre("lee", 4.0) == pytest.approx(MEAN + weight * (1 - MEAN), rel=1e-6)
    assert centre("kuan", 4.0) == pytest.approx(MEAN + weight / 1.25 * (1 - MEAN), rel=1e-6)
    assert centre("lee", 1.0) == pytest.approx(MEAN)  # less varied than speckle of one look


def test_gamma_map_by_hand() -> None:
    looks = 2.0  # Cu² = 0.5 < Ci² = 0.861 < 2 Cu²
    alpha = (1 + 0.5) / (VARIATION - 0.5)
    b = alpha - looks - 1
    root = np.sqrt(MEAN**2 * b**2 + 4 * alpha * looks * MEAN * 1.0)
    assert centre("gammamap", looks) == pytest.approx((b * MEAN + root) / (2 * alpha), rel=1e-6)
    assert centre("gammamap", 1.0) == pytest.approx(MEAN)
    assert centre("gammamap", 4.0) == pytest.approx(1.0)  # Ci² > 2 Cu²: a point is kept


def test_frost_by_hand() -> None:
    cross, corners = 2.0 + 3.0 + 4.0 + 2.0, 1.0 + 2.0 + 2.0 + 10.0
    near, far = np.exp(-2 * VARIATION), np.exp(-2 * VARIATION * np.sqrt(2))
    expected = (1 + near * cross + far * corners) / (1 + 4 * near + 4 * far)
    assert centre("frost", 1.0) == pytest.approx(expected, rel=1e-6)
    assert centre("frost", 1.0, variant="otb", damping=2.0) == pytest.approx(expected, rel=1e-6)
    expected = (1 + near * (cross + corners)) / (1 + 8 * near)
    assert centre("frost", 1.0, variant="snap") == pytest.approx(expected, rel=1e-6)
    light = np.exp(-0.1 * VARIATION), np.exp(-0.1 * VARIATION * np.sqrt(2))
    expected = (1 + light[0] * cross + light[1] * corners) / (1 + 4 * light[0] + 4 * light[1])
    assert centre("frost", 1.0, variant="otb") == pytest.approx(expected, rel=1e-6)


def test_median_by_hand() -> None:
    assert centre("median", 1.0, variant="snap") == 2.0
    assert centre("median", 1.0) == pytest.approx(2.0 / expected_median(1.0, 9))
    valid = np.ones((3, 3), bool)
    valid[0] = False  # left are 1 2 2 3 4 10
    median = find_filter("median")(radius=1, variant="snap")
    assert median(WINDOW, valid, SceneConstants())[1, 1] == 2.5


def test_enhanced_lee_and_frost_by_hand() -> None:
    found, even, most = np.sqrt(VARIATION), 0.5, np.sqrt(1.5)  # four looks
    decay = (found - even) / (most - found)
    weight = np.exp(-decay)
    assert centre("enhancedlee", 4.0) == pytest.approx(MEAN * weight + 1 - weight, rel=1e-6)
    assert centre("enhancedlee", 1.0) == pytest.approx(MEAN)  # Ci < Cu
    near, far = np.exp(-decay), np.exp(-decay * np.sqrt(2))
    expected = (1 + near * 11.0 + far * 15.0) / (1 + 4 * near + 4 * far)
    assert centre("enhancedfrost", 4.0) == pytest.approx(expected, rel=1e-6)
    assert centre("enhancedfrost", 1.0) == pytest.approx(MEAN)


@pytest.mark.parametrize("name", ["enhancedlee", "enhancedfrost"])
def test_enhanced_filters_keep_points(name: str) -> None:
    values = np.ones((9, 9), np.float32)
    values[4, 4] = 500.0  # Ci² = 49 nearly, beyond every Cmax
    estimate = find_filter(name)()(values, np.ones((9, 9), bool), SceneConstants(4.0))
    assert estimate[4, 4] == 500.0

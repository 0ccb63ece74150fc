"""Faults that speckle filters of other programs had: none of ours may have them.

The list is that of what SNAP mended in its filters in May 2026 (commit c322d2d7b of its
microwave toolbox), a test or more to each line, for every filter it can befall; then faults of
the same kind that users told of.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gdal = pytest.importorskip("osgeo.gdal")

from raster_files import make_raster  # noqa: E402

from speckless.plugin.core.filters.base import SceneConstants, SpeckleFilter  # noqa: E402
from speckless.plugin.core.filters.gammamap import GammaMap  # noqa: E402
from speckless.plugin.core.filters.local import local_statistics  # noqa: E402
from speckless.plugin.core.filters.multitemporal import Multitemporal  # noqa: E402
from speckless.plugin.core.filters.refinedlee import RefinedLee, _least_variation  # noqa: E402
from speckless.plugin.core.filters.registry import FILTERS  # noqa: E402
from speckless.plugin.core.tiling import Window  # noqa: E402
from speckless.plugin.jobs.filtering import FilterJob  # noqa: E402

# Those with wide halos are given narrower ones, to be quick; what they compute is the same.
QUICK: dict[str, dict[str, Any]] = {
    "sarbm3d": {"radius": 4},
    "totalvariation": {"iterations": 8},
    "mulog": {"iterations": 2},
    "wavelet": {"scales": 2},
    "nlmeans": {"radius": 4},
}
SINGLE: list[SpeckleFilter] = [
    kind(variant=variant, **QUICK.get(name, {}))
    for name, kind in FILTERS.items()
    for variant in kind.variants
]
every = pytest.mark.parametrize("filter", SINGLE, ids=lambda f: f"{f.id}-{f.variant}")
with_stacks = pytest.mark.parametrize(
    "filter", [*SINGLE, Multitemporal()], ids=lambda f: f"{f.id}-{f.variant}"
)
# Medians and logarithms of speckle lie below its mean: these multiply by as much.
UNDOING = {"median-speckless", "wavelet-speckless", "mulog-speckless"}
EVERYWHERE = SceneConstants(2.0, 40.0)

Run = Callable[..., np.ndarray]


def field(shape: tuple[int, int] = (60, 70), looks: float = 2.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = np.arange(shape[1])
    clean = np.where(columns % 23 < 11, 10.0, 30.0) * np.ones(shape)
    return (clean * rng.gamma(looks, 1 / looks, shape)).astype(np.float32)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Filter an array, from file to file; a stack of it and two more dates where one is due."""

    def from_file_to_file(
        filter: SpeckleFilter, values: np.ndarray, *, nodata: float | None = None, **options: Any
    ) -> np.ndarray:
        bands = values[None] if values.ndim == 2 else values
        if filter.together and len(bands) == 1:
            bands = np.concatenate([bands, bands * np.float32(2), bands])
        options = {"looks": 2.0, "domain": "intensity", **options}
        scene = make_raster(tmp_path / "scene.tif", bands, nodata=nodata)
        job = FilterJob(scene, str(tmp_path / "out.tif"), filter, **options)
        job.run(lambda part, text: None, lambda: False)
        return np.asarray(gdal.Open(str(tmp_path / "out.tif")).ReadAsArray())

    return from_file_to_file


# 1 · the nodata value leaked into mean, variance and number of looks


@with_stacks
def test_nodata_counts_in_no_statistic(filter: SpeckleFilter, run: Run) -> None:
    values, hole = field(), np.zeros((60, 70), bool)
    hole[20:35, 30:50] = hole[:, :6] = hole[5, 60] = True
    found = []
    for sentinel in (np.nan, 0.0, -9999.0, 1e30):
        stored = np.where(hole, np.float32(sentinel), values)
        # Twice the first date's would be another number.
        stack = np.stack([stored] * 3) if filter.together else stored
        # Looks and brightness of the scene are measured.
        out = run(filter, stack, nodata=sentinel, looks=None).reshape(-1, 60, 70)[0]
        missing = np.isnan(out) if np.isnan(sentinel) else out == np.float32(sentinel)
        np.testing.assert_array_equal(missing, hole, f"nodata {sentinel}")
        found.append(out[~hole])
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


# 2 · black holes in windows without variance; 5 · 0/0


@with_stacks
@pytest.mark.parametrize("level", [0.0, 1e-30, 1.0, 1e30])
def test_windows_without_variance_are_no_black_holes(
    filter: SpeckleFilter, level: float, run: Run
) -> None:
    out = run(filter, np.full((30, 32), level, np.float32), nodata=-1.0)[..., 1:-1, 1:-1]
    out = out.reshape(-1, 28, 30)[0]
    assert np.isfinite(out).all()
    # Some undo a bias that speckle has, and a constant has not, nearer to borders less so.
    undone = f"{filter.id}-{filter.variant}" in UNDOING
    np.testing.assert_allclose(out, level, rtol=0.35 if undone else 1e-5)
    assert np.ptp(out) <= (0.02 if undone else 1e-5) * level


@every
def test_nothing_is_divided_by_nothing(filter: SpeckleFilter) -> None:
    """A bright pixel in a field of zeros, half of it invalid."""
    values, valid = np.zeros((40, 40), np.float32), np.ones((40, 40), bool)
    values[20, 20] = 100.0
    valid[:, 22:] = False
    with np.errstate(divide="raise", invalid="raise"):
        estimate = filter(values, valid, EVERYWHERE)
    assert np.isfinite(estimate).all()
    assert (estimate >= 0).all()
    assert estimate[2, 2] == 0


# 3 · refined Lee took the wrong five of nine sorted sub-areas


def test_refined_lee_takes_the_five_least_varied_sub_areas() -> None:
    values = field((7, 7)).astype(np.float64)
    variations = []
    for row in (0, 2, 4):
        for column in (0, 2, 4):
            area = values[row : row + 3, column : column + 3]
            variations.append(area.var(ddof=1) / area.mean() ** 2)
    expected = np.mean(sorted(variations)[:5])
    found = _least_variation(local_statistics(values, np.ones((7, 7), bool), 1))
    assert found[3, 3] == pytest.approx(expected, rel=1e-9)


def test_refined_lee_by_the_formula_of_its_half() -> None:
    """Rows of 10, 20, 30, ... above the centre, of noise below: the calmer south is not taken,
    but the side of the gradient that is nearer to the centre, whatever its variance."""
    values = field((7, 7), looks=8.0, seed=3).astype(np.float64)
    values[:3] *= 9.0
    south = values[3:]
    areas = [values[r : r + 3, c : c + 3] for r in (0, 2, 4) for c in (0, 2, 4)]
    noise = np.mean(sorted(a.var(ddof=1) / a.mean() ** 2 for a in areas)[:5])
    mean, variance = south.mean(), south.var(ddof=1)
    weight = max(0.0, (variance - mean**2 * noise) / (1 + noise)) / variance
    expected = mean + weight * (values[3, 3] - mean)
    snap = RefinedLee(variant="snap")
    estimate = snap(values.astype(np.float32), np.ones((7, 7), bool), SceneConstants())[3, 3]
    assert estimate == pytest.approx(expected, rel=1e-5)


# 4 · edge tiles of one or two pixels made a percentile fail


@with_stacks
@pytest.mark.parametrize("side", [1, 2, 65, 66])
def test_tiny_tiles_are_filtered_like_all_others(
    filter: SpeckleFilter, side: int, run: Run
) -> None:
    """Rasters of 1 x 1 and 2 x 2, and the corners left when 64 x 64 tiles are cut off."""
    values = field((side, side))
    tiled = run(filter, values, tile_size=64)
    assert np.isfinite(tiled).all()
    assert (tiled > 0).all()
    if side > 2:
        whole = run(filter, values, tile_size=512)
        np.testing.assert_allclose(tiled, whole, rtol=1e-5)


# 6 · square roots of negative numbers in Gamma MAP


@pytest.mark.parametrize("looks", [0.1, 0.7, 1.0, 4.0, 100.0, 1e6])
def test_gamma_map_takes_no_root_of_a_negative(looks: float) -> None:
    rng = np.random.default_rng(0)
    values = (10.0 ** rng.uniform(-4, 4, (200, 200))).astype(np.float32)
    values[:100] = rng.gamma(looks, 1 / looks, (100, 200)) * rng.gamma(3, 1, (100, 200))
    with np.errstate(invalid="raise"):
        estimate = GammaMap(radius=1)(values, np.ones(values.shape, bool), SceneConstants(looks))
    assert np.isfinite(estimate).all()
    assert (estimate >= 0).all()


# 7 · logarithms of zero and of negative numbers, spread by non-local means


@every
def test_zeros_and_negatives_do_not_spread(filter: SpeckleFilter, run: Run) -> None:
    values = field()
    values[30, 35] = 0.0
    values[12, 12] = -3.0  # as noise subtraction leaves them: taken as 0, and valid
    out = run(filter, values)
    assert np.isfinite(out).all()
    assert (out >= 0).all()
    away = np.ones(out.shape, bool)
    away[25:41, 30:46] = away[7:23, 7:23] = False
    clean = run(filter, field())
    assert out[away] == pytest.approx(clean[away], rel=0.5)


# 8 · multi-temporal filtering gave 0 for nodata, and mixed up who is valid


def test_each_date_of_a_stack_has_its_own_nodata(run: Run) -> None:
    dates = np.stack([field(seed=seed) for seed in range(3)])
    dates[0, 10:20, 10:20] = dates[2, 15:25, 15:25] = -5.0
    out = run(Multitemporal(), dates, nodata=-5.0)
    np.testing.assert_array_equal(out == -5.0, dates == -5.0)
    # Where one date is missing the others are still averaged, with each other alone.
    pair = run(Multitemporal(), dates[1:], nodata=-5.0)
    np.testing.assert_allclose(out[1, 11:14, 11:14], pair[0, 11:14, 11:14], rtol=1e-5)
    assert not np.allclose(out[1, 40:, 40:], pair[0, 40:, 40:], rtol=1e-3)


# 9 · IDAN grew from seeds among nodata


@every
def test_lone_pixels_among_nodata(filter: SpeckleFilter) -> None:
    values, valid = np.full((30, 30), np.nan, np.float32), np.zeros((30, 30), bool)
    values[15, 15], valid[15, 15] = 7.0, True
    with np.errstate(invalid="raise"):
        estimate = filter(values, valid, EVERYWHERE)
    assert estimate[15, 15] == pytest.approx(7.0, rel=0.5)
    np.testing.assert_array_equal(estimate[~valid], 0)


# 10 · amplitudes averaged as if they were intensities


@with_stacks
def test_amplitudes_are_filtered_as_intensities(filter: SpeckleFilter, run: Run) -> None:
    intensity = field(looks=1.0)
    expected = run(filter, intensity)
    found = run(filter, np.sqrt(intensity), domain="amplitude")
    if filter.together:
        # The dates made of the first differ in amplitude as these do in intensity.
        expected, found = expected[0], found[0]
    np.testing.assert_allclose(np.square(found), expected, rtol=1e-3)


def test_multilooked_amplitudes_are_not_biased_low(run: Run) -> None:
    intensity = np.random.default_rng(0).exponential(5.0, (90, 90)).astype(np.float32)
    boxcar = FILTERS["boxcar"](radius=3)
    found = np.square(run(boxcar, np.sqrt(intensity), domain="amplitude"))
    assert found.mean() == pytest.approx(5.0, rel=0.03)  # squared means of amplitudes: 3.9


# 11 · a border of one black pixel


@with_stacks
def test_no_pixel_is_lost_at_borders(filter: SpeckleFilter, run: Run) -> None:
    even = np.random.default_rng(0).gamma(2.0, 5.0, (60, 70)).astype(np.float32)
    out = run(filter, even, nodata=-1.0).reshape(-1, 60, 70)[0]
    border = np.concatenate([out[0], out[-1], out[:, 0], out[:, -1]])
    inside = out[3:-3, 3:-3]
    assert (border > 0).all()
    assert np.median(border) == pytest.approx(np.median(inside), rel=0.25)


# Statistics of the scene taken tile by tile: crop and whole scene then differ


@with_stacks
def test_a_crop_has_the_pixels_of_the_scene(filter: SpeckleFilter, run: Run) -> None:
    """Looks and percentile measured, tiles of 64 pixels, against one tile and everything."""
    values = field((150, 170))
    values[:75, :85] *= 20  # no tile has the scene's percentile
    whole = run(filter, values, looks=None, tile_size=512)
    crop = run(filter, values, looks=None, tile_size=64, extent=Window(41, 23, 100, 90))
    np.testing.assert_allclose(crop, whole[..., 23:113, 41:141], rtol=1e-5)

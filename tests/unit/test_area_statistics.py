from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from speckless.plugin.core import quality
from speckless.plugin.core.area_statistics import (
    area_statistics,
    cell_counts,
    choose_cells,
    cut_cells,
)
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.gamma_fit import fit_looks, is_single_look, ks_distance
from speckless.plugin.core.special import digamma, gamma_cdf
from speckless.plugin.core.speckle import gamma_pdf, nakagami_pdf, simulate_speckle


def speckle(shape: tuple[int, int], looks: float, seed: int = 0, psf: float = 0.0) -> np.ndarray:
    return simulate_speckle(shape, looks, np.random.default_rng(seed), psf)


def assert_finite(statistics) -> None:
    for field in dataclasses.fields(statistics):
        value = getattr(statistics, field.name)
        assert value is None or not isinstance(value, float) or math.isfinite(value), field.name
        if dataclasses.is_dataclass(value):
            assert_finite(value)
        if isinstance(value, np.ndarray):
            assert np.all(np.isfinite(value)), field.name


def test_by_hand() -> None:
    area = np.array([[1.0, 3.0, np.nan], [7.0, 2.0, np.inf]])
    mask = np.array([[True, True, True], [False, True, True]])
    estimate = np.array([[2.0, 2.0, 2.0], [2.0, 4.0, 2.0]])
    found = area_statistics(area, mask, estimate)
    one = found.original
    assert (one.n_pixels, one.mean, one.std, one.cx, one.enl) == pytest.approx((3, 2, 1, 0.5, 4))
    # Ratios 0.5, 1.5, 0.5.
    assert found.mean_ratio == pytest.approx(2.5 / 3)
    assert found.variance_ratio == pytest.approx(1 / 3)
    assert found.despeckled.enl == pytest.approx((8 / 3) ** 2 / (4 / 3))
    assert found.enl_gain == pytest.approx(found.despeckled.enl / 4)
    assert one.too_small


@pytest.mark.parametrize("looks", [0.5, 1, 4, 16])
def test_theory_on_simulated_speckle(looks: float) -> None:
    area = 3e-4 * speckle((300, 300), looks)
    found = area_statistics(area).original
    assert found.enl == pytest.approx(quality.enl(area), rel=1e-6)
    assert found.cx == pytest.approx(quality.coefficient_of_variation(area), rel=1e-6)
    assert found.mean == pytest.approx(3e-4, rel=0.02)
    assert found.gamma_looks == pytest.approx(looks, rel=0.02)
    assert found.ks_distance < 1.63 / 300  # 99 % of Gamma samples of 90 000 lie below
    assert abs(found.correlation_x) < 0.011
    assert abs(found.correlation_y) < 0.011
    assert found.effective_pixels == pytest.approx(90_000, rel=0.001)
    assert not found.too_small
    assert not found.notes


def test_ratio_agrees_with_quality() -> None:
    noisy, estimate = speckle((50, 60), 4), speckle((50, 60), 90, 1)
    mask = speckle((50, 60), 1, 2) > 0.3
    found = area_statistics(noisy, mask, estimate)
    assert found.mean_ratio == pytest.approx(quality.mean_of_ratio(noisy, estimate, mask))
    assert found.variance_ratio == pytest.approx(
        quality.variance_of_ratio(noisy, estimate, mask), rel=1e-6
    )


@pytest.mark.parametrize(("psf", "near"), [(0.6, 0.20), (0.9, 0.54), (1.1, 0.66)])
def test_correlation_of_neighbours(psf: float, near: float) -> None:
    area = speckle((200, 200), 4, psf=psf)
    found = area_statistics(area).original
    assert found.correlation_x == pytest.approx(near, abs=0.03)
    assert found.correlation_y == pytest.approx(near, abs=0.03)
    assert found.effective_pixels < 40_000 / (1 + near**2)
    # A stripe as small as 6 x 9 shows as much on average, though its own mean is taken out.
    parts = [area[y : y + 6, x : x + 9] for y in range(0, 198, 6) for x in range(0, 198, 9)]
    small = [area_statistics(part).original.correlation_x for part in parts]
    assert np.mean(small) == pytest.approx(near, abs=0.08)


def test_correlation_in_one_direction_and_across_holes() -> None:
    area = speckle((150, 400), 4)
    area = (area[:, :-1] + area[:, 1:]) / 2
    mask = speckle(area.shape, 1, 5) > 0.2
    found = area_statistics(area, mask).original
    assert found.correlation_x == pytest.approx(0.5, abs=0.03)
    assert found.correlation_y == pytest.approx(0.0, abs=0.02)
    u = np.where(mask, area / area[mask].mean() - 1, 0)
    pairs = np.count_nonzero(mask[:, 1:] & mask[:, :-1])
    by_hand = np.sum(u[:, 1:] * u[:, :-1]) / pairs / area[mask].var(ddof=1) * area[mask].mean() ** 2
    assert found.correlation_x == pytest.approx(by_hand, abs=1e-4)


def test_blocks_are_apart_from_each_other() -> None:
    area = speckle((40, 30), 4, psf=0.9)
    blocks = np.stack([area[:20], area[20:]])
    assert area_statistics(blocks).original.correlation_y != pytest.approx(
        area_statistics(area).original.correlation_y, abs=1e-6
    )
    alone = np.arange(1.0, 25.0).reshape(24, 1, 1)
    found = area_statistics(alone).original
    assert found.correlation_x is None
    assert found.correlation_y is None
    assert any("side by side in a row" in note for note in found.notes)


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (np.full((3, 3), np.nan), "no valid pixel"),
        (np.array([[np.nan, 5.0]]), "single pixel"),
        (np.full((9, 9), 0.1, np.float32), "constant"),
        (np.zeros((3, 3)), "All pixels are 0"),
    ],
)
def test_what_cannot_be_measured_is_none_with_a_reason(area: np.ndarray, message: str) -> None:
    found = area_statistics(area, despeckled=area)
    assert found.original.enl is None
    assert found.enl_gain is None
    assert found.original.enl_low is None
    assert any(message in note for note in found.original.notes)
    assert message in found.original.too_small
    assert_finite(found)


@pytest.mark.parametrize("domain", ["intensity", "amplitude", "db", "complex"])
@pytest.mark.parametrize("looks", [0.2, 1, 300])
def test_always_finite(domain: str, looks: float) -> None:
    area = speckle((30, 40), looks)
    area[:3] = 0
    area[5, 5] = 1e30
    area[6, 6] = 1e-7
    smooth = speckle((30, 40), 1000, 1)
    smooth[10, :5] = 0
    found = area_statistics(area, None, smooth, domain=domain)
    assert_finite(found)
    assert any("120 pixels of 0" in note for note in found.original.notes)
    assert any("5 despeckled pixels of 0" in note for note in found.notes)
    assert math.isfinite(found.mean_ratio)


def test_zeros_do_not_change_the_fit_to_the_others() -> None:
    area = speckle((100, 100), 2)
    alone = area_statistics(area).original
    area = np.vstack([area, np.zeros((20, 100), np.float32)])
    found = area_statistics(area).original
    assert found.gamma_looks == pytest.approx(alone.gamma_looks, rel=1e-5)
    assert found.ks_distance == pytest.approx(alone.ks_distance, abs=1e-4)
    assert found.enl < alone.enl


def test_negative_and_misfit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="negative"):
        area_statistics(np.array([[1.0, -0.1]]))
    with pytest.raises(InvalidInput, match="fit"):
        area_statistics(np.ones((3, 3)), np.ones((3, 4), bool))
    with pytest.raises(InvalidInput, match="one shape"):
        area_statistics(np.ones((3, 3)), despeckled=np.ones((3, 4)))
    with pytest.raises(InvalidInput, match="domain"):
        area_statistics(speckle((9, 9), 1), domain="phase")


def test_too_small_says_what_would_do() -> None:
    small = area_statistics(speckle((9, 9), 4)).original
    assert "known only to lie between" in small.too_small
    needed = int(small.too_small.split("about ")[1].split()[0])
    assert 81 < needed < 400
    side = math.ceil(math.sqrt(1.2 * needed))
    assert not area_statistics(speckle((side, side), 4)).original.too_small
    assert area_statistics(speckle((side, side), 4, psf=1.1)).original.too_small


def test_despeckled_covers_a_part() -> None:
    noisy, estimate = speckle((40, 40), 4), speckle((40, 40), 50, 1)
    covered = np.zeros((40, 40), bool)
    covered[:20] = True
    found = area_statistics(noisy, None, estimate, covered)
    assert found.original.n_pixels == 1600
    assert found.despeckled.n_pixels == 800
    before, after = quality.enl(noisy[:20]), quality.enl(estimate[:20])
    assert found.enl_gain == pytest.approx(after / before, rel=1e-6)
    assert any("Only 800 of 1600" in note for note in found.notes)
    none = area_statistics(noisy, None, estimate, np.zeros((40, 40), bool))
    assert none.mean_ratio is None
    assert none.enl_gain is None


def test_large_areas_are_sampled_the_same_way_always() -> None:
    area = speckle((700, 900), 4)
    mask = np.ones(area.shape, bool)
    mask[:, 300:500] = False
    found = area_statistics(area, mask, area * 2, max_pixels=100_000)
    assert found.is_sampled
    assert found.n_valid == 700 * 700
    assert 100_000 <= found.original.n_pixels < 105_000
    assert found.original.enl == pytest.approx(4, rel=0.03)
    assert found.variance_ratio == pytest.approx(0, abs=1e-9)
    assert found.mean_ratio == pytest.approx(0.5)
    again = area_statistics(area, mask, area * 2, max_pixels=100_000)
    assert again.original.enl == found.original.enl
    other = area_statistics(area, mask, max_pixels=100_000, seed=1)
    assert other.original.enl != found.original.enl
    assert not area_statistics(area, mask, max_pixels=490_000).is_sampled


def test_cells_hold_what_the_mask_holds() -> None:
    mask = np.zeros((130, 200), bool)
    mask[60:70, 190:] = True
    mask[0, 0] = True
    counts = cell_counts(mask)
    assert counts.shape == (3, 4)
    assert counts[0, 0] == 1
    assert counts[0, 2:].tolist() == [4 * 2, 4 * 8]
    assert counts.sum() == mask.sum()
    chosen = choose_cells(counts, 10**6)
    assert chosen == [tuple(place) for place in np.argwhere(counts)]
    assert cut_cells(mask, chosen).sum() == mask.sum()
    # Thin areas in many cells: memory bounds their number.
    assert len(choose_cells(np.ones((100, 100), int), 64 * 64 * 5)) == 20


@pytest.mark.parametrize("looks", [0.1, 1.0, 3.7, 250.0, 5e4])
def test_fit_solves_the_likelihood_equation(looks: float) -> None:
    assert fit_looks(math.log(looks) - digamma(looks)) == pytest.approx(looks, rel=1e-6)


@pytest.mark.parametrize(
    ("looks", "n", "single"),
    [(1.0, 900, True), (1.05, 900, True), (1.12, 900, False), (1.0, 100, False), (3.0, 9e4, False)],
)
def test_single_look_is_told_as_surely_as_the_pixels_tell(
    looks: float, n: float, single: bool
) -> None:
    assert is_single_look(looks, n) is single


def test_fit_refuses_equal_pixels() -> None:
    with pytest.raises(InvalidInput, match="constant"):
        fit_looks(0.0)


@pytest.mark.parametrize("n", [40, 5000])
def test_ks_distance_is_the_greatest_difference(n: int) -> None:
    values = np.sort(np.random.default_rng(3).gamma(2.0, 0.5, n))
    law = 1 - (1 + 3 * values) * np.exp(-3 * values)  # L = 2, but of mean 2/3
    steps = np.arange(n + 1) / n
    exact = max(np.max(steps[1:] - law), np.max(law - steps[:-1]))
    found = ks_distance(np.log(1.5 * values), 2.0)
    assert exact - 0.003 <= found <= exact + 1e-9
    assert exact > 0.05


@pytest.mark.parametrize("shape", [0.3, 1.0, 2.0, 60.0, 150.0, 1e4])
def test_gamma_cdf(shape: float) -> None:
    deviation = math.sqrt(shape)
    x = np.linspace(max(shape - 8 * deviation, 0), shape + 8 * deviation, 20001)
    cdf = gamma_cdf(x, shape)
    assert np.all(np.diff(cdf) >= -1e-9)
    assert cdf[-1] == pytest.approx(1, abs=1e-3)
    inner = slice(200, -1)  # the density itself may be infinite at 0
    centres = (x[1:] + x[:-1])[inner] / 2
    # gamma_pdf is of mean 1: this is its law of the given mean.
    density = gamma_pdf(centres, shape, shape)
    np.testing.assert_allclose(
        np.diff(cdf)[inner] / np.diff(x)[inner], density, atol=2e-4 * density.max()
    )


def test_gamma_cdf_by_closed_form() -> None:
    x = np.array([0.0, 1e-9, 0.5, 3.0, 40.0, 1e6])
    np.testing.assert_allclose(gamma_cdf(x, 1.0), -np.expm1(-x), atol=1e-13)
    np.testing.assert_allclose(gamma_cdf(x, 2.0), 1 - (1 + x) * np.exp(-x), atol=1e-12)


@pytest.mark.parametrize("looks", [1, 4])
def test_histogram_is_in_the_domain_of_the_layer(looks: float) -> None:
    area = 7 * speckle((300, 300), looks)
    in_domain = {"intensity": area, "amplitude": np.sqrt(area), "db": 10 * np.log10(area)}
    shown = {domain: area_statistics(area, domain=domain).original for domain in in_domain}
    for domain, values in in_domain.items():
        found = shown[domain].histogram
        assert found.domain == domain
        counts, _ = np.histogram(values, found.edges)
        assert np.abs(counts - found.counts).sum() < 40  # of 90 000: rounding at edges
        assert found.outside == pytest.approx(area.size - counts.sum(), abs=2)
        width = np.diff(found.edges)
        np.testing.assert_allclose(found.density, found.counts / area.size / width)
        # So many standard errors that no bin of Gamma samples lies farther away.
        error = np.sqrt(np.maximum(found.fitted * width, 1e-5) / area.size) / width
        assert np.max(np.abs(found.density - found.fitted) / error) < 6
    fitted, mean = shown["intensity"].gamma_looks, shown["intensity"].mean
    if looks == 1:  # at one look the laws have names and shapes of their own
        names = [shown[domain].histogram.law for domain in ("intensity", "amplitude", "db")]
        assert names == ["exponential", "Rayleigh", "log-exponential"]
        fitted = 1.0

    def in_db(x: np.ndarray) -> np.ndarray:
        power = 10 ** (x / 10)
        return gamma_pdf(power, fitted, mean) * power * math.log(10) / 10

    laws = {
        "Gamma": lambda x: gamma_pdf(x, fitted, mean),
        "Nakagami": lambda x: nakagami_pdf(x, fitted, mean),
        "log-Gamma": in_db,
        "exponential": lambda x: np.exp(-x / mean) / mean,
        "Rayleigh": lambda x: 2 * x / mean * np.exp(-(x**2) / mean),
        "log-exponential": in_db,
    }
    for found in (statistics.histogram for statistics in shown.values()):
        centres = (found.edges[1:] + found.edges[:-1]) / 2
        np.testing.assert_allclose(
            found.fitted, laws[found.law](centres), atol=0.02 * found.fitted.max()
        )

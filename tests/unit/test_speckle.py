from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from speckless.plugin.core.domains import DOMAINS, from_intensity, to_intensity
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.looks import CORRELATED
from speckless.plugin.core.speckle import (
    amplitude_cv,
    amplitude_mean,
    db_bias,
    db_std,
    digamma,
    estimate_looks,
    gamma_pdf,
    looks_to_sigma,
    nakagami_pdf,
    psf_kernel,
    sigma_to_looks,
    simulate_speckle,
    speckle_correlation,
    trigamma,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("domain", ["intensity", "amplitude", "db"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_domains_round_trip(domain: str, dtype: type) -> None:
    intensity = np.array([[1e-9, 0.5, 1.0], [3.7, 1e7, np.nan]])
    values = from_intensity(intensity, domain).astype(dtype)
    back = to_intensity(values, domain)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, intensity, rtol=5e-6)


def test_domains_by_hand() -> None:
    np.testing.assert_allclose(
        to_intensity(np.array([0.0, -10.0, 3.0103]), "db"), [1, 0.1, 2], 1e-6
    )
    np.testing.assert_array_equal(to_intensity(np.array([300], np.uint16), "amplitude"), [90000])
    np.testing.assert_array_equal(to_intensity(np.array([3 + 4j], np.complex64), "complex"), [25])
    np.testing.assert_allclose(from_intensity(np.array([100.0]), "db"), [20])
    assert from_intensity(np.array([0.0]), "db")[0] == pytest.approx(-379.3, abs=0.1)
    assert set(DOMAINS) == {"intensity", "amplitude", "db", "complex"}


def test_wrong_domains_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Unknown domain"):
        to_intensity(np.ones(2), "decibel")
    with pytest.raises(InvalidInput, match="real, which does not fit"):
        to_intensity(np.ones(2), "complex")
    with pytest.raises(InvalidInput, match="complex, which does not fit"):
        to_intensity(np.ones(2, np.complex64), "amplitude")
    with pytest.raises(InvalidInput, match="no phase"):
        from_intensity(np.ones(2), "complex")
    with pytest.raises(InvalidInput, match="negative"):
        from_intensity(np.array([-1.0]), "amplitude")


@pytest.mark.parametrize("x", [1e-3, 0.1, 0.5, 1.0, 2.5, 4.4, 9.99, 10.0, 37.0, 1e4])
def test_special_functions_match_scipy(x: float) -> None:
    assert digamma(x) == pytest.approx(float(special.digamma(x)), rel=1e-11, abs=1e-11)
    assert trigamma(x) == pytest.approx(float(special.polygamma(1, x)), rel=1e-11)


def test_sigma_and_looks_are_inverse() -> None:
    assert looks_to_sigma(4) == 0.5
    assert sigma_to_looks(looks_to_sigma(3.7)) == pytest.approx(3.7)


@pytest.mark.parametrize("looks", [0.0, -1.0, math.nan, math.inf])
def test_impossible_looks_are_refused(looks: float) -> None:
    for function in (looks_to_sigma, sigma_to_looks, db_bias, amplitude_mean, digamma, trigamma):
        with pytest.raises(InvalidInput, match="must be a positive number"):
            function(looks)
    with pytest.raises(InvalidInput, match="number of looks"):
        simulate_speckle((4, 4), looks, rng())


# Looks, amplitude mean and coefficient of variation: well known constants.
AMPLITUDE = [
    (1, 0.8862, 0.5227), (2, 0.9400, 0.3630), (3, 0.9594, 0.2941),
    (4, 0.9693, 0.2536), (5, 0.9754, 0.2262),
]  # fmt: skip


@pytest.mark.parametrize(("looks", "mean", "cv"), AMPLITUDE)
def test_amplitude_constants(looks: float, mean: float, cv: float) -> None:
    assert amplitude_mean(looks) == pytest.approx(mean, abs=5e-5)
    assert amplitude_cv(looks) == pytest.approx(cv, abs=6e-5)


@pytest.mark.parametrize(
    ("looks", "bias"), [(1, -2.507), (2, -1.174), (4, -0.565), (4.4, -0.512), (5, -0.449)]
)
def test_db_bias_constants(looks: float, bias: float) -> None:
    assert db_bias(looks) == pytest.approx(bias, abs=6e-4)


def test_db_moments_match_simulation() -> None:
    assert db_std(1) == pytest.approx(5.57, abs=5e-3)
    assert db_std(4.4) == pytest.approx(2.19, abs=5e-3)
    decibels = simulate_speckle((400, 400), 2, rng(), domain="db")
    assert decibels.mean() == pytest.approx(db_bias(2), abs=0.04)
    assert decibels.std() == pytest.approx(db_std(2), rel=0.02)


@pytest.mark.parametrize("looks", [0.5, 1.0, 3.0, 7.3])
def test_densities_match_scipy(looks: float) -> None:
    x = np.array([0.0, 0.01, 0.5, 1.0, 4.0])
    np.testing.assert_allclose(
        gamma_pdf(x, looks, 2.5), stats.gamma.pdf(x, looks, scale=2.5 / looks), rtol=1e-10
    )
    np.testing.assert_allclose(
        nakagami_pdf(x, looks, 2.5), stats.nakagami.pdf(x, looks, scale=math.sqrt(2.5)), rtol=1e-10
    )
    assert gamma_pdf(np.array([-1.0]), looks)[0] == 0
    assert nakagami_pdf(np.array([-1.0]), looks)[0] == 0


@pytest.mark.parametrize("looks", [0.5, 1, 4, 12.5])
def test_white_speckle_is_gamma(looks: float) -> None:
    speckle = simulate_speckle((300, 300), looks, rng(1))
    assert speckle.dtype == np.float32
    assert speckle.mean() == pytest.approx(1, abs=0.02)
    assert speckle.var() == pytest.approx(1 / looks, rel=0.06)
    sample = speckle.ravel()[:5000]
    assert stats.kstest(sample, stats.gamma(looks, scale=1 / looks).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("psf_sigma", "correlation"), [(0.4, 0.008), (0.6, 0.198), (1.1, 0.661)])
def test_correlated_speckle(psf_sigma: float, correlation: float) -> None:
    kernel = psf_kernel(psf_sigma).astype(float)
    assert np.sum(kernel[1:] * kernel[:-1]) ** 2 == pytest.approx(correlation, abs=1e-3)
    looks = 2
    fields = [simulate_speckle((250, 251), looks, rng(i), psf_sigma) for i in range(4)]
    deviation = np.stack(fields) - 1
    assert deviation.shape == (4, 250, 251)
    assert deviation.mean() == pytest.approx(0, abs=0.02)
    variance = np.mean(deviation**2)
    assert variance == pytest.approx(1 / looks, rel=0.06)
    along_x = np.mean(deviation[..., 1:] * deviation[..., :-1]) / variance
    along_y = np.mean(deviation[:, 1:] * deviation[:, :-1]) / variance
    assert along_x == pytest.approx(correlation, abs=0.02)
    assert along_y == pytest.approx(correlation, abs=0.02)
    # Nothing wraps around: opposite edges are independent.
    ends = np.mean(deviation[..., 0] * deviation[..., -1]) / variance
    assert abs(ends) < 0.12


def test_simulation_repeats_and_refuses() -> None:
    np.testing.assert_array_equal(
        simulate_speckle((9, 9), 2, rng(5), 0.6), simulate_speckle((9, 9), 2, rng(5), 0.6)
    )
    amplitude = simulate_speckle((9, 9), 1, rng(5), domain="amplitude")
    np.testing.assert_allclose(amplitude**2, simulate_speckle((9, 9), 1, rng(5)), rtol=1e-6)
    with pytest.raises(InvalidInput, match="whole looks"):
        simulate_speckle((9, 9), 1.5, rng(), 0.6)
    with pytest.raises(InvalidInput, match="rows, columns"):
        simulate_speckle((2, 9, 9), 1, rng(), 0.6)
    assert simulate_speckle((2, 9, 9), 1.5, rng()).shape == (2, 9, 9)
    with pytest.raises(InvalidInput, match="point spread"):
        simulate_speckle((9, 9), 1, rng(), -1.0)


def patchwork(size: int = 256) -> np.ndarray:
    """Fields of different brightness, a road, a ramp and bright targets."""
    fields = np.repeat(np.repeat(rng(3).uniform(0.02, 1, (8, 8)), size // 8, 0), size // 8, 1)
    fields[:, 100:103] *= 0.2
    fields[: size // 4] *= np.linspace(0.5, 2, size)
    targets = rng(4).integers(0, size, (2, 60))
    fields[targets[0], targets[1]] = 1e4
    return fields


@pytest.mark.parametrize("looks", [1, 2, 4, 8])
@pytest.mark.parametrize("psf_sigma", [0.0, 0.6, 1.1])
def test_looks_of_a_flat_scene(looks: int, psf_sigma: float) -> None:
    estimate = estimate_looks(simulate_speckle((256, 256), looks, rng(looks), psf_sigma))
    assert estimate.looks == pytest.approx(looks, rel=0.1)
    assert estimate.n_windows == 63 * 63
    assert 0 < estimate.spread < looks


@pytest.mark.parametrize("looks", [1, 2, 4, 8])
def test_looks_of_a_patchwork_with_targets(looks: int) -> None:
    scene = patchwork() * simulate_speckle((256, 256), looks, rng(looks))
    assert estimate_looks(scene).looks == pytest.approx(looks, rel=0.12)


def test_looks_do_not_depend_on_scale_or_nodata() -> None:
    scene = patchwork() * simulate_speckle((256, 256), 4, rng())
    plain = estimate_looks(scene)
    assert estimate_looks(scene * 1e-7).looks == pytest.approx(plain.looks, rel=1e-6)
    holed, valid = scene.copy(), np.ones(scene.shape, bool)
    holed[:, 200:] = np.nan
    holed[:30] = 0
    holed[50:60, 50:90], valid[50:60, 50:90] = -9999, False
    holed[100:140, 100:160], valid[100:140, 100:160] = 1e30, False
    scattered = rng(9).random(scene.shape) < 0.1
    holed[scattered] = np.inf
    assert estimate_looks(holed, valid).looks == pytest.approx(4, rel=0.12)


def test_scene_without_room_for_windows_is_one_window() -> None:
    strip = simulate_speckle((2000, 1), 4, rng())
    estimate = estimate_looks(strip)
    assert estimate.n_windows == 1
    assert estimate.looks == pytest.approx(4, rel=4 * 0.03)
    draws = [estimate_looks(simulate_speckle((5, 20), 4, rng(i))).looks for i in range(200)]
    expected = estimate_looks(simulate_speckle((5, 20), 4, rng(0))).spread
    assert np.std(draws) == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (np.full((40, 40), np.nan), "Only 0 valid pixels"),
        (np.zeros((40, 40)), "Only 0 valid pixels"),
        (np.ones((3, 5)) * 2, "Only 15 valid pixels"),
        (np.full((40, 40), 0.3), "constant"),
        (np.full((4, 9), 0.3), "constant"),
        (np.ones((2, 40, 40)), "Expected one band"),
    ],
)
def test_scenes_without_speckle_are_refused(scene: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        estimate_looks(scene)


def test_masks_must_fit() -> None:
    with pytest.raises(InvalidInput, match="does not fit the image"):
        estimate_looks(np.ones((20, 20)), np.ones((20, 21), bool))
    with pytest.raises(InvalidInput, match="Only 0 valid"):
        estimate_looks(np.ones((20, 20)), np.zeros((20, 20), bool))


@pytest.mark.parametrize(("psf_sigma", "truth"), [(0.0, 0.0), (0.6, 0.198), (0.9, 0.538)])
@pytest.mark.parametrize("looks", [1, 4])
def test_correlation_is_measured(psf_sigma: float, truth: float, looks: int) -> None:
    speckle = simulate_speckle((256, 256), looks, rng(7), psf_sigma)
    for scene in (speckle, speckle * patchwork()):
        along_x, along_y = speckle_correlation(scene)
        assert along_x == pytest.approx(truth, abs=0.06)
        assert along_y == pytest.approx(truth, abs=0.06)


def test_correlation_tells_directions_and_lags_apart() -> None:
    white = simulate_speckle((257, 256), 1, rng(7))
    smeared = white[1:] + white[:-1]  # correlated along y alone: 0.5 at lag 1, 0 at lag 2
    along_x, along_y = speckle_correlation(smeared)
    assert along_x == pytest.approx(0, abs=0.04)
    assert along_y == pytest.approx(0.5, abs=0.06)
    assert speckle_correlation(smeared, lag=2)[1] == pytest.approx(0, abs=0.06)


def test_correlation_ignores_nodata() -> None:
    scene = simulate_speckle((256, 256), 1, rng(7), 0.6)
    valid = rng(1).random(scene.shape) > 0.1
    holed = np.where(valid, scene, -1e30)
    along_x, along_y = speckle_correlation(holed, valid)
    assert along_x == pytest.approx(0.198, abs=0.05)
    assert along_y == pytest.approx(0.198, abs=0.05)


@pytest.mark.parametrize(
    ("scene", "lag", "message"),
    [
        (np.ones((1, 50)), 1, "cannot be measured"),
        (np.ones((50, 50)), 0, "cannot be measured"),
        (np.ones((50, 50)), 9, "cannot be measured"),
        (np.ones((50, 50)), 1, "No block"),
        (np.full((50, 50), np.nan), 1, "No block"),
    ],
)
def test_correlation_refusals(scene: np.ndarray, lag: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        speckle_correlation(scene, lag=lag)


def test_texture_is_not_taken_for_correlated_speckle() -> None:
    # Smooth waves in every block, stronger than the speckle of eight looks.
    y, x = np.mgrid[:256, :256]
    texture = 1 + 0.3 * np.sin(x / 2) * np.sin(y / 2.3)
    for psf_sigma, correlated in ((0.0, False), (0.6, True), (1.1, True)):
        scene = texture * simulate_speckle((256, 256), 8, rng(3), psf_sigma)
        found = estimate_looks(scene)
        assert found.correlation == speckle_correlation(scene)
        assert max(found.correlation) > 0.1
        assert (found.excess > CORRELATED) == correlated

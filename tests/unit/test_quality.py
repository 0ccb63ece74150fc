from __future__ import annotations

import math

import numpy as np
import pytest

from speckless.plugin.core import quality
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.moments import StreamingMoments
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window


def speckle(shape: tuple[int, int], looks: float, seed: int = 0) -> np.ndarray:
    return simulate_speckle(shape, looks, np.random.default_rng(seed))


@pytest.mark.parametrize("looks", [0.5, 1, 4, 16])
def test_enl_and_cx_of_gamma_speckle(looks: float) -> None:
    area = 3e-4 * speckle((300, 300), looks)
    assert quality.enl(area) == pytest.approx(looks, rel=0.04)
    assert quality.coefficient_of_variation(area) == pytest.approx(1 / math.sqrt(looks), rel=0.02)


def test_enl_by_hand_and_with_a_mask() -> None:
    area = np.array([[1.0, 3.0, np.nan], [-9999.0, 2.0, np.inf]])
    valid = np.array([[True, True, True], [False, True, True]])
    assert quality.enl(area, valid) == pytest.approx(4.0)  # mean 2, variance 1


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (np.ones((4, 4)), "constant"),
        (np.full((2, 2), np.nan), "At least 2"),
        (np.array([[5.0]]), "At least 2"),
        (np.array([[-5.0, 1.0]]), "must be positive"),
        (np.array([[0.0, 0.0]]), "must be positive"),
    ],
)
def test_enl_refuses_what_has_none(area: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        quality.enl(area)
    with pytest.raises(InvalidInput, match="one shape"):
        quality.enl(area, np.ones((9, 9), bool))


def test_best_window_is_the_flat_one() -> None:
    image = speckle((128, 160), 1)
    image[40:72, 100:132] = speckle((32, 32), 50, seed=2)
    looks, window = quality.best_window_enl(image)
    assert window == Window(100, 40, 32, 32)
    assert looks == pytest.approx(quality.enl(image[40:72, 100:132]), rel=1e-9)
    valid = np.ones(image.shape, bool)
    valid[60, 110] = False
    assert quality.best_window_enl(image, valid=valid)[1] != window


@pytest.mark.parametrize("size", [2, 7, 12, 20])
def test_best_window_of_any_size_agrees_with_enl(size: int) -> None:
    image = speckle((50, 41), 4)
    image[10, 10] = 1e12  # must not spoil the windows beside it
    looks, window = quality.best_window_enl(image, size)
    part = image[window.y : window.bottom, window.x : window.right]
    assert part.shape == (size, size)
    assert looks == pytest.approx(quality.enl(part), rel=1e-9)


def test_best_window_refusals() -> None:
    with pytest.raises(InvalidInput, match="fits"):
        quality.best_window_enl(np.ones((31, 40)))
    with pytest.raises(InvalidInput, match="fits"):
        quality.best_window_enl(np.ones((31, 40)), size=1)
    with pytest.raises(InvalidInput, match="free of invalid"):
        quality.best_window_enl(np.ones((40, 40)))
    with pytest.raises(InvalidInput, match="free of invalid"):
        quality.best_window_enl(speckle((40, 40), 1), valid=np.zeros((40, 40), bool))
    with pytest.raises(InvalidInput, match="one band"):
        quality.best_window_enl(np.ones((2, 40, 40)))


def test_ratio_of_the_truth_is_speckle() -> None:
    clean = np.random.default_rng(1).uniform(0.1, 9, (300, 300))
    noisy = clean * speckle((300, 300), 4)
    assert quality.mean_of_ratio(noisy, clean) == pytest.approx(1, abs=0.01)
    assert quality.variance_of_ratio(noisy, clean) == pytest.approx(0.25, rel=0.04)
    assert quality.mean_of_ratio(noisy, 2 * clean) == pytest.approx(0.5, abs=0.005)


def test_ratio_is_nan_where_it_means_nothing() -> None:
    noisy = np.array([4.0, 1.0, 1.0, np.nan, 6.0])
    estimate = np.array([2.0, 0.0, -1.0, 1.0, 3.0])
    valid = np.array([True, True, True, True, False])
    quotient = quality.ratio(noisy, estimate, valid)
    assert quotient.dtype == np.float32
    np.testing.assert_array_equal(quotient, [2, np.nan, np.nan, np.nan, np.nan])
    with pytest.raises(InvalidInput, match="No valid value"):
        quality.mean_of_ratio(noisy, -noisy)
    with pytest.raises(InvalidInput, match="At least 2"):
        quality.variance_of_ratio(noisy, estimate, valid)
    with pytest.raises(InvalidInput, match="one shape"):
        quality.ratio(noisy, estimate[:2])


def test_log_rmse_is_free_of_scale_and_knows_gamma() -> None:
    clean = np.random.default_rng(1).uniform(0.1, 9, (300, 300))
    noisy = clean * speckle((300, 300), 1)
    # The log of one-look speckle has variance trigamma(1) = pi**2 / 6.
    assert quality.log_rmse(noisy, clean) == pytest.approx(math.pi / math.sqrt(6), rel=0.02)
    assert quality.log_rmse(1e5 * noisy, clean) == pytest.approx(quality.log_rmse(noisy, clean))
    assert quality.log_rmse(7 * clean, clean) == pytest.approx(0, abs=1e-9)
    with pytest.raises(InvalidInput, match="No pixel"):
        quality.log_rmse(clean, -clean)


def test_psnr_by_hand_and_in_closed_form() -> None:
    assert quality.psnr(np.zeros((2, 2)), np.full((2, 2), 0.1)) == pytest.approx(20)
    assert quality.psnr(np.zeros((2, 2)), np.full((2, 2), 25.5), peak=255) == pytest.approx(20)
    clean = np.random.default_rng(1).uniform(0, 1, (300, 300))
    expected = -10 * math.log10(np.mean(clean**2) / 2)
    noisy = clean * speckle((300, 300), 2)
    assert quality.psnr(clean, noisy) == pytest.approx(expected, abs=0.1)
    assert quality.psnr(clean, clean) == math.inf


@pytest.mark.parametrize(
    ("clean", "estimate", "peak", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 3)), 1.0, "one shape"),
        (np.ones((2, 2)), np.full((2, 2), np.nan), 1.0, "NaN or infinite"),
        (np.ones((0, 2)), np.ones((0, 2)), 1.0, "hold pixels"),
        (np.ones((2, 2)), np.zeros((2, 2)), 0.0, "peak must be positive"),
    ],
)
def test_psnr_refusals(clean: np.ndarray, estimate: np.ndarray, peak: float, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        quality.psnr(clean, estimate, peak)


@pytest.mark.parametrize("shape", [(64, 64), (11, 11), (40, 73)])
@pytest.mark.parametrize("data_range", [None, 1.0])
def test_ssim_matches_scikit_image(shape: tuple[int, int], data_range: float | None) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    rows, columns = np.indices(shape)
    clean = 0.5 + 0.4 * np.sin(rows / 9) * np.cos(columns / 5)
    noisy = clean * speckle(shape, 4)
    expected = metrics.structural_similarity(
        clean,
        noisy,
        data_range=float(np.ptp(clean)) if data_range is None else data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert quality.ssim(clean, noisy, data_range) == pytest.approx(expected, abs=1e-12)
    assert quality.ssim(clean, clean) == pytest.approx(1)


def test_ssim_refusals() -> None:
    image = speckle((20, 20), 1)
    with pytest.raises(InvalidInput, match="at least 11 x 11"):
        quality.ssim(image[:10], image[:10])
    with pytest.raises(InvalidInput, match="positive data range"):
        quality.ssim(np.ones((20, 20)), image)
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        quality.ssim(image, np.full((20, 20), np.inf))


def test_streaming_moments_equal_those_of_the_whole() -> None:
    values = 1e6 + np.random.default_rng(0).normal(size=10_001)
    moments, other = StreamingMoments(), StreamingMoments()
    for part in np.array_split(values[:6000], 7):
        moments.add(part.reshape(1, -1))
    moments.add(np.array([np.nan, np.inf]))
    moments.add(np.array([]))
    other.add(values[6000:])
    moments.merge(other)
    moments.merge(StreamingMoments())
    assert moments.count == len(values)
    assert moments.mean == pytest.approx(values.mean(), rel=1e-14)
    assert moments.variance == pytest.approx(values.var(ddof=1), rel=1e-9)


def test_moments_in_single_precision_leave_out_what_is_not_finite() -> None:
    values = np.random.default_rng(0).gamma(4.0, 0.25, (130, 500)).astype(np.float32)
    moments, exact = StreamingMoments(), StreamingMoments()
    assert moments.add_finite(values[:60].copy())
    assert moments.add_finite(values[60:].copy())
    exact.add(values)
    assert moments.count == exact.count
    assert moments.mean == pytest.approx(exact.mean, rel=1e-6)
    assert moments.variance == pytest.approx(exact.variance, rel=1e-5)
    for bad in (np.nan, np.inf):
        assert not moments.add_finite(np.array([[1.0, bad]], np.float32))
    assert moments.count == exact.count


def test_streaming_moments_of_nothing_are_refused() -> None:
    moments = StreamingMoments()
    with pytest.raises(InvalidInput, match="No valid value"):
        _ = moments.mean
    moments.add(np.array([1.0, np.nan]))
    with pytest.raises(InvalidInput, match="At least 2"):
        _ = moments.variance

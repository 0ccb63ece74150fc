"""SAR-BM3D: its transforms, its search for blocks, and what it brings."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.filters.base import SceneConstants
from speckless.plugin.core.filters.blockmatching import (
    BLOCK,
    LATTICE,
    Likeness,
    most_alike,
    reference_corners,
)
from speckless.plugin.core.filters.blocktransforms import (
    cosine,
    haar,
    haar_bands,
    undecimated_wavelet,
)
from speckless.plugin.core.filters.lee import Lee
from speckless.plugin.core.filters.nlmeans import NonLocalMeans
from speckless.plugin.core.filters.sarbm3d import SarBm3d, _linear_shrinkage, _wiener
from speckless.plugin.core.quality import psnr


def test_wavelet_frame_is_tight_and_splits_off_what_is_smooth() -> None:
    frame = undecimated_wavelet()
    product = frame.analysis.astype(np.float64) @ frame.synthesis
    np.testing.assert_allclose(product, np.eye(64), atol=1e-6)
    assert frame.gains.sum() == pytest.approx(1.0, rel=1e-6)
    bands = (np.ones((1, 64), np.float32) @ frame.analysis).reshape(10, 64)
    np.testing.assert_allclose(bands[:-1], 0, atol=1e-5)
    np.testing.assert_allclose(bands[-1], 1, atol=1e-5)
    draws = np.random.default_rng(0).normal(size=(4000, 64)).astype(np.float32)
    found = (draws @ frame.analysis).reshape(4000, 10, 64).var((0, 2))
    np.testing.assert_allclose(found, frame.gains, rtol=0.1)


@pytest.mark.parametrize("matrix", [cosine(), haar(16), haar(32)])
def test_transforms_are_orthonormal(matrix: np.ndarray) -> None:
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-6)
    np.testing.assert_allclose(matrix[0], len(matrix) ** -0.5, rtol=1e-5)


def test_haar_bands_are_its_scales() -> None:
    assert [(b.start, b.stop) for b in haar_bands(8)] == [(0, 1), (1, 2), (2, 4), (4, 8)]
    widths = [np.count_nonzero(np.abs(row) > 1e-6) for row in haar(8)]
    assert widths == [8, 8, 4, 4, 2, 2, 2, 2]


def slowly(likeness: Likeness, allowed, tops, lefts, radius: int, count: int) -> np.ndarray:
    """Blocks most alike, by the formula, one pair after the other."""
    a, p = likeness.amplitude.astype(np.float64), likeness.pilot
    found = np.empty((len(tops), len(lefts), count), int)
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            apart = {}
            for y in range(top - radius, top + radius + 1):
                for x in range(left - radius, left + radius + 1):
                    one, other = np.s_[top : top + 8, left : left + 8], np.s_[y : y + 8, x : x + 8]
                    ratio = a[one] / a[other]
                    total = likeness.speckle * np.log((ratio + 1 / ratio) / 2).sum()
                    if p is not None:
                        difference = (p[one] - p[other]).astype(np.float64) ** 2
                        total += likeness.structure * (difference / (p[one] * p[other])).sum()
                    if (y, x) == (top, left):
                        apart[top * a.shape[1] + left] = -1.0
                    elif allowed[y, x]:
                        apart[y * a.shape[1] + x] = total
            order = sorted(apart, key=apart.__getitem__)
            found[i, j] = [order[n % len(order)] for n in range(count)]
    return found


@pytest.mark.parametrize("with_pilot", [False, True])
def test_blocks_found_are_the_most_alike(with_pilot: bool) -> None:
    rng = np.random.default_rng(0)
    amplitude = rng.gamma(4.0, 1.0, (31, 33)).astype(np.float32)
    pilot = rng.gamma(20.0, 0.1, (31, 33)).astype(np.float32) if with_pilot else None
    likeness = Likeness(amplitude, pilot, speckle=1.5, structure=0.7)
    allowed = np.ones((24, 26), bool)
    allowed[:9] = False
    tops, lefts = np.array([6, 9, 12, 15]), np.array([5, 8, 11])
    found = most_alike(likeness, allowed, tops, lefts, 5, 16)
    np.testing.assert_array_equal(found, slowly(likeness, allowed, tops, lefts, 5, 16))


def test_too_few_blocks_are_repeated() -> None:
    amplitude = np.random.default_rng(0).gamma(4.0, 1.0, (20, 20)).astype(np.float32)
    allowed = np.zeros((13, 13), bool)
    allowed[5, 6] = True
    found = most_alike(Likeness(amplitude), allowed, np.array([6]), np.array([6]), 2, 4)
    np.testing.assert_array_equal(found[0, 0], [126, 106, 126, 106])


@pytest.mark.parametrize("length", [1, 2, 8, 9, 10, 31])
def test_reference_blocks_cover_every_pixel(length: int) -> None:
    covered = np.zeros(9 + length + 12, int)
    for corner in reference_corners(length, 9):
        assert corner % LATTICE == 0
        covered[corner : corner + BLOCK] += 1
    assert (covered[9 : 9 + length] >= 2).all()


def test_linear_shrinkage_by_hand() -> None:
    """Blocks that are constant: only Haar's bands differ, so only they are shrunk."""
    levels = np.array([1.0, 3.0, 2.0, 2.0], np.float32)
    group = np.repeat(levels, 64).reshape(4, 1, 64).copy()
    noise = 0.25
    power = np.square(levels).mean() * noise / (1 + noise)
    # Bands: the difference of the halves (0), and those of the neighbours (√2 and 0).
    # Coefficients of constants lie in the smooth band alone, whose gain is less than 1.
    gain = undecimated_wavelet().gains[-1]
    kept = 1 - gain * power / ((np.sqrt(2.0) ** 2 + 0) / 2)
    assert 0 < kept < 1
    found = _linear_shrinkage(group, noise).blocks[:, 0]
    expected = np.array([2 - kept, 2 + kept, 2, 2])
    np.testing.assert_allclose(found, expected[:, None] * np.ones(64), rtol=1e-5)


def test_wiener_by_hand() -> None:
    group = np.repeat(np.array([2.0, 4.0], np.float32), 64).reshape(2, 1, 64).copy()
    guide = np.repeat(np.array([1.0, 2.0], np.float32), 64).reshape(2, 1, 64).copy()
    signal = 8**2 * 0.5  # of the guide's difference: 8 (2 - 1) / √2, squared
    kept = signal / (signal + 0.5 * 2.5)
    found = _wiener(group, guide, 0.5)
    np.testing.assert_allclose(found.blocks[0], 3 - kept, rtol=1e-5)
    np.testing.assert_allclose(found.blocks[1], 3 + kept, rtol=1e-5)
    assert found.weights[0] == pytest.approx(1 / (1 + kept**2), rel=1e-4)


@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_quality_is_well_above_that_of_local_filters(looks: float) -> None:
    """Fields, a road, a roof pattern: repeated structure is what it is made for."""
    rows, columns = np.indices((120, 120))
    clean = np.where((rows // 30 + columns // 40) % 2, 0.6, 0.25)
    clean = np.where(np.abs(rows - columns) < 3, 0.9, clean)
    clean = np.where((columns > 80) & (rows % 10 < 5), 0.1, clean)
    noisy = clean * np.random.default_rng(0).gamma(looks, 1 / looks, clean.shape)
    valid, scene = np.ones(clean.shape, bool), SceneConstants(looks)

    def quality(estimate: np.ndarray) -> float:
        return float(psnr(estimate, clean, peak=1.0))

    lee = max(quality(Lee(radius=radius)(noisy, valid, scene)) for radius in (1, 2, 3))
    ours = quality(SarBm3d()(noisy, valid, scene))
    assert ours > lee + 4
    assert ours > quality(NonLocalMeans()(noisy, valid, scene)) + 1


def test_points_are_kept() -> None:
    noisy = np.random.default_rng(0).gamma(1.0, 1.0, (60, 60)).astype(np.float32)
    noisy[30, 30] = 3000.0
    estimate = SarBm3d(radius=7)(noisy, np.ones((60, 60), bool), SceneConstants(1.0))
    assert estimate[30, 30] > 1500
    assert np.median(estimate[26:35, 26:35]) < 3

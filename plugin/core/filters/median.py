"""Median filter."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import window_counts
from .packages import scipy_module

# Windows sorted at once, in values: some 16 MB.
_CHUNK = 2**21


@dataclass(frozen=True)
class Median(SpeckleFilter):
    """Median of the valid pixels in the window.

    Of an even number of pixels the mean of the middle two. Speckle is skewed, so that its median
    lies below its mean, by up to 3 dB at one look:

    - "speckless": divided by the expected median of so many pixels of L-look speckle (mean 1),
      which keeps the mean of homogeneous areas.
    - "snap": the plain median, needs no number of looks.

    References
    ----------
    .. [1] J. W. Tukey, "Exploratory data analysis", Addison-Wesley, 1977.
    """

    id: ClassVar[str] = "median"
    title: ClassVar[str] = "Median"
    variants: ClassVar[tuple[str, ...]] = ("speckless", "snap")

    @property
    def needs_looks(self) -> bool:
        return self.variant == "speckless"

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        median, count = windowed_median(values, valid, self.radius)
        if self.variant == "speckless":
            table = np.ones(int(count.max()) + 1)
            for number in np.unique(count):
                table[number] = expected_median(scene.looks, int(number))
            median /= table[count]
        return median


def windowed_median(values: Array, valid: BoolArray, radius: int) -> tuple[Array, Array]:
    """Return the median of each window's valid pixels (0 without any), and their number."""
    side = 2 * radius + 1
    # Infinite pixels are sorted to the end.
    padded = np.full([size + 2 * radius for size in values.shape], np.inf)
    padded[radius:-radius, radius:-radius] = np.where(valid, values, np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    count = window_counts(valid, radius).astype(np.intp)
    median = np.zeros(values.shape)
    rows = max(1, _CHUNK // (values.shape[1] * side * side))
    for start in range(0, len(values), rows):
        place = np.s_[start : start + rows]
        median[place] = _medians(windows[place], count[place])
    return median, count


def _medians(windows: Array, count: Array) -> Array:
    median = np.zeros(count.shape)
    size = windows.shape[-1] ** 2
    full = count == size
    if full.any():
        middle = size // 2
        median[full] = np.partition(windows[full].reshape(-1, size), middle, axis=1)[:, middle]
    part = ~full & (count > 0)
    if part.any():
        ordered, found = np.sort(windows[part].reshape(-1, size), axis=1), count[part][:, None]
        low = np.take_along_axis(ordered, (found - 1) // 2, axis=1)
        high = np.take_along_axis(ordered, found // 2, axis=1)
        median[part] = 0.5 * (low + high)[:, 0]
    return median


@functools.lru_cache(maxsize=4096)
def expected_median(looks: float, count: int) -> float:
    """Return the expectation of the median of `count` pixels of L-look speckle of mean 1.

    An order statistic's rank is Beta distributed, so this is the mean of the Gamma
    distribution's quantiles at the quantiles of that Beta, by Gauss-Legendre quadrature.

    Raises
    ------
    MissingPackage
        Without scipy.
    """
    if count <= 2:
        return 1.0
    special = scipy_module("special", "the unbiased median (VARIANT=snap works without)")
    nodes, weights = np.polynomial.legendre.leggauss(100)
    share, weights = 0.5 * (nodes + 1.0), 0.5 * weights
    ranks = {(count + 1) // 2, count // 2 + 1}
    means = []
    for rank in ranks:
        quantile = special.betaincinv(rank, count + 1 - rank, share)
        means.append(float(np.sum(weights * special.gammaincinv(looks, quantile))) / looks)
    return sum(means) / len(means)

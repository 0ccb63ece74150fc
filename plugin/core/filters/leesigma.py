"""Improved Lee sigma filter."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import InvalidInput
from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .kuan import Kuan
from .lee import blend
from .local import pad, window_sums
from .packages import scipy_module

_TARGET_COUNT = 5


class SigmaRange(NamedTuple):
    """Range around the mean 1 that holds a share of speckle and has mean 1 itself.

    Attributes
    ----------
    low, high : float
    variance : float
        Of the speckle inside.
    """

    low: float
    high: float
    variance: float


@dataclass(frozen=True)
class LeeSigma(SpeckleFilter):
    """Mean square error estimate from those pixels of the window that may be of the same kind.

    [1]_: an estimate x̃ from the 3 x 3 window (`Kuan`'s weight) says which range of intensities
    holds the share `sigma` of speckle on it, unbiased: ``[I1 x̃, I2 x̃]``. Mean m and variance of
    the window's pixels in the range give ``x̂ = m + b (z - m)``,
    ``b = max(0, 1 - η²/Ci²) / (1 + η²)``, η² the variance of speckle inside the range. The
    ranges are computed, not tabulated, so that any number of looks will do. Where no pixel lies
    in the range, x̃ is the estimate.

    Strong targets, pixels above the scene's 98th percentile that have neighbours above it too,
    are kept:

    - "speckless": as in the paper, all such pixels of a 3 x 3 window around one of them that
      holds at least 5.
    - "snap": pixels whose own 3 x 3 window holds more than 5.

    Attributes
    ----------
    sigma : float
        Share of speckle in the range, 0.5 to 0.95.

    References
    ----------
    .. [1] J.-S. Lee, J.-H. Wen, T. L. Ainsworth, K.-S. Chen, A. J. Chen, "Improved sigma filter
       for speckle filtering of SAR imagery", IEEE TGRS 47(1), 202-213, 2009.
    """

    sigma: float = 0.9

    id: ClassVar[str] = "leesigma"
    title: ClassVar[str] = "Improved Lee sigma"
    variants: ClassVar[tuple[str, ...]] = ("speckless", "snap")
    needs_bright: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.5 <= self.sigma <= 0.95:
            raise InvalidInput(f"The sigma range must be 0.5 to 0.95, got {self.sigma}.")

    @property
    def halo(self) -> int:
        # A neighbour's target needs its own neighbours; the estimate x̃ is the pixel's alone.
        return max(self.radius, 2)

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "SIGMA": f"{self.sigma:g}"}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        span = sigma_range(scene.looks, self.sigma)
        guess = Kuan(radius=1)._estimate(values, valid, scene)
        number, total, squares = (np.zeros(values.shape) for _ in range(3))
        for neighbour, there in _neighbours(values, valid, self.radius):
            inside = there & (neighbour >= span.low * guess) & (neighbour <= span.high * guess)
            kept = np.where(inside, neighbour, 0.0)
            number += inside
            total += kept
            squares += np.square(kept, out=kept)
        mean = total / np.maximum(number, 1.0)
        variance = np.maximum(squares - total * mean, 0.0) / np.maximum(number - 1.0, 1.0)
        variation = np.maximum(variance / np.maximum(np.square(mean), 1e-300), 1e-300)
        weight = np.maximum(1.0 - span.variance / variation, 0.0) / (1.0 + span.variance)
        estimate = np.where(number > 0, blend(values, mean, weight), guess)
        return np.where(self._targets(values, valid, scene.bright), values, estimate)

    def _targets(self, values: Array, valid: BoolArray, bright: float) -> BoolArray:
        above = valid & (values > bright)
        around = window_sums(pad(above.astype(np.uint8), 1), 1)
        if self.variant == "snap":
            return np.asarray(above & (around > _TARGET_COUNT))
        clusters = (above & (around >= _TARGET_COUNT)).astype(np.uint8)
        return np.asarray(above & (window_sums(pad(clusters, 1), 1) > 0))


def _neighbours(values: Array, valid: BoolArray, radius: int) -> Iterator[tuple[Array, BoolArray]]:
    rows, columns = values.shape
    padded, mask = pad(values, radius), pad(valid, radius)
    for y in range(2 * radius + 1):
        for x in range(2 * radius + 1):
            place = np.s_[y : y + rows, x : x + columns]
            yield padded[place], mask[place]


@functools.lru_cache(maxsize=256)
def sigma_range(looks: float, share: float) -> SigmaRange:
    """Return the range of L-look intensity speckle that holds a share of it, unbiased.

    Solves ``P(I1 < N < I2) = share`` and ``E[N | I1 < N < I2] = 1`` for Gamma distributed N of
    mean 1, by bisection of ``P(N < I1)``. The moments of a Gamma variable over a range are
    incomplete Gamma functions of the next shapes.

    Parameters
    ----------
    looks : float
    share : float
        Between 0 and 1.

    Raises
    ------
    MissingPackage
        Without scipy.
    """
    special: Any = scipy_module("special", "the Lee sigma filter")

    def moments(below: float) -> tuple[float, float, float, float]:
        low = special.gammaincinv(looks, below) / looks
        high = special.gammaincinv(looks, below + share) / looks
        first, second = (
            (special.gammainc(looks + n, looks * high) - special.gammainc(looks + n, looks * low))
            / share
            for n in (1, 2)
        )
        return low, high, first, second * (looks + 1.0) / looks

    least, most = 0.0, 1.0 - share
    for _ in range(60):
        middle = (least + most) / 2
        if moments(middle)[2] > 1.0:
            most = middle
        else:
            least = middle
    low, high, _mean, square = moments(least)
    return SigmaRange(float(low), float(high), float(square - 1.0))

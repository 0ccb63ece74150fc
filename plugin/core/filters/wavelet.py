"""Homomorphic wavelet filter."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InvalidInput
from ..special import digamma, trigamma
from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import local_mean
from .logarithm import LogIntensity, log_intensity

_TAPS = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0  # cubic B-spline
_SIGNAL_RADIUS = 2


@dataclass(frozen=True)
class Wavelet(SpeckleFilter):
    """Maximum a posteriori estimate of the wavelet coefficients of the logarithm.

    Logarithms of L-look speckle have mean ``ψ(L) - ln L``, which is taken off first, and variance
    ``ψ'(L)`` [1]_. The logarithm is split into scales by the undecimated à trous transform with
    the cubic B-spline [2]_. A coefficient w, Gaussian noise of standard deviation σ on a Laplacian
    signal of standard deviation s, has the maximum a posteriori estimate
    ``sign(w) max(0, |w| - √2 σ²/s)`` [3]_; σ follows from the transform, ``s² = max(0, E w² - σ²)``
    from the 5 x 5 coefficients around. Neighbours that are not valid do not count.

    Attributes
    ----------
    scales : int
        4 by default.

    References
    ----------
    .. [1] H. Xie, L. E. Pierce, F. T. Ulaby, "Statistical properties of logarithmically
       transformed speckle", IEEE TGRS 40(3), 721-727, 2002.
    .. [2] J.-L. Starck, J. Fadili, F. Murtagh, "The undecimated wavelet decomposition and its
       reconstruction", IEEE TIP 16(2), 297-309, 2007.
    .. [3] L. Şendur, I. W. Selesnick, "Bivariate shrinkage functions for wavelet-based denoising
       exploiting interscale dependency", IEEE TSP 50(11), 2744-2756, 2002 (equation 8).
    """

    scales: int = 4

    id: ClassVar[str] = "wavelet"
    title: ClassVar[str] = "Homomorphic wavelet"
    strip_pixels: ClassVar[int] = 2**17

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.scales <= 6:
            raise InvalidInput(f"The scales must be 1 to 6, got {self.scales}.")

    @property
    def halo(self) -> int:
        return reach(self.scales) + LogIntensity.halo()

    def settings(self) -> dict[str, str]:
        return {"SCALES": str(self.scales)}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        looks = scene.looks
        image = log_intensity(values, valid)
        usable = valid & ~image.dark
        logarithm = np.log(image.values) - (digamma(looks) - math.log(looks))
        clean = shrunk(logarithm, usable, math.sqrt(trigamma(looks)), self.scales)
        return np.where(image.dark, 0.0, np.exp(clean))


def reach(scales: int) -> int:
    """Return how far the estimate of a pixel depends on others."""
    return 2 * (2**scales - 1) + _SIGNAL_RADIUS


def shrunk(image: Array, valid: BoolArray, noise: float, scales: int) -> Array:
    """Return an image with Gaussian white noise taken out of its wavelet coefficients.

    Parameters
    ----------
    image : ndarray of float64, (rows, columns)
    valid : ndarray of bool, (rows, columns)
    noise : float
        Standard deviation.
    scales : int
    """
    coarse, total = image, np.zeros(image.shape)
    for scale, gain in enumerate(noise_gains(scales)):
        finer, coarse = coarse, _smooth(coarse, valid, 2**scale)
        detail = np.where(valid, finer - coarse, 0.0)
        variance = (noise * gain) ** 2
        power = local_mean(np.square(detail), valid, _SIGNAL_RADIUS)
        signal = np.sqrt(np.maximum(power - variance, 1e-12 * variance))
        threshold = math.sqrt(2.0) * variance / signal
        total += np.sign(detail) * np.maximum(np.abs(detail) - threshold, 0.0)
    total += coarse
    return total


def _smooth(image: Array, valid: BoolArray, spacing: int) -> Array:
    """Return the mean of the valid pixels, weighted by the spline with gaps between its taps."""
    weights = _spread(valid.astype(np.float64), spacing)
    smooth = _spread(np.where(valid, image, 0.0), spacing)
    return np.asarray(smooth / np.maximum(weights, 1e-300))


def _spread(image: Array, spacing: int) -> Array:
    for axis in (0, 1):
        wide = np.zeros(image.shape)
        for tap, weight in enumerate(_TAPS):
            step = (tap - 2) * spacing
            length = image.shape[axis] - abs(step)
            if length > 0:
                into, out = [slice(None)] * 2, [slice(None)] * 2
                into[axis] = slice(max(-step, 0), max(-step, 0) + length)
                out[axis] = slice(max(step, 0), max(step, 0) + length)
                wide[tuple(into)] += weight * image[tuple(out)]
        image = wide
    return image


@functools.lru_cache(maxsize=8)
def noise_gains(scales: int) -> tuple[float, ...]:
    """Return the standard deviation of each scale's coefficients of white noise of deviation 1."""
    side = 4 * (2**scales - 1) + 1
    impulse = np.zeros((side, side))
    impulse[side // 2, side // 2] = 1.0
    gains, coarse = [], impulse
    for scale in range(scales):
        finer, coarse = coarse, _spread(coarse, 2**scale)
        gains.append(float(np.sqrt(np.sum(np.square(finer - coarse)))))
    return tuple(gains)

"""Gamma maximum a posteriori filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, SceneConstants
from .surroundings import Moments
from .windowed import WindowFilter

# In single precision: how far Ci²/Cu² is off, for one look (it grows with the looks), and how near
# to zero, over the mean, an estimate may come without losing the fifth digit.
_ROUNDING, _DARK = 2e-6, 0.06


@dataclass(frozen=True)
class GammaMap(WindowFilter):
    """Maximum a posteriori estimate for Gamma speckle on Gamma distributed backscatter [1]_.

    With m and Ci the mean and coefficient of variation in the window and ``Cu² = 1/L``: the mean
    where ``Ci <= Cu``; the pixel itself where ``Ci >= √2 Cu`` (point targets); between them the
    positive root of ``α x² - (α - L - 1) m x - L m z = 0``, ``α = (1 + Cu²) / (Ci² - Cu²)``.
    OTB's and SNAP's "Gamma MAP" are this filter.

    References
    ----------
    .. [1] A. Lopes, E. Nezry, R. Touzi, H. Laur, "Maximum a posteriori speckle filtering and
       first order texture models in SAR images", IGARSS 1990, 2409-2412.
    """

    id: ClassVar[str] = "gammamap"
    title: ClassVar[str] = "Gamma MAP"

    def _from_window(self, moments: Moments, scene: SceneConstants) -> Array:
        looks = scene.looks
        values, mean, power, texture, counts, recount = moments
        power += moments.tiny()
        # Ci²/Cu² - 1: from 0, where the window is homogeneous, to 1, where point targets begin.
        texture /= power
        counts.variation.times(texture, out=texture, factor=looks)
        texture -= 1.0
        points, again = _special(values, mean, texture, looks)
        np.maximum(texture, 0.0, out=texture)
        # With t for it, α = (L + 1)/t; x̂ = (w + √(w² + 4 L/(L + 1) t m z)) / 2, w = (1 - t) m.
        texture *= mean
        mean -= texture
        texture *= values
        texture *= 4.0 * looks / (looks + 1.0)
        texture += np.multiply(mean, mean, out=power)
        mean += np.sqrt(texture, out=texture)
        mean *= 0.5
        # By their places: a mask would be looked at pixel by pixel.
        mean.ravel()[points] = values.ravel()[points]
        if len(again):
            mean.ravel()[again] = _estimate(*recount(again), looks)
        return mean


def _estimate(values: Array, mean: Array, variation: Array, looks: float) -> Array:
    """Return the estimate of some pixels, written down as it is."""
    texture = np.maximum(looks * variation - 1.0, 0.0)
    smooth = (1.0 - texture) * mean
    root = np.sqrt(smooth**2 + 4.0 * looks / (looks + 1.0) * texture * mean * values)
    return np.where(texture >= 1.0, values, 0.5 * (smooth + root))


def _special(values: Array, mean: Array, texture: Array, looks: float) -> tuple[Array, Array]:
    """Return the flat places of point targets, and those single precision is not enough for.

    These are where an estimate is the difference of almost equal numbers, and where rounding may
    make a point target or unmake one, which estimates jump at.
    """
    high = np.flatnonzero(texture > 1.0 - _DARK)
    part = texture.ravel()[high]
    points = high[part >= 1.0]
    if texture.dtype != np.float32:
        return points, points[:0]
    rounding = _ROUNDING * (looks + 2.0)
    below = part < 1.0 + rounding
    near, part = high[below], part[below]
    z, m = values.ravel()[near], mean.ravel()[near]
    return points, near[(part > 1.0 - rounding) | (z < 2.0 * _DARK**2 * m)]

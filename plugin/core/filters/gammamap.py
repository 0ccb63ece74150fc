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
        again = None
        if texture.dtype == np.float32:
            again = _unsure(values, mean, texture, looks)
        points = texture >= 1.0
        np.clip(texture, 0.0, 1.0, out=texture)
        # With t for it, α = (L + 1)/t; x̂ = (w + √(w² + 4 L/(L + 1) t m z)) / 2, w = (1 - t) m.
        texture *= mean
        mean -= texture
        texture *= values
        texture *= 4.0 * looks / (looks + 1.0)
        texture += np.multiply(mean, mean, out=power)
        mean += np.sqrt(texture, out=texture)
        mean *= 0.5
        np.copyto(mean, values, where=points)
        if again is not None:
            mean.ravel()[again] = self._from_window(recount(again), scene)
        return mean


def _unsure(values: Array, mean: Array, texture: Array, looks: float) -> Array | None:
    """Return the flat places that single precision is not enough for, None where it is.

    Where an estimate is the more precise difference of almost equal numbers, and where it may be
    taken for a point target by mistake.
    """
    rounding = _ROUNDING * (looks + 2.0)
    near = np.flatnonzero((texture > 1.0 - _DARK) & (texture < 1.0 + rounding))
    part, z, m = (array.ravel()[near] for array in (texture, values, mean))
    again = near[(part > 1.0 - rounding) | (z < 2.0 * _DARK**2 * m)]
    return again if len(again) else None

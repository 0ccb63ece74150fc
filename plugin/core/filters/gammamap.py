"""Gamma maximum a posteriori filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, SceneConstants
from .surroundings import Moments
from .windowed import WindowFilter

# Of Ci²/Cu², in single precision, for one look; it grows with the looks.
_ROUNDING = 2e-6


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
        looks, noise = scene.looks, 1.0 / scene.looks
        values, mean, power, texture, counts, variation_at = moments
        power += moments.tiny()
        # Ci²/Cu² - 1: from 0, where the window is homogeneous, to 1, where point targets begin.
        texture /= power
        counts.variation.times(texture, out=texture, factor=looks)
        texture -= 1.0
        points = texture >= 1.0
        if texture.dtype == np.float32:
            # Estimates jump there: what rounding may have put on the wrong side is looked at again.
            near = np.abs(texture - np.float32(1.0)) < _ROUNDING * (looks + 2.0)
            if near.any():
                points[near] = variation_at(near) >= 2.0 * noise
        np.clip(texture, 0.0, 1.0, out=texture)
        # With t for it, α = (L + 1)/t; x̂ = (w + √(w² + 4 L/(L + 1) t m z)) / 2, w = (1 - t) m.
        texture *= mean
        mean -= texture
        texture *= values
        texture *= 4.0 / (1.0 + noise)
        texture += np.square(mean, out=power)
        mean += np.sqrt(texture, out=texture)
        mean *= 0.5
        np.copyto(mean, values, where=points)
        return mean

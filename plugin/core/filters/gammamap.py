"""Gamma maximum a posteriori filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, SceneConstants
from .windowed import WindowFilter


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

    def _from_window(
        self, values: Array, mean: Array, variance: Array, spare: Array, scene: SceneConstants
    ) -> Array:
        looks, noise = scene.looks, 1.0 / scene.looks
        np.maximum(np.square(mean, out=spare), 1e-300, out=spare)
        variation = np.divide(variance, spare, out=spare)
        points = variation >= 2.0 * noise
        # 1/α, which unlike α is finite (0) where the window is homogeneous.
        texture = np.maximum(variation, noise, out=variation)
        texture -= noise
        texture /= 1.0 + noise
        half = np.multiply(texture, -0.5 * (looks + 1.0), out=variance)
        half += 0.5
        # Not negative: where the texture would make it so, Ci >= √2 Cu.
        np.maximum(half, 0.0, out=half)
        half *= mean
        texture *= mean
        texture *= values
        texture *= looks
        texture += np.square(half, out=mean)
        half += np.sqrt(texture, out=texture)
        np.copyto(half, values, where=points)
        return half

"""Gamma maximum a posteriori filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import local_statistics, squared_variation


@dataclass(frozen=True)
class GammaMap(SpeckleFilter):
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

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        looks, noise = scene.looks, 1.0 / scene.looks
        statistics = local_statistics(values, valid, self.radius)
        variation, mean = squared_variation(statistics), statistics.mean
        # 1/α, which unlike α is finite (0) where the window is homogeneous.
        texture = np.maximum(variation - noise, 0.0) / (1.0 + noise)
        half = 0.5 * mean * (1.0 - (looks + 1.0) * texture)
        # Not negative: where the texture would make it so, Ci >= √2 Cu.
        np.maximum(half, 0.0, out=half)
        estimate = half + np.sqrt(np.square(half) + looks * mean * texture * values)
        return np.where(variation >= 2.0 * noise, values, estimate)

"""Lee's filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import local_statistics, squared_variation


@dataclass(frozen=True)
class Lee(SpeckleFilter):
    """Linear minimum mean square error estimate for noise linearised around the mean [1]_.

    ``x̂ = m + W (z - m)``, ``W = max(0, 1 - Cu²/Ci²)``, where m and Ci are mean and coefficient
    of variation in the window and ``Cu² = 1/L``. OTB's and SNAP's "Lee" are this filter.

    References
    ----------
    .. [1] J.-S. Lee, "Digital image enhancement and noise filtering by use of local statistics",
       IEEE TPAMI 2(2), 165-168, 1980.
    """

    id: ClassVar[str] = "lee"
    title: ClassVar[str] = "Lee"

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        statistics = local_statistics(values, valid, self.radius)
        return blend(values, statistics.mean, self._weight(squared_variation(statistics), scene))

    def _weight(self, variation: Array, scene: SceneConstants) -> Array:
        return signal_share(variation, scene.looks)


def signal_share(variation: Array, looks: float) -> Array:
    """Return ``max(0, 1 - Cu²/Ci²)``: the part of the variance that is not speckle's."""
    weight = -1.0 / looks / np.maximum(variation, 1.0 / looks)
    weight += 1.0
    return np.asarray(weight)


def blend(values: Array, mean: Array, weight: Array) -> Array:
    """Return ``mean + weight (values - mean)``, never negative for weights from 0 to 1."""
    # As a sum of two terms that are not negative: bright pixels cannot round it below zero.
    kept = weight * values
    np.subtract(1.0, weight, out=weight)
    weight *= mean
    kept += weight
    return np.asarray(kept)

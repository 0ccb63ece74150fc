"""Lee's filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, SceneConstants
from .windowed import WindowFilter


@dataclass(frozen=True)
class Lee(WindowFilter):
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

    def _from_window(
        self, values: Array, mean: Array, variance: Array, spare: Array, scene: SceneConstants
    ) -> Array:
        noise = noise_share(mean, variance, scene.looks)
        most = self._most_signal(scene.looks)
        if most != 1.0:
            noise -= 1.0
            noise *= most
            noise += 1.0
        # As a sum of two terms that are not negative: bright pixels cannot round it below zero.
        mean *= noise
        np.subtract(1.0, noise, out=noise)
        noise *= values
        noise += mean
        return noise

    def _most_signal(self, looks: float) -> float:
        """Weight of a pixel where speckle is nothing beside the signal's variance."""
        return 1.0


def noise_share(mean: Array, variance: Array, looks: float) -> Array:
    """Return ``min(1, Cu²/Ci²)``, 1 where mean or variance is 0, in place of the variance."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.divide(mean, variance, out=variance)
        share *= mean
    if looks != 1.0:
        share *= 1.0 / looks
    # fmin: 0/0, of windows that hold nothing but zeros, counts as 1.
    return np.fmin(share, 1.0, out=share)


def signal_share(variation: Array, looks: float) -> Array:
    """Return ``max(0, 1 - Cu²/Ci²)``: the part of the variance that is not speckle's."""
    weight = -1.0 / looks / np.maximum(variation, 1.0 / looks)
    weight += 1.0
    return np.asarray(weight)


def blend(values: Array, mean: Array, weight: Array) -> Array:
    """Return ``mean + weight (values - mean)``, never negative for weights from 0 to 1."""
    # As a sum of two terms that are not negative: bright pixels cannot round it below zero.
    kept = np.multiply(weight, values)
    np.subtract(1.0, weight, out=weight)
    weight *= mean
    kept += weight
    return np.asarray(kept)

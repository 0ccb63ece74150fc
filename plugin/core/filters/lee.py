"""Lee's filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, SceneConstants
from .surroundings import Moments
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

    def _from_window(self, moments: Moments, scene: SceneConstants) -> Array:
        estimate = moments.mean
        noise = noise_share(moments, scene.looks)
        most = self._most_signal(scene.looks)
        if most != 1.0:
            noise *= most
            noise += 1.0 - most
        # Not below zero: a pixel is not above n times the mean around it, so the difference
        # loses no more than the last digits of the mean.
        estimate -= moments.values
        estimate *= noise
        estimate += moments.values
        return estimate

    def _most_signal(self, looks: float) -> float:
        """Weight of a pixel where speckle is nothing beside the signal's variance."""
        return 1.0


def noise_share(moments: Moments, looks: float) -> Array:
    """Return ``min(1, Cu²/Ci²)``, 1 in constant windows, in place of the moments' power."""
    share, signal = moments.power, moments.deviations
    # Cu²/Ci² = (n - 1) / (L n) · power / deviations.
    moments.counts.certainty.times(share, out=share, factor=1.0 / looks)
    np.maximum(signal, share, out=signal)
    signal += moments.tiny()
    return np.divide(share, signal, out=share)


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

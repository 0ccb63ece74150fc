"""Quegan's multi-temporal filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, BoolArray, FloatArray, SceneConstants, SpeckleFilter
from .local import local_mean


@dataclass(frozen=True)
class Multitemporal(SpeckleFilter):
    """Speckle averaged over the dates of a stack, each date keeping its own level [1]_.

    ``J_k = (m_k / N) Σ_i I_i / m_i`` over the N dates valid at the pixel, m_i the mean of date i
    in the window. Of N dates with independent speckle of L looks come out about ``N L`` looks,
    less for small windows. A date whose window is all 0 does not count in the others.

    References
    ----------
    .. [1] S. Quegan, J. J. Yu, "Filtering of multichannel SAR images", IEEE TGRS 39(11),
       2373-2379, 2001.
    """

    id: ClassVar[str] = "multitemporal"
    title: ClassVar[str] = "Multi-temporal (Quegan)"
    takes_looks: ClassVar[bool] = False
    together: ClassVar[bool] = True

    def filter_bands(
        self,
        intensities: Sequence[Array],
        valids: Sequence[BoolArray],
        scenes: Sequence[SceneConstants],
    ) -> list[FloatArray]:
        shape = valids[0].shape
        total, number = np.zeros(shape), np.zeros(shape)
        means = []
        for intensity, valid in zip(intensities, valids):
            values = np.where(valid, intensity, 0).astype(np.float64)
            mean = local_mean(values, valid, self.radius)
            counts = valid & (mean > 0)
            total += values / np.where(counts, mean, 1.0)
            number += counts
            # Kept in single precision: of long stacks these are most of the memory.
            means.append(np.where(counts, mean, 0.0).astype(np.float32))
        total /= np.maximum(number, 1.0)
        return [(mean * total).astype(np.float32) for mean in means]

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        return values  # as one date of one

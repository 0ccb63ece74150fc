"""Enhanced Lee filter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .frost import MAX_DECAY, check_damping
from .lee import blend
from .local import local_statistics, squared_variation


@dataclass(frozen=True)
class EnhancedLee(SpeckleFilter):
    """Three classes of windows: the mean, a blend, the pixel itself [1]_.

    With ``Cu = √(1/L)`` and ``Cmax = √(1 + 2/L)``: the mean m where ``Ci <= Cu``; the pixel z
    where ``Ci >= Cmax``; between them ``m W + z (1 - W)``,
    ``W = exp(-damping (Ci - Cu) / (Cmax - Ci))``. As in PCI Geomatica and ENVI.

    Attributes
    ----------
    damping : float
        1 by default; more keeps more of the pixel.

    References
    ----------
    .. [1] A. Lopes, R. Touzi, E. Nezry, "Adaptive speckle filters and scene heterogeneity", IEEE
       TGRS 28(6), 992-1000, 1990.
    """

    damping: float = 1.0

    id: ClassVar[str] = "enhancedlee"
    title: ClassVar[str] = "Enhanced Lee"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_damping(self.damping)

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "DAMPING": f"{self.damping:g}"}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        statistics = local_statistics(values, valid, self.radius)
        decay = heterogeneity(squared_variation(statistics), scene.looks, self.damping)
        return blend(values, statistics.mean, -np.expm1(-decay))


def heterogeneity(variation: Array, looks: float, damping: float) -> Array:
    """Return ``damping (Ci - Cu) / (Cmax - Ci)``: 0 where even, `MAX_DECAY` for point targets."""
    even, most = math.sqrt(1.0 / looks), math.sqrt(1.0 + 2.0 / looks)
    found = np.sqrt(variation)
    excess = np.maximum(found - even, 0.0) * damping
    room = np.maximum(most - found, 0.0)
    # Where there is no room left, nor is there a division.
    pointlike = excess >= MAX_DECAY * room
    excess /= np.where(pointlike, 1.0, room)
    return np.where(pointlike & (found > even), MAX_DECAY, np.minimum(excess, MAX_DECAY))

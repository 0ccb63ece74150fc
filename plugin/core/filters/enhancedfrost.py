"""Enhanced Frost filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Array, BoolArray, SceneConstants
from .enhancedlee import EnhancedLee, heterogeneity
from .frost import decaying_mean, round_rings
from .local import local_statistics, squared_variation


@dataclass(frozen=True)
class EnhancedFrost(EnhancedLee):
    """Frost's filter between the classes of Lopes et al. [1]_.

    Mean weighted by ``exp(-A d)``, ``A = damping (Ci - Cu) / (Cmax - Ci)``, d the Euclidean
    distance in pixels; the plain mean where ``Ci <= Cu = √(1/L)``, the pixel itself where
    ``Ci >= Cmax = √(1 + 2/L)``. As in PCI Geomatica.

    References
    ----------
    .. [1] A. Lopes, R. Touzi, E. Nezry, "Adaptive speckle filters and scene heterogeneity", IEEE
       TGRS 28(6), 992-1000, 1990.
    """

    id: ClassVar[str] = "enhancedfrost"
    title: ClassVar[str] = "Enhanced Frost"

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        variation = squared_variation(local_statistics(values, valid, self.radius))
        decay = heterogeneity(variation, scene.looks, self.damping)
        return decaying_mean(round_rings(values, valid, self.radius), decay)

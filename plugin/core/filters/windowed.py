"""What the filters share that need no more than mean and variance of a window."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import Surroundings


@dataclass(frozen=True)
class WindowFilter(SpeckleFilter):
    """A filter that makes its estimate of a pixel, and mean and variance around it."""

    # So few that an array of them, in float64 and padded, stays below the 128 KiB from which
    # the C library asks the system for each.
    strip_pixels: ClassVar[int] = 2**13
    strip_columns: ClassVar[int] = 256

    def _part(self, intensity: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        around = Surroundings(intensity, valid, self.radius)
        return around.image(self._from_window(around.values, *around.mean_and_variance(), scene))

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        return self._part(values, valid, scene)

    @abstractmethod
    def _from_window(
        self, values: Array, mean: Array, variance: Array, scene: SceneConstants
    ) -> Array:
        """Return the estimate; all arrays are flat float64, `mean` and `variance` may change."""

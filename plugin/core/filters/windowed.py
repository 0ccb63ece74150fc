"""What the filters share that need no more than mean and variance of a window."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import Moments, Pool, Surroundings

_pools = threading.local()


@dataclass(frozen=True)
class WindowFilter(SpeckleFilter):
    """A filter that makes its estimate of a pixel, and mean and variance around it."""

    # Enough for threads that share the interpreter's lock: each hands it on between two sums.
    strip_pixels: ClassVar[int] = 2**17
    strip_columns: ClassVar[int] = 4096

    def _part(
        self, intensity: Array, valid: BoolArray, scene: SceneConstants, rows: slice
    ) -> Array:
        pool: Pool = vars(_pools).setdefault("pool", Pool())
        around = Surroundings(intensity, valid, self.radius, rows, pool)
        moments = around.moments()
        made = self._from_window(moments, scene)
        # Nothing is taken from the pool until the next part.
        around.give_back(moments)
        return made

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        return self._part(values, valid, scene, slice(None))[:, : values.shape[1]]

    @abstractmethod
    def _from_window(self, moments: Moments, scene: SceneConstants) -> Array:
        """Return the estimate, in an array of the moments; those are the filter's to change."""

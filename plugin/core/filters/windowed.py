"""What the filters share that need no more than mean and variance of a window."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import Pool, Surroundings

_pools = threading.local()


@dataclass(frozen=True)
class WindowFilter(SpeckleFilter):
    """A filter that makes its estimate of a pixel, and mean and variance around it."""

    # Enough for threads that share the interpreter's lock: each hands it on between two sums.
    strip_pixels: ClassVar[int] = 2**16
    strip_columns: ClassVar[int] = 1024

    def _part(self, intensity: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        pool: Pool = vars(_pools).setdefault("pool", Pool())
        around = Surroundings(intensity, valid, self.radius, pool)
        mean, variance, spare = around.mean_and_variance()
        made = self._from_window(around.values, mean, variance, spare, scene)
        estimate = around.image(made).astype(np.float32)
        around.give_back(mean, variance, spare)
        return estimate

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        return self._part(values, valid, scene)

    @abstractmethod
    def _from_window(
        self, values: Array, mean: Array, variance: Array, spare: Array, scene: SceneConstants
    ) -> Array:
        """Return the estimate, in one of the last three arrays; all are flat, of float64.

        `mean` and `variance` may be changed, `spare` holds nothing.
        """

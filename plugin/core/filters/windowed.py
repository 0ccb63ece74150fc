"""What the filters share that need no more than mean and variance of a window."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .surroundings import Moments, Pool, Surroundings

_pools = threading.local()

# Where single precision is enough: squares neither overflow nor vanish, and the variance, a
# difference of sums, loses no more digits than the estimate has to spare.
_LEAST, _MOST, _MOST_LOOKS = 1e-15, 1e15, 32.0


@dataclass(frozen=True)
class WindowFilter(SpeckleFilter):
    """A filter that makes its estimate of a pixel, and mean and variance around it."""

    # Enough for threads that share the interpreter's lock: each hands it on between two sums.
    strip_pixels: ClassVar[int] = 2**17
    strip_columns: ClassVar[int] = 4096

    def _part(
        self, intensity: Array, valid: BoolArray, scene: SceneConstants, rows: slice
    ) -> Array:
        holes = None if valid.all() else valid
        if holes is not None:
            intensity = np.where(valid, intensity, np.float32(0.0))
        return self._windows(intensity, holes, scene, rows, _precision(intensity, scene))

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        made = self._windows(values, valid, scene, slice(None), np.float64)
        return made[:, : values.shape[1]]

    def _windows(
        self, values: Array, valid: BoolArray | None, scene: SceneConstants, rows: slice,
        precision: Any,
    ) -> Array:  # fmt: skip
        pool: Pool = vars(_pools).setdefault(precision.__name__, Pool(precision))
        around = Surroundings(values, valid, self.radius, rows, pool)
        moments = around.moments()
        made = self._from_window(moments, scene)
        # Nothing is taken from the pool until the next part.
        around.give_back(moments)
        return made

    @abstractmethod
    def _from_window(self, moments: Moments, scene: SceneConstants) -> Array:
        """Return the estimate, in an array of the moments; those are the filter's to change."""


def _precision(values: Array, scene: SceneConstants) -> Any:
    """Return the type to compute in: single precision takes half the time."""
    if scene.looks > _MOST_LOOKS or values.dtype != np.float32 or not values.max() < _MOST:
        return np.float64
    if values.min() < _LEAST and np.any((values < _LEAST) & (values > 0.0)):
        return np.float64
    return np.float32

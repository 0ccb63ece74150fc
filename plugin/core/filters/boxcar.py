"""Moving average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import local_mean


@dataclass(frozen=True)
class Boxcar(SpeckleFilter):
    """Mean of the valid pixels in the window: multilooking at full sampling."""

    id: ClassVar[str] = "boxcar"
    title: ClassVar[str] = "Boxcar"
    takes_looks: ClassVar[bool] = False

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        return local_mean(values, valid, self.radius)

"""What all classical filters share: their signature, and what holds whatever a filter does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SceneConstants:
    """What a filter must know of the whole band; measured once per run, then frozen.

    Attributes
    ----------
    looks : float
        Equivalent number of looks; the squared coefficient of variation of speckle is its
        inverse.
    bright : float
        98th percentile of the band's valid intensities.
    """

    looks: float = 1.0
    bright: float = float("inf")


@dataclass(frozen=True)
class SpeckleFilter(ABC):
    """A filter with its parameters, ready to be called on any tile of any band.

    Attributes
    ----------
    radius : int
        Of the square window, in pixels: the window is 2·radius + 1 wide.
    variant : str
        One of the class's `variants`.
    """

    radius: int = 3
    variant: str = "speckless"

    id: ClassVar[str]
    title: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = ("speckless",)
    max_radius: ClassVar[int] = 50
    takes_looks: ClassVar[bool] = True
    needs_bright: ClassVar[bool] = False
    together: ClassVar[bool] = False  # whether bands are filtered with each other's help
    # Pixels computed at once, halo aside: so few that what a filter computes stays in the
    # processor's cache and is allocated without asking the system.
    strip_pixels: ClassVar[int] = 2**15
    strip_columns: ClassVar[int] = 512
    # Arrays start at a multiple of this, along rows and columns of the raster, lest the estimate
    # depend on where they start.
    lattice: ClassVar[int] = 1
    tile_size: ClassVar[int] = 512  # less where a pixel takes long: a tile is not interrupted

    def __post_init__(self) -> None:
        if not 1 <= self.radius <= self.max_radius:
            raise InvalidInput(
                f"The radius must be 1 to {self.max_radius} pixels, got {self.radius}."
            )
        if self.variant not in self.variants:
            raise InvalidInput(
                f"The filter {self.id} has no variant '{self.variant}'; "
                f"choose {' or '.join(self.variants)}."
            )

    @classmethod
    def default_radius(cls) -> int:
        """Return the radius where none is given."""
        return cls().radius

    @property
    def needs_looks(self) -> bool:
        """Whether the estimate depends on the number of looks."""
        return self.takes_looks

    @property
    def halo(self) -> int:
        """Pixels beyond a pixel, on each side, that its estimate depends on."""
        return self.radius

    def settings(self) -> dict[str, str]:
        """Parameters as text, for the metadata of what was filtered."""
        found = {"RADIUS": str(self.radius)}
        if len(self.variants) > 1:
            found["VARIANT"] = self.variant
        return found

    def __call__(self, intensity: Array, valid: BoolArray, scene: SceneConstants) -> FloatArray:
        """Estimate the intensity without speckle.

        Parameters
        ----------
        intensity : ndarray, (rows, columns)
            Linear intensity, not negative. What stands where it is not valid has no influence.
        valid : ndarray of bool, (rows, columns)
            Pixels that count; outside the array none does.
        scene : SceneConstants
            Of the whole band, not of this tile.

        Returns
        -------
        ndarray of float32, (rows, columns)
            Finite and not negative; 0 where not valid. Exact for pixels at least `halo` inside
            the array, and up to its edge where the image itself ends.
        """
        intensity, valid = np.asarray(intensity), np.asarray(valid, dtype=bool)
        estimate = np.empty(valid.shape, np.float32)
        rows, columns = valid.shape
        parts = max(1, round(columns / self.strip_columns))
        wide = self._rounded(-(-columns // parts))
        high = self._rounded(max(self.halo, self.strip_pixels // min(wide, columns), 1))
        for y, bottom, top, end in self._spans(rows, high):
            for x, right, left, beyond in self._spans(columns, wide):
                place, around = np.s_[y:bottom, x:right], np.s_[top:end, left:beyond]
                target, count = estimate[place], valid[place]
                full = bool(count.all())
                if not full:
                    target[...] = 0.0
                    if not count.any():
                        continue
                rows_wanted = slice(y - top, bottom - top)
                made = self._part(intensity[around], valid[around], scene, rows_wanted)
                made = made[:, x - left : right - left]
                if full:
                    target[...] = made
                else:
                    np.copyto(target, made, where=count, casting="same_kind")
        return estimate

    def _rounded(self, length: int) -> int:
        return -(-length // self.lattice) * self.lattice

    def _spans(self, length: int, step: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield parts of an axis: first and last, and first and last with their halo."""
        for first in range(0, length, step):
            last = min(first + step, length)
            start = max(first - self.halo, 0) // self.lattice * self.lattice
            yield first, last, start, min(last + self.halo, length)

    def _part(
        self, intensity: Array, valid: BoolArray, scene: SceneConstants, rows: slice
    ) -> Array:
        """Return the estimate of some rows of a part; `intensity` is anything where not valid.

        In memory that the next call in this thread may use again.
        """
        if not valid.all():
            intensity = np.where(valid, intensity, 0)
        return self._estimate(intensity.astype(np.float64), valid, scene)[rows]

    def filter_bands(
        self,
        intensities: Sequence[Array],
        valids: Sequence[BoolArray],
        scenes: Sequence[SceneConstants],
    ) -> list[FloatArray]:
        """Estimate several bands of one tile, as `__call__` does one."""
        bands = zip(intensities, valids, scenes)
        return [self(intensity, valid, scene) for intensity, valid, scene in bands]

    @abstractmethod
    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        """Return the estimate; `values` are float64 and 0 where not valid."""

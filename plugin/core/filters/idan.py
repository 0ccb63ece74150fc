"""Intensity driven adaptive neighbourhood filter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InvalidInput
from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .lee import blend, signal_share
from .local import pad
from .median import windowed_median

# Number of bits of each 16-bit word.
_BYTE_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1, dtype=np.uint8)
_BITS = np.add.outer(_BYTE_BITS, _BYTE_BITS).ravel()


@dataclass(frozen=True)
class Idan(SpeckleFilter):
    """Estimate from a neighbourhood grown around each pixel while intensities agree [1]_.

    1. A seed: the median s of the 3 x 3 window.
    2. From the pixel on, 8-connected neighbours with ``|z - s| <= 2/3 σ s`` are taken in,
       ``σ = 1/√L``, until there are `size` of them or no more to take.
    3. Pixels next to the neighbourhood that were left out are looked at again: taken in if
       ``|z - m| <= 2 σ m``, m the neighbourhood's mean.
    4. ``x̂ = m + b (z - m)`` with mean and variance of the neighbourhood and `Kuan`'s weight.

    All pixels of one distance from the start are taken in at once, so that a neighbourhood may
    end somewhat above `size` and does not lean to one side; and none reaches beyond the window
    of `radius`. Leaving out what is unlike costs brightness: even areas of 1, 2, 4 and 10
    looks come out at 0.67, 0.82, 0.90 and 0.96 of their mean.

    Attributes
    ----------
    size : int
        Pixels at which a neighbourhood stops growing, 50 by default.

    References
    ----------
    .. [1] G. Vasile, E. Trouvé, J.-S. Lee, V. Buzuloiu, "Intensity-driven adaptive-neighborhood
       technique for polarimetric and interferometric SAR parameters estimation", IEEE TGRS
       44(6), 1609-1621, 2006.
    """

    radius: int = 5
    size: int = 50

    id: ClassVar[str] = "idan"
    title: ClassVar[str] = "IDAN"
    max_radius: ClassVar[int] = 7  # rows of a window are bits of 16-bit words
    tile_size: ClassVar[int] = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.size <= 225:
            raise InvalidInput(f"The neighbourhood must hold 2 to 225 pixels, got {self.size}.")

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "SIZE": str(self.size)}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        sigma = 1.0 / math.sqrt(scene.looks)
        window = _Window(values, valid, self.radius)
        seed, _ = windowed_median(values, valid, 1)
        region = window.grown(window.near(seed, sigma * 2 / 3), self.size)
        _, mean, _ = window.statistics(region)
        beside = _dilated(region) & ~region
        region |= beside & window.near(mean, 2 * sigma)
        _, mean, variation = window.statistics(region)
        weight = signal_share(variation, scene.looks) / (1.0 + 1.0 / scene.looks)
        return blend(values, mean, weight)


class _Window:
    """The windows of all pixels; sets of pixels in them are rows of bits, (side, rows, columns).

    Bit n of row k stands for the pixel k rows and n columns from the window's upper left.
    """

    def __init__(self, values: Array, valid: BoolArray, radius: int) -> None:
        self._radius, self._side = radius, 2 * radius + 1
        self._shape = values.shape
        self._values, self._valid = pad(values, radius), pad(valid, radius)

    def _at(self, image: Array, y: int, x: int) -> Array:
        return np.asarray(image[y : y + self._shape[0], x : x + self._shape[1]])

    def near(self, level: Array, tolerance: float) -> Array:
        """Return the valid pixels that differ from a level by a share of it at most."""
        low, high = level * (1.0 - tolerance), level * (1.0 + tolerance)
        found = np.zeros((self._side, *self._shape), np.uint16)
        for y in range(self._side):
            for x in range(self._side):
                value = self._at(self._values, y, x)
                alike = (value >= low) & (value <= high) & self._at(self._valid, y, x)
                found[y] |= alike.astype(np.uint16) << np.uint16(x)
        return found

    def grown(self, alike: Array, size: int) -> Array:
        """Return what is connected to the centre through `alike`; stops at `size` pixels."""
        region = np.zeros_like(alike)
        region[self._radius] = np.uint16(1 << self._radius)
        alike = alike | region
        open_ = np.ones(self._shape, bool)
        for _ in range(self._side**2):
            more = _dilated(region) & alike
            more[:, ~open_] = region[:, ~open_]
            open_ &= (more != region).any(0) & (_BITS[more].sum(0, dtype=np.uint16) < size)
            region = more
            if not open_.any():
                break
        return region

    def statistics(self, region: Array) -> tuple[Array, Array, Array]:
        """Return number, mean and squared coefficient of variation of the pixels in a set."""
        number = _BITS[region].sum(0, dtype=np.float64)
        total, squares = np.zeros(self._shape), np.zeros(self._shape)
        for y in range(self._side):
            for x in range(self._side):
                inside = (region[y] >> np.uint16(x)) & np.uint16(1)
                kept = self._at(self._values, y, x) * inside
                total += kept
                squares += np.square(kept, out=kept)
        mean = total / number
        variance = np.maximum(squares - total * mean, 0.0) / np.maximum(number - 1.0, 1.0)
        return number, mean, variance / np.maximum(np.square(mean), 1e-300)


def _dilated(region: Array) -> Array:
    """Return a set and the 8 neighbours of its pixels; bits beyond a row's end are harmless.

    They lie outside the window, where `_Window.near` holds nothing.
    """
    wide = region | (region << np.uint16(1)) | (region >> np.uint16(1))
    tall = wide.copy()
    tall[1:] |= wide[:-1]
    tall[:-1] |= wide[1:]
    return np.asarray(tall)

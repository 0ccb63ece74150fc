"""A part of the images to be compared, with a margin that figures of neighbourhoods need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..tiling import Window

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]

# Pixels that the neighbourhoods of all figures reach, and so the margin blocks should have.
MARGIN = 12


@dataclass(frozen=True)
class Block:
    """The same pixels of two or three images.

    Attributes
    ----------
    noisy, estimate : ndarray, (rows, columns)
        Linear intensity before and after despeckling; any value where not valid.
    valid : ndarray of bool, (rows, columns)
        Pixels valid in both.
    core : Window
        The pixels the block answers for, counted from the arrays' upper left pixel. What lies
        around them, `MARGIN` pixels where the raster has so many, only serves as neighbours.
    origin : (int, int)
        Column and row of the arrays' upper left pixel in the raster.
    reference : ndarray, optional
        Intensity without speckle.
    reference_valid : ndarray of bool, optional
        Pixels valid in all three.
    """

    noisy: Array
    estimate: Array
    valid: BoolArray
    core: Window
    origin: tuple[int, int] = (0, 0)
    reference: Array | None = None
    reference_valid: BoolArray | None = None

    @classmethod
    def whole(
        cls,
        noisy: Array,
        estimate: Array,
        valid: Array | None = None,
        reference: Array | None = None,
    ) -> Block:
        """Return whole images as one block; NaN and infinite pixels are not valid."""
        usable = np.isfinite(noisy) & np.isfinite(estimate)
        if valid is not None:
            usable &= np.asarray(valid, bool)
        with_reference = None if reference is None else usable & np.isfinite(reference)
        rows, columns = np.shape(noisy)
        core = Window(0, 0, columns, rows)
        return cls(noisy, estimate, usable, core, (0, 0), reference, with_reference)

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the core."""
        return (
            slice(self.core.y, self.core.bottom),
            slice(self.core.x, self.core.right),
        )


def cumulated(image: Array) -> Array:
    """Return running sums over both axes, with a zero row and column before."""
    sums = np.zeros((image.shape[0] + 1, image.shape[1] + 1))
    np.cumsum(np.cumsum(image, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    return sums


def box_sums(sums: Array, radius: int) -> Array:
    """Return the sums of the square windows of a `cumulated` image that lie wholly inside it."""
    side = 2 * radius + 1
    return np.asarray(
        sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    )


def centres(shape: tuple[int, ...], core: Window, radius: int) -> tuple[slice, slice, Window]:
    """Where in an array of windows (as of `box_sums`) those centred on the core are.

    Returns
    -------
    rows, columns : slice
        Into the array of windows.
    window : Window
        Their centres, counted from the block's upper left pixel. Its size may be nothing only
        where the slices are; then it is the core.
    """
    top, left = max(core.y, radius), max(core.x, radius)
    bottom, right = min(core.bottom, shape[0] - radius), min(core.right, shape[1] - radius)
    if bottom <= top or right <= left:
        return slice(0, 0), slice(0, 0), core
    place = Window(left, top, right - left, bottom - top)
    return (
        slice(top - radius, bottom - radius),
        slice(left - radius, right - radius),
        place,
    )

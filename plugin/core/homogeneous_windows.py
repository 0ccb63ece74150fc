"""Where in a scene to look for homogeneous areas."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput
from .quality import window_sums
from .tiling import Window

Array = npt.NDArray[Any]

# Relative variance that float rounding alone gives a constant window.
_CONSTANT = 1e-10
_LEAST_PIXELS = 16


class HomogeneousWindow(NamedTuple):
    """A window and its coefficient of variation."""

    window: Window
    cx: float


def homogeneous_windows(
    intensity: Array,
    valid: Array | None = None,
    size: int = 32,
    count: int = 5,
    least_valid: float = 0.9,
) -> list[HomogeneousWindow]:
    """Find the most homogeneous windows of a scene, none overlapping another.

    The one of the lowest coefficient of variation first, then the lowest of those that do not
    overlap it, and so on. Constant windows (fill, saturation) do not count.

    Parameters
    ----------
    intensity : ndarray, (rows, columns)
        Linear intensity; pixels below zero are not used.
    valid : ndarray of bool, optional
        NaN and infinite pixels are never used.
    size : int, default 32
        Side of the windows, at least 4; they start at multiples of the greatest divisor of it
        that is at most ``size / 8`` (of 1 pixel for sizes below 16).
    count : int, default 5
        Most windows to return.
    least_valid : float, default 0.9
        Share of its pixels that must be valid in a window; Cx is of these.

    Returns
    -------
    list of HomogeneousWindow
        From the most homogeneous on, windows of one Cx in reading order; fewer than `count`
        where the scene has no more, an empty list where it has none.

    Raises
    ------
    InvalidInput
        If the size does not fit into the image, or a parameter is out of range.

    Notes
    -----
    The best of many windows owes its place in part to chance, so their ENL is too high: in pure
    speckle of 1000 x 1000 pixels, four looks, the five windows of 32 x 32 found had an ENL of
    4.8 on average. Take the number of looks from larger areas drawn around such windows.
    """
    image, usable = _prepared(intensity, valid)
    if size < 4 or min(image.shape) < size:
        raise InvalidInput(
            f"No window of {size} x {size} pixels fits into an image of {image.shape[1]} x "
            f"{image.shape[0]}; choose a size from 4 to the image's."
        )
    if count < 1 or not 0 < least_valid <= 1:
        raise InvalidInput(
            "At least one window, and a share of valid pixels above 0 and up to 1, must be asked "
            f"for; got {count} and {least_valid}."
        )
    step = next(s for s in range(max(size // 8, 1), 0, -1) if size % s == 0)
    relative = _relative_variance(image, usable, size, step, least_valid)
    reach = size // step - 1
    found: list[HomogeneousWindow] = []
    while len(found) < count:
        place = int(np.argmin(relative))
        row, column = divmod(place, relative.shape[1])
        variance = float(relative[row, column])
        if not np.isfinite(variance):
            break
        window = Window(column * step, row * step, size, size)
        found.append(HomogeneousWindow(window, variance**0.5))
        rows = slice(max(row - reach, 0), row + reach + 1)
        relative[rows, max(column - reach, 0) : column + reach + 1] = np.inf
    return found


def _prepared(intensity: Array, valid: Array | None) -> tuple[Array, Array]:
    """Return float64 with zeros in place of what cannot be used, and the mask."""
    image = np.asarray(intensity)
    if image.ndim != 2:
        raise InvalidInput(f"Expected one band (rows, columns), got shape {image.shape}.")
    usable = np.isfinite(image) & (image >= 0)
    if valid is not None:
        if np.shape(valid) != image.shape:
            raise InvalidInput(f"The mask {np.shape(valid)} does not fit the image {image.shape}.")
        usable &= np.asarray(valid, dtype=bool)
    return np.where(usable, image, 0.0).astype(np.float64, copy=False), usable


def _relative_variance(
    image: Array, usable: Array, size: int, step: int, least_valid: float
) -> npt.NDArray[np.float64]:
    """Return Cx**2 of the windows, infinite where one does not count."""
    counts = window_sums(usable, size, step)
    sums = window_sums(image, size, step)
    squares = window_sums(image * image, size, step)
    enough = (counts >= max(least_valid * size * size, _LEAST_PIXELS)) & (sums > 0)
    pixels = np.where(enough, counts, 2)
    means = np.where(enough, sums, 1.0) / pixels
    relative = (squares / pixels / means**2 - 1.0) * (pixels / (pixels - 1.0))
    return np.where(enough & (relative > _CONSTANT), relative, np.inf)

"""Statistics of windows, of their valid pixels only.

A window's sum is built from shifted copies, in a number of additions that grows with the
logarithm of its width, not by running sums: the rounding of a pixel's sum then depends on the
window alone. Tiles give the very bits of the whole image, and a bright target leaves no trace
beyond the windows that hold it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .surroundings import Surroundings, spans

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


class LocalStatistics(NamedTuple):
    """Statistics of the window around each pixel, float64, (rows, columns).

    Attributes
    ----------
    number : ndarray
        Valid pixels in the window, 0 or more.
    mean : ndarray
        0 where there is no valid pixel.
    variance : ndarray
        Unbiased; 0 where there are fewer than two valid pixels.
    """

    number: Array
    mean: Array
    variance: Array


def pad(image: Array, radius: int) -> Array:
    """Return a copy with `radius` rows and columns of zeros (False) around it."""
    rows, columns = image.shape
    padded = np.zeros((rows + 2 * radius, columns + 2 * radius), image.dtype)
    padded[radius : radius + rows, radius : radius + columns] = image
    return padded


def run_sums(values: Array, size: int, axis: int) -> Array:
    """Return the sums of `size` neighbours along an axis, shorter by ``size - 1``."""
    length = values.shape[axis] - size + 1

    def cut(array: Array, start: int, stop: int) -> Array:
        return array[start:stop] if axis == 0 else array[:, start:stop]

    total: Array | None = None
    is_own = False  # whether it may be changed
    power, width, offset = values, 1, 0  # sums of `width` neighbours; where to go on from
    while size:
        if size & 1:
            part = cut(power, offset, offset + length)
            if total is None:
                total = part
            elif is_own:
                total += part
            else:
                total, is_own = total + part, True
            offset += width
        size >>= 1
        if size:
            reach = power.shape[axis] - width
            power = cut(power, 0, reach) + cut(power, width, width + reach)
            width *= 2
    assert total is not None
    return total


def window_sums(padded: Array, radius: int) -> Array:
    """Return the sums over square windows that lie inside the array.

    Parameters
    ----------
    padded : ndarray, (rows + 2 radius, columns + 2 radius)
    radius : int

    Returns
    -------
    ndarray, (rows, columns)
        Of the type of the array.
    """
    side = 2 * radius + 1
    return run_sums(run_sums(padded, side, 1), side, 0)


def window_counts(valid: BoolArray, radius: int) -> Array:
    """Return how many pixels in the square window around each pixel are valid (float64).

    Parameters
    ----------
    valid : ndarray of bool, (rows, columns)
        What lies outside is not valid.
    radius : int
    """
    if not valid.all():
        return window_sums(pad(valid, radius).astype(np.uint16), radius).astype(np.float64)
    return np.multiply.outer(*(spans(length, radius) for length in valid.shape))


def local_mean(values: Array, valid: BoolArray, radius: int) -> Array:
    """Return the mean of the valid pixels in the square window around each pixel.

    Parameters
    ----------
    values : ndarray, (rows, columns)
    valid : ndarray of bool, (rows, columns)
    radius : int

    Returns
    -------
    ndarray of float64, (rows, columns)
        0 where there is no valid pixel.
    """
    around = Surroundings(values, None if valid.all() else valid, radius)
    return around.mean()[:, : values.shape[1]]


def local_statistics(values: Array, valid: BoolArray, radius: int) -> LocalStatistics:
    """Return count, mean and unbiased variance of the window around each pixel.

    Parameters
    ----------
    values : ndarray, (rows, columns)
    valid : ndarray of bool, (rows, columns)
    radius : int

    Notes
    -----
    In float64: ``sum(z²) - (sum z)² / n`` then holds the variance to nine digits where the
    standard deviation is as little as a thousandth of the mean (a million looks).
    """
    around = Surroundings(values, None if valid.all() else valid, radius)
    _, mean, _, variance, counts, _ = around.moments()
    counts.unbiased.times(variance, out=variance)
    np.maximum(variance, 0.0, out=variance)
    place = np.s_[:, : values.shape[1]]
    return LocalStatistics(counts.number[place], mean[place], variance[place])


def squared_variation(statistics: LocalStatistics) -> Array:
    """Return the squared coefficient of variation, Ci² = variance / mean²; 0 where the mean is 0.

    Of a single pixel it is 0, as of a constant window.
    """
    square = np.square(statistics.mean)
    # The least positive float32 squared is above this: nothing but zero means are caught.
    np.maximum(square, 1e-300, out=square)
    return np.divide(statistics.variance, square, out=square)

"""Statistics of windows, of their valid pixels only.

A window's sum is built from shifted copies, in a number of additions that grows with the
logarithm of its width, not by running sums: the rounding of a pixel's sum then depends on the
window alone. Tiles give the very bits of the whole image, and a bright target leaves no trace
beyond the windows that hold it.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

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


class Pool:
    """Flat float64 arrays to be used again: memory fresh from the system costs more than sums.

    For one thread.
    """

    def __init__(self) -> None:
        self._free: list[Array] = []

    def take(self, length: int) -> Array:
        """Return an array of that length, holding anything."""
        for place, array in enumerate(self._free):
            if len(array) >= length:
                return self._free.pop(place)[:length]
        self._free = []  # too short: of smaller images
        return np.empty(length + _SPARE)[:length]

    def give(self, *arrays: Array) -> None:
        """Take back what `take` gave and nobody uses any more."""
        self._free += [array.base for array in arrays if array.base is not None]

    def sums(self, flat: Array, size: int, step: int) -> Array:
        """Return what `run_sums` does of a flat array."""
        length = len(flat) - (size - 1) * step
        total: Array | None = None
        power, width, offset = flat, step, 0
        while size:
            if size & 1:
                part = power[offset : offset + length]
                if total is None:
                    total = self.take(length)
                    np.copyto(total, part)
                else:
                    total += part
                offset += width
            size >>= 1
            if size:
                reach = len(power) - width
                wider = np.add(power[:reach], power[width:], out=self.take(reach))
                if power is not flat:
                    self.give(power)
                power = wider
                width *= 2
        self.give(power)
        assert total is not None
        return total


# Lengths differ by a few pixels between the parts of an image.
_SPARE = 4096


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
    return np.multiply.outer(*(_spans(length, radius) for length in valid.shape))


def _spans(length: int, radius: int) -> Array:
    """Return how many pixels of an axis lie in the window around each of them."""
    index = np.arange(length)
    span = np.minimum(index + radius, length - 1) - np.maximum(index - radius, 0) + 1
    return span.astype(np.float64)


@functools.lru_cache(maxsize=32)
def _full_counts(rows: int, columns: int, radius: int) -> tuple[Array, Array, Array]:
    """Return the counts where all is valid and inverses, flat, rows padded by two radii."""
    row = np.ones(columns + 2 * radius)
    row[:columns] = _spans(columns, radius)
    counts = np.multiply.outer(_spans(rows, radius), row).ravel()
    found = counts, 1.0 / counts, 1.0 / np.maximum(counts - 1.0, 1.0)
    for array in found:
        array.flags.writeable = False
    return found


class Surroundings:
    """Windows around the pixels of an image, laid out flat so that sums run through memory.

    Rows are padded and laid end to end: a shift by a row or a column is one by a number of
    places. Results have ``rows (columns + 2 radius)`` places; those of the padding hold numbers
    without meaning, finite where all pixels are, and `image` leaves them out.

    Parameters
    ----------
    values : ndarray, (rows, columns)
        Any value where not valid.
    valid : ndarray of bool, (rows, columns)
    radius : int
    pool : Pool, optional
        Where results come from, and go back to.
    """

    def __init__(
        self, values: Array, valid: BoolArray, radius: int, pool: Pool | None = None
    ) -> None:
        self._shape, self._radius = values.shape, radius
        self._pool = pool or Pool()
        rows, columns = values.shape
        self._width = columns + 2 * radius
        self._flat = self._laid_out(values, valid)
        if valid.all():
            self._counts = _full_counts(rows, columns, radius)
        else:
            there = self._sums(self._laid_out(valid, valid))
            inverse = 1.0 / np.maximum(there, 1.0)
            self._counts = there, inverse, 1.0 / np.maximum(there - 1.0, 1.0)

    def _laid_out(self, values: Array, valid: BoolArray) -> Array:
        rows, columns, radius = *self._shape, self._radius
        tall = rows + 2 * radius
        flat = self._pool.take(tall * self._width + 2 * radius)
        flat[...] = 0.0
        inside = flat[: tall * self._width].reshape(tall, self._width)
        inside = inside[radius : radius + rows, radius : radius + columns]
        if valid.all():
            inside[...] = values
        else:
            np.copyto(inside, values, where=valid)
        return flat

    def _sums(self, flat: Array) -> Array:
        side = 2 * self._radius + 1
        tall = self._pool.sums(flat, side, self._width)
        total = self._pool.sums(tall, side, 1)
        self._pool.give(tall)
        return total

    @property
    def values(self) -> Array:
        """The pixels themselves, 0 where not valid."""
        start = self._radius * (self._width + 1)
        return self._flat[start : start + self._shape[0] * self._width]

    @property
    def number(self) -> Array:
        """Valid pixels of each window."""
        return self._counts[0]

    def mean(self) -> Array:
        """Return the mean of each window's valid pixels, 0 where there is none."""
        total = self._sums(self._flat)
        total *= self._counts[1]
        return total

    def mean_and_variance(self) -> tuple[Array, Array, Array]:
        """Return mean, unbiased variance, and an array of that shape to be used at will.

        They are 0 where there is no pixel, or fewer than two.
        """
        total = self._sums(self._flat)
        mean = np.multiply(total, self._counts[1], out=self._pool.take(len(total)))
        squares = np.square(self._flat, out=self._pool.take(len(self._flat)))
        variance = self._sums(squares)
        self._pool.give(squares)
        total *= mean
        variance -= total
        variance *= self._counts[2]
        np.maximum(variance, 0.0, out=variance)
        return mean, variance, total

    def image(self, flat: Array) -> Array:
        """Return the places that are pixels, (rows, columns)."""
        return flat.reshape(self._shape[0], self._width)[:, : self._shape[1]]

    def give_back(self, *results: Array) -> None:
        """Let the pool have the image and results that nobody uses any more."""
        self._pool.give(self._flat, *results)


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
    around = Surroundings(values, valid, radius)
    return around.image(around.mean())


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
    around = Surroundings(values, valid, radius)
    mean, variance, _ = around.mean_and_variance()
    return LocalStatistics(*map(around.image, (around.number, mean, variance)))


def squared_variation(statistics: LocalStatistics) -> Array:
    """Return the squared coefficient of variation, Ci² = variance / mean²; 0 where the mean is 0.

    Of a single pixel it is 0, as of a constant window.
    """
    square = np.square(statistics.mean)
    # The least positive float32 squared is above this: nothing but zero means are caught.
    np.maximum(square, 1e-300, out=square)
    return np.divide(statistics.variance, square, out=square)

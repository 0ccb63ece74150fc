"""Statistics of windows, of their valid pixels only.

A window's sum is built from shifted copies, in a number of additions that grows with the
logarithm of its width, not by running sums: the rounding of a pixel's sum then depends on the
window alone. Tiles give the very bits of the whole image, and a bright target leaves no trace
beyond the windows that hold it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]

# Added to what may be zero and is divided by: the least positive float32 squared is far above.
TINY = 1e-300


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
    """Float64 arrays to be used again: memory fresh from the system costs more than sums.

    For one thread.
    """

    def __init__(self) -> None:
        self._free: list[Array] = []

    def take(self, planes: int, length: int) -> Array:
        """Return an array of that shape, holding anything."""
        size = planes * length
        for place, array in enumerate(self._free):
            if len(array) >= size:
                return self._free.pop(place)[:size].reshape(planes, length)
        self._free = []  # too short: of smaller images
        return np.empty(size + _SPARE)[:size].reshape(planes, length)

    def give(self, *arrays: Array) -> None:
        """Take back what `take` gave and nobody uses any more."""
        self._free += [array.base for array in arrays if array.base is not None]

    def sums(self, planes: Array, size: int, step: int) -> Array:
        """Return the sums of `size` places (3, 5, 7, ...), `step` apart, along the planes."""
        length = planes.shape[1] - (size - 1) * step
        total, power, width, offset = planes[:, :length], planes, step, step
        size >>= 1
        while size:
            reach = power.shape[1] - width
            out = self.take(len(planes), reach)
            wider = np.add(power[:, :reach], power[:, width:], out=out)
            if power is not planes:
                self.give(power)
            power = wider
            width *= 2
            if size & 1:
                part = power[:, offset : offset + length]
                is_own = total.base is not planes.base
                out = total if is_own else self.take(len(planes), length)
                total = np.add(total, part, out=out)
                offset += width
            size >>= 1
        self.give(power)
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


class Scale(NamedTuple):
    """A function of the number of valid pixels in each window, to multiply by.

    Attributes
    ----------
    common : float or ndarray, (rows, places)
        A number where that number is the same all over, edges aside: an array would be read from
        memory each time.
    edges : list of (index, ndarray)
        The places where it is another.
    """

    common: float | Array
    edges: list[tuple[Any, Array]]

    def times(self, array: Array, out: Array, factor: float = 1.0) -> Array:
        """Return ``array * self * factor``; `array` may be `out`."""
        inner = [array[place] * values for place, values in self.edges]
        np.multiply(array, self.common * factor, out=out)
        for (place, _), values in zip(self.edges, inner):
            np.multiply(values, factor, out=out[place])
        return out


class Counts(NamedTuple):
    """Number n of valid pixels in each window, (rows, places), and scales made of it.

    Attributes
    ----------
    number : ndarray
    inverse : Scale
        1/n; 1 where n is 0.
    unbiased : Scale
        1/(n - 1); 1 where n is less than 2.
    variation : Scale
        n/(n - 1); 0 where n is less than 2.
    certainty : Scale
        (n - 1)/n; 1 where n is less than 2.
    """

    number: Array
    inverse: Scale
    unbiased: Scale
    variation: Scale
    certainty: Scale


@functools.lru_cache(maxsize=32)
def _full_counts(rows: int, columns: int, radius: int, first: int, last: int) -> Counts:
    """Return the counts of some rows of an image where all is valid."""
    row = np.ones(columns + radius)
    row[:columns] = _spans(columns, radius)
    number = np.multiply.outer(_spans(rows, radius)[first:last], row)
    number.flags.writeable = False
    if min(rows, columns) <= 2 * radius:
        return _counts(number)
    above, below = max(radius - first, 0), max(last - (rows - radius), 0)
    inner = slice(above, last - first - below)
    # Each place once: the corners are the upper and lower edges'.
    edges: list[Any] = [np.s_[inner, :radius], np.s_[inner, columns - radius :]]
    edges += [np.s_[:above], np.s_[last - first - below :]]
    return _counts(number, [edge for edge in edges if number[edge].size])


def _counts(number: Array, edges: list[Any] | None = None) -> Counts:
    def scale(function: Callable[[Array], Array]) -> Scale:
        if edges is None:
            return Scale(function(number), [])
        full = function(np.full(1, number.max()))
        return Scale(float(full[0]), [(edge, function(number[edge])) for edge in edges])

    def inverse(n: Array) -> Array:
        return np.asarray(1.0 / np.maximum(n, 1.0))

    def unbiased(n: Array) -> Array:
        return inverse(n - 1.0)

    return Counts(
        number,
        scale(inverse),
        scale(unbiased),
        scale(lambda n: np.where(n > 1.0, n * unbiased(n), 0.0)),
        scale(lambda n: np.where(n > 1.0, (n - 1.0) * inverse(n), 1.0)),
    )


class Moments(NamedTuple):
    """Of the windows around pixels; (rows, places), to be changed at will but for the counts.

    Attributes
    ----------
    values : ndarray
        The pixels themselves.
    mean : ndarray
        0 where there is no valid pixel.
    power : ndarray
        ``n mean²``, n the number of valid pixels.
    deviations : ndarray
        Sum of the squared deviations from the mean; rounding may leave it below 0.
    counts : Counts
    """

    values: Array
    mean: Array
    power: Array
    deviations: Array
    counts: Counts


class Surroundings:
    """Windows around the pixels of an image, laid out flat so that sums run through memory.

    Rows are laid end to end with `radius` zeros between: a shift by a row or a column is one by a
    number of places. Results are (rows, columns + radius); the last columns hold numbers without
    meaning, finite where all pixels are.

    Parameters
    ----------
    values : ndarray, (rows, columns)
        Any value where not valid.
    valid : ndarray of bool, (rows, columns)
    radius : int
    rows : slice, optional
        The rows whose windows are wanted; all by default.
    pool : Pool, optional
        Where results come from, and go back to.
    """

    def __init__(
        self, values: Array, valid: BoolArray, radius: int,
        rows: slice | None = None, pool: Pool | None = None,
    ) -> None:  # fmt: skip
        self._radius = radius
        self._pool = pool or Pool()
        height, self._columns = values.shape
        first, last, _ = (rows or slice(None)).indices(height)
        self._first, self._last = first, last
        self._width = self._columns + radius
        all_valid = bool(valid.all())
        # The values, and room for their squares.
        self._planes = self._laid_out(values, None if all_valid else valid, 2)
        if all_valid:
            self._counts = _full_counts(height, self._columns, radius, first, last)
        else:
            there = self._laid_out(valid, None, 1)
            number = self._sums(there)
            self._counts = _counts(self._rows(number[0]))
            self._pool.give(there)

    def _laid_out(self, values: Array, valid: BoolArray | None, planes: int) -> Array:
        """Return planes whose first one holds the rows wanted and those around them."""
        radius, width = self._radius, self._width
        tall = self._last - self._first + 2 * radius
        made = self._pool.take(planes, tall * width + 2 * radius)
        flat = made[0]
        flat[:radius] = flat[radius + tall * width :] = 0.0
        inside = flat[radius : radius + tall * width].reshape(tall, width)
        inside[:, self._columns :] = 0.0
        top, bottom = self._first - radius, self._last + radius
        above, below = max(-top, 0), max(bottom - len(values), 0)
        inside[:above] = inside[tall - below :] = 0.0
        target = inside[above : tall - below, : self._columns]
        rows = slice(max(top, 0), bottom)
        if valid is None:
            target[...] = values[rows]
        else:
            target[...] = 0.0
            np.copyto(target, values[rows], where=valid[rows])
        return made

    def _sums(self, planes: Array) -> Array:
        side = 2 * self._radius + 1
        tall = self._pool.sums(planes, side, self._width)
        total = self._pool.sums(tall, side, 1)
        self._pool.give(tall)
        return total

    def _rows(self, flat: Array) -> Array:
        return flat.reshape(self._last - self._first, self._width)

    @property
    def values(self) -> Array:
        """The pixels themselves, 0 where not valid."""
        start = self._radius * (self._width + 1)
        flat = self._planes[0, start : start + (self._last - self._first) * self._width]
        return self._rows(flat)

    def mean(self) -> Array:
        """Return the mean of each window's valid pixels, 0 where there is none."""
        total = self._rows(self._sums(self._planes[:1])[0])
        return self._counts.inverse.times(total, out=total)

    def moments(self) -> Moments:
        """Return what mean, variance and coefficient of variation are made of."""
        np.square(self._planes[0], out=self._planes[1])
        sums = self._sums(self._planes)
        power, deviations = map(self._rows, sums)
        mean = self._rows(self._pool.take(1, sums.shape[1])[0])
        self._counts.inverse.times(power, out=mean)
        power *= mean
        deviations -= power
        return Moments(self.values, mean, power, deviations, self._counts)

    def give_back(self, moments: Moments) -> None:
        """Let the pool have the image and results that nobody uses any more."""
        # Power and deviations are planes of one array.
        self._pool.give(self._planes, moments.mean, moments.power)


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
    columns = values.shape[1]
    return Surroundings(values, valid, radius).mean()[:, :columns]


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
    _, mean, _, variance, counts = Surroundings(values, valid, radius).moments()
    counts.unbiased.times(variance, out=variance)
    np.maximum(variance, 0.0, out=variance)
    place = np.s_[:, : values.shape[1]]
    return LocalStatistics(counts.number[place], mean[place], variance[place])


def squared_variation(statistics: LocalStatistics) -> Array:
    """Return the squared coefficient of variation, Ci² = variance / mean²; 0 where the mean is 0.

    Of a single pixel it is 0, as of a constant window.
    """
    square = np.square(statistics.mean)
    np.maximum(square, TINY, out=square)
    return np.divide(statistics.variance, square, out=square)

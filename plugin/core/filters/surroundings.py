"""Sums over the windows around all pixels of an image, and what is made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]


# Lengths differ by a few pixels between the parts of an image.
_SPARE = 4096
# Numpy takes arrays that touch for ones that overlap, and then works number by number.
_GAP = 16


class Pool:
    """Arrays to be used again: memory fresh from the system costs more than sums.

    For one thread.

    Parameters
    ----------
    dtype : numpy type, default float64
    """

    def __init__(self, dtype: Any = np.float64) -> None:
        self.dtype = np.dtype(dtype)
        self._free: list[Array] = []

    def take(self, planes: int, length: int) -> Array:
        """Return an array of that shape, holding anything."""
        apart = length + _GAP
        size = planes * apart
        for place, array in enumerate(self._free):
            if len(array) >= size:
                return self._free.pop(place)[:size].reshape(planes, apart)[:, :length]
        self._free = []  # too short: of smaller images
        return np.empty(size + _SPARE, self.dtype)[:size].reshape(planes, apart)[:, :length]

    def give(self, *arrays: Array) -> None:
        """Take back what `take` gave and nobody uses any more."""
        self._free += [array.base for array in arrays if array.base is not None]

    def sums(self, planes: Array, size: int, step: int) -> Array:
        """Return the sums of `size` places (3, 5, 7, ...), `step` apart, along the planes."""
        length = planes.shape[1] - (size - 1) * step
        if size == 3:
            # In one array less.
            parts = (planes[:, first : first + length] for first in (0, step, 2 * step))
            total = np.add(next(parts), next(parts), out=self.take(len(planes), length))
            return np.add(total, next(parts), out=total)
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


def spans(length: int, radius: int) -> Array:
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
    row[:columns] = spans(columns, radius)
    number = np.multiply.outer(spans(rows, radius)[first:last], row)
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
    recount : callable
        `Surroundings.recount`.
    """

    values: Array
    mean: Array
    power: Array
    deviations: Array
    counts: Counts
    recount: Callable[[Array], tuple[Array, Array, Array]]

    def tiny(self) -> float:
        """Return what may be added to a sum of squares that could be 0 and is divided by."""
        return float(np.finfo(self.power.dtype).tiny)


class Surroundings:
    """Windows around the pixels of an image, laid out flat so that sums run through memory.

    Rows are laid end to end with `radius` zeros between: a shift by a row or a column is one by a
    number of places. Results are (rows, columns + radius); the last columns hold numbers without
    meaning, finite where all pixels are.

    Parameters
    ----------
    values : ndarray, (rows, columns)
        Any value where not valid.
    valid : ndarray of bool, (rows, columns), or None
        None where all are.
    radius : int
    rows : slice, optional
        The rows whose windows are wanted; all by default.
    pool : Pool, optional
        Where results come from, and go back to; its type is theirs.
    """

    def __init__(
        self, values: Array, valid: BoolArray | None, radius: int,
        rows: slice | None = None, pool: Pool | None = None,
    ) -> None:  # fmt: skip
        self._radius = radius
        self._pool = pool or Pool()
        height, self._columns = values.shape
        first, last, _ = (rows or slice(None)).indices(height)
        self._first, self._last = first, last
        self._width = self._columns + radius
        # The values, and room for their squares.
        self._planes = self._laid_out(values, valid, 2)
        if valid is None:
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
        np.multiply(self._planes[0], self._planes[0], out=self._planes[1])
        sums = self._sums(self._planes)
        power, deviations = map(self._rows, sums)
        mean = self._rows(self._pool.take(1, sums.shape[1])[0])
        self._counts.inverse.times(power, out=mean)
        power *= mean
        deviations -= power
        return Moments(self.values, mean, power, deviations, self._counts, self.recount)

    def recount(self, places: Array) -> tuple[Array, Array, Array]:
        """Return pixels, means and Ci² around them, by their flat places, in double precision."""
        side = np.arange(2 * self._radius + 1)
        number = self._counts.number.ravel()[places].astype(np.float64)
        total, squares = np.zeros(len(places)), np.zeros(len(places))
        for step in side * self._width:
            values = self._planes[0, np.add.outer(places + step, side)].astype(np.float64)
            total += values.sum(1)
            squares += np.square(values, out=values).sum(1)
        mean = total / np.maximum(number, 1.0)
        deviations = np.maximum(squares - total * mean, 0.0)
        scale = number / np.maximum(number - 1.0, 1.0)
        power = np.maximum(total * mean, np.finfo(np.float64).tiny)
        return self.values.ravel()[places], mean, deviations / power * scale

    def give_back(self, moments: Moments) -> None:
        """Let the pool have the image and results that nobody uses any more."""
        # Power and deviations are planes of one array.
        self._pool.give(self._planes, moments.mean, moments.power)

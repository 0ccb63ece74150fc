"""Finding the blocks of an image that look like given ones under speckle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .base import Array
from .local import run_sums

BLOCK = 8
# Reference blocks lie this far apart, counted from the corner of the raster.
LATTICE = 3
# Most that a pair of pixels counts: amplitudes e^8 apart (70 dB). Eight of them, multiplied,
# stay within single precision.
_MOST = np.float32(math.exp(8.0))
# Rows of reference blocks compared at once: what they need stays in the processor's cache.
_ROWS = 12


@dataclass(frozen=True)
class Likeness:
    """What blocks are compared by.

    Attributes
    ----------
    amplitude : ndarray of float32, (rows, columns)
        Positive.
    pilot : ndarray of float32, (rows, columns), optional
        Amplitudes without speckle, positive.
    speckle, structure : float
        Weights of the two terms.
    """

    amplitude: Array
    pilot: Array | None = None
    speckle: float = 1.0
    structure: float = 0.0


def reference_corners(length: int, margin: int) -> Array:
    """Return where, along an axis, the reference blocks start that hold a pixel of an image.

    Parameters
    ----------
    length : int
        Of the image along the axis.
    margin : int
        Pixels added before it, a multiple of `LATTICE` and at least ``BLOCK - 1``.
    """
    first = -((BLOCK - 1) // LATTICE) * LATTICE
    return np.arange(first, length, LATTICE) + margin


def most_alike(
    likeness: Likeness,
    allowed: Array,
    tops: Array,
    lefts: Array,
    radius: int,
    count: int,
) -> Array:
    """Find, for each reference block, the blocks around that are most like it.

    Two blocks differ, in amplitudes a and b, by ``Σ ln((a/b + b/a) / 2)``, the generalised
    likelihood ratio of fully developed speckle on one backscatter or two; if there is a pilot p,
    also by ``Σ (p - q)² / (p q)``.

    Parameters
    ----------
    likeness : Likeness
    allowed : ndarray of bool, (rows - 7, columns - 7)
        Upper left corners of blocks that may be chosen; reference blocks may be in any case.
    tops, lefts : ndarray of int
        Rows and columns of the reference blocks' upper left corners, each `LATTICE` apart, at
        least `radius` from the edges that a corner can have.
    radius : int
        Corners sought are at most this far from the reference's, along rows and columns.
    count : int

    Returns
    -------
    ndarray of int32, (len(tops), len(lefts), count)
        Corners, as places in the flattened image; the most alike first. Where fewer than
        `count` blocks are allowed, they are repeated.
    """
    width = likeness.amplitude.shape[1]
    terms = [_Term(likeness.amplitude, likeness.speckle)]
    if likeness.pilot is not None:
        terms.append(_Term(likeness.pilot, likeness.structure, is_pilot=True))
    steps = [(y, x) for y in range(-radius, radius + 1) for x in range(-radius, radius + 1)]
    steps.remove((0, 0))
    steps.insert(0, (0, 0))
    jumps = np.array([y * width + x for y, x in steps], np.int32)
    barred = np.where(allowed, np.float32(0), np.float32(np.inf))
    found = np.empty((len(tops), len(lefts), count), np.int32)
    columns = slice(int(lefts[0]), int(lefts[-1]) + BLOCK)
    for first in range(0, len(tops), _ROWS):
        part = tops[first : first + _ROWS]
        rows = slice(int(part[0]), int(part[-1]) + BLOCK)
        apart = np.empty((len(steps), len(part), len(lefts)), np.float32)
        for term in terms:
            term.start(rows, columns)
        for number, (y, x) in enumerate(steps):
            if number == 0:
                apart[0] = -1.0  # itself, before all others
                continue
            along = terms[0].apart(y, x)
            for term in terms[1:]:
                along += term.apart(y, x)
            total = _sum_rows(along)
            total += barred[
                rows.start + y : rows.stop + y - BLOCK + 1 : LATTICE,
                columns.start + x : columns.stop + x - BLOCK + 1 : LATTICE,
            ]
            apart[number] = total
        places = part[:, None] * width + lefts[None, :]
        found[first : first + _ROWS] = _nearest(apart, jumps, count) + places[:, :, None]
    return found


def _sum_rows(rows: Array) -> Array:
    """Return the sums of `BLOCK` rows that start `LATTICE` apart."""
    four = run_sums(rows, BLOCK // 2, 0)
    reach = len(rows) - BLOCK + 1
    return np.asarray(four[0:reach:LATTICE] + four[BLOCK // 2 :: LATTICE][: -(-reach // LATTICE)])


class _Term:
    """The difference of an image and itself shifted, summed along the rows of blocks."""

    def __init__(self, image: Array, weight: float, is_pilot: bool = False) -> None:
        self._image, self._inverse = image, np.float32(1.0) / image
        self._weight, self._is_pilot = np.float32(weight), is_pilot

    def start(self, rows: slice, columns: slice) -> None:
        """Choose the part of the image that is compared with others."""
        self._rows, self._columns = rows, columns
        half = np.float32(0.5)
        self._here = half * self._image[rows, columns]
        self._over = half * self._inverse[rows, columns]
        self._one, self._other = np.empty_like(self._here), np.empty_like(self._here)

    def apart(self, y: int, x: int) -> Array:
        """Return the sums along rows, `LATTICE` apart, of the differences to a shifted part."""
        there = (
            slice(self._rows.start + y, self._rows.stop + y),
            slice(self._columns.start + x, self._columns.stop + x),
        )
        ratio, other = self._one, self._other
        np.multiply(self._here, self._inverse[there], out=ratio)
        np.multiply(self._over, self._image[there], out=other)
        ratio += other
        np.minimum(ratio, _MOST, out=ratio)
        reach = ratio.shape[1] - BLOCK + 1
        number = -(-reach // LATTICE)
        if self._is_pilot:
            # (p - q)² / (p q) = 2 ((p/q + q/p) / 2 - 1)
            ratio -= np.float32(1.0)
            four = run_sums(ratio, BLOCK // 2, 1)
            total = four[:, 0:reach:LATTICE] + four[:, BLOCK // 2 :: LATTICE][:, :number]
            total *= np.float32(2.0) * self._weight
            return np.asarray(total)
        # The logarithm of a product is dear only once.
        two = np.multiply(ratio[:, :-1], ratio[:, 1:], out=other[:, :-1])
        four = np.multiply(two[:, :-2], two[:, 2:], out=ratio[:, :-3])
        total = four[:, 0:reach:LATTICE] * four[:, BLOCK // 2 :: LATTICE][:, :number]
        np.log(total, out=total)
        if self._weight != 1:
            total *= self._weight
        return np.asarray(total)


def _nearest(apart: Array, jumps: Array, count: int) -> Array:
    """Return the jumps to the `count` blocks least apart, in order."""
    by_block = np.ascontiguousarray(np.moveaxis(apart, 0, -1))
    nearest = np.argpartition(by_block, min(count, len(jumps)) - 1, axis=-1)[..., :count]
    values = np.take_along_axis(by_block, nearest, -1)
    order = np.argsort(values, axis=-1, kind="stable")
    nearest, values = np.take_along_axis(nearest, order, -1), np.take_along_axis(values, order, -1)
    allowed = np.isfinite(values).sum(-1, keepdims=True)
    # Repeated in turn where there are too few.
    turn = np.arange(count) % allowed
    return np.asarray(jumps[np.take_along_axis(nearest, turn, -1)])

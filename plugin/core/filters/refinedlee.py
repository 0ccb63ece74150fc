"""Refined Lee filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .lee import blend
from .local import LocalStatistics, local_statistics, pad, run_sums, squared_variation

_RADIUS = 3

# The halves of the 7 x 7 window, the centre's line included (28 pixels): for each row from top
# to bottom the first and last column, counted from the centre. In the order of _SIDES.
_HALVES = (
    tuple((0, 3) for _ in range(7)),
    tuple((-3, 0) for _ in range(7)),
    tuple((-3, 3) if row <= 0 else None for row in range(-3, 4)),
    tuple((-3, 3) if row >= 0 else None for row in range(-3, 4)),
    tuple((row, 3) for row in range(-3, 4)),
    tuple((-3, row) for row in range(-3, 4)),
    tuple((-3, -row) for row in range(-3, 4)),
    tuple((-row, 3) for row in range(-3, 4)),
)

# Row and column, in the 3 x 3 grid of sub-areas, of the sub-area in the middle of each half:
# east, west, north, south, north-east, south-west, north-west, south-east.
_SIDES = ((1, 2), (1, 0), (0, 1), (2, 1), (0, 2), (2, 0), (0, 0), (2, 2))


@dataclass(frozen=True)
class RefinedLee(SpeckleFilter):
    """Lee's estimate from that half of a 7 x 7 window that lies on the pixel's side of an edge.

    [1]_: the means of nine overlapping 3 x 3 sub-areas give four gradients; across the steepest
    lies the edge. Of the two halves that it parts the window into, the one whose sub-area's mean
    is nearer to the central one's serves for mean m and coefficient of variation Ci of
    ``x̂ = m + b (z - m)``, ``b = max(0, 1 - σ²/Ci²) / (1 + σ²)``. Sub-areas without a valid pixel
    count as the central one.

    - "speckless": ``σ² = 1/L``, one for the scene.
    - "snap": ``σ²`` is the mean of the five least ``(variance / mean²)`` of the nine sub-areas,
      pixel by pixel; takes no number of looks.

    References
    ----------
    .. [1] J.-S. Lee, "Refined filtering of image noise using local statistics", Computer Graphics
       and Image Processing 15(4), 380-389, 1981.
    """

    id: ClassVar[str] = "refinedlee"
    title: ClassVar[str] = "Refined Lee"
    variants: ClassVar[tuple[str, ...]] = ("speckless", "snap")

    @property
    def needs_looks(self) -> bool:
        return self.variant == "speckless"

    @property
    def halo(self) -> int:
        return _RADIUS

    def settings(self) -> dict[str, str]:
        return {"VARIANT": self.variant}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        areas = local_statistics(values, valid, 1)
        means = _sub_areas(areas.mean, areas.number)
        half = _half_statistics(values, valid, _choose_half(means))
        if self.variant == "snap":
            noise = _least_variation(areas)
        else:
            noise = np.full(values.shape, 1.0 / scene.looks)
        variation = np.maximum(squared_variation(half), 1e-300)
        weight = np.maximum(1.0 - noise / variation, 0.0) / (1.0 + noise)
        return blend(values, half.mean, weight)


def _sub_areas(image: Array, number: Array) -> Array:
    """Return an image at the nine sub-areas' centres, (3, 3, rows, columns).

    Taken from the central sub-area where one has no valid pixel.
    """
    rows, columns = image.shape
    shifted, counted = pad(image, 2), pad(number, 2)
    found = np.empty((3, 3, rows, columns))
    for row in range(3):
        for column in range(3):
            place = np.s_[2 * row : 2 * row + rows, 2 * column : 2 * column + columns]
            found[row, column] = np.where(counted[place] > 0, shifted[place], image)
    return found


def _choose_half(means: Array) -> Array:
    """Return the index into the halves of each pixel's, from the sub-areas' means."""
    east_west = means[:, 2].sum(0) - means[:, 0].sum(0)
    north_south = means[0].sum(0) - means[2].sum(0)
    rising = (means[0, 1] + means[0, 2] + means[1, 2]) - (means[1, 0] + means[2, 0] + means[2, 1])
    falling = (means[0, 0] + means[0, 1] + means[1, 0]) - (means[1, 2] + means[2, 1] + means[2, 2])
    gradients = np.abs(np.stack([east_west, north_south, rising, falling]))
    pair = 2 * np.argmax(gradients, axis=0)
    step = np.stack([np.abs(means[side] - means[1, 1]) for side in _SIDES])
    first = np.take_along_axis(step, pair[None], 0)[0]
    second = np.take_along_axis(step, pair[None] + 1, 0)[0]
    return np.asarray(np.where(first < second, pair, pair + 1))


def _half_statistics(values: Array, valid: BoolArray, half: Array) -> LocalStatistics:
    """Return the statistics of the valid pixels in each pixel's half of the window."""
    chosen = [np.zeros(values.shape) for _ in range(3)]
    for sums, image in zip(chosen, (valid.astype(np.float64), values, np.square(values))):
        for index, total in enumerate(_half_sums(image)):
            np.copyto(sums, total, where=half == index)
    number, total, squares = chosen
    mean = total / np.maximum(number, 1.0)
    variance = (squares - total * mean) / np.maximum(number - 1.0, 1.0)
    return LocalStatistics(number, mean, np.maximum(variance, 0.0))


def _half_sums(image: Array) -> Iterator[Array]:
    rows, columns = image.shape
    padded = pad(image, _RADIUS)
    runs = {length: run_sums(padded, length, 1) for length in range(1, 8)}
    for spans in _HALVES:
        total = np.zeros(image.shape)
        for row, span in enumerate(spans):
            if span is not None:
                first, last = span
                start = first + _RADIUS
                total += runs[last - first + 1][row : row + rows, start : start + columns]
        yield total


def _least_variation(areas: LocalStatistics) -> Array:
    """Return the mean of the five least squared coefficients of variation of the sub-areas."""
    found = _sub_areas(squared_variation(areas), areas.number)
    ordered = np.sort(found.reshape(9, *found.shape[2:]), axis=0)
    return np.asarray(ordered[:5].mean(0))

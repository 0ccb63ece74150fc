"""Frost's filter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ..errors import InvalidInput
from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import local_statistics, pad, squared_variation, window_sums

# Weights fall to exp(-700) at most: no further, lest they and their sum become 0.
MAX_DECAY = 700.0


class Ring(NamedTuple):
    """Pixels at one distance from the window's centre: the distance, their sum and number."""

    distance: float
    total: Array
    number: Array


@dataclass(frozen=True)
class Frost(SpeckleFilter):
    """Mean weighted by ``exp(-k d)``, ``k = damping · Ci²`` and d the distance in pixels [1]_.

    The more varied the window, the narrower the mean. Peers mean different filters by this name:

    - "speckless": Euclidean distance, as in the paper; damping 2.
    - "otb": the same with OTB's default damping, 0.1.
    - "snap": the larger of row and column distance (Chebyshev); damping 2.

    Attributes
    ----------
    damping : float, optional
        None for the variant's own.

    References
    ----------
    .. [1] V. S. Frost, J. A. Stiles, K. S. Shanmugan, J. C. Holtzman, "A model for radar images
       and its application to adaptive digital filtering of multiplicative noise", IEEE TPAMI
       4(2), 157-166, 1982.
    """

    damping: float | None = None

    id: ClassVar[str] = "frost"
    title: ClassVar[str] = "Frost"
    variants: ClassVar[tuple[str, ...]] = ("speckless", "snap", "otb")
    takes_looks: ClassVar[bool] = False
    strip_pixels: ClassVar[int] = 2**16
    strip_columns: ClassVar[int] = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        check_damping(self.damping)

    @property
    def damping_used(self) -> float:
        """Damping factor, the variant's own where none is given."""
        if self.damping is not None:
            return self.damping
        return 0.1 if self.variant == "otb" else 2.0

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "DAMPING": f"{self.damping_used:g}"}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        decay = squared_variation(local_statistics(values, valid, self.radius))
        decay *= self.damping_used
        rings = square_rings if self.variant == "snap" else round_rings
        return decaying_mean(rings(values, valid, self.radius), decay)


def check_damping(damping: float | None) -> None:
    """Refuse what is no positive number."""
    if damping is not None and not (math.isfinite(damping) and damping > 0):
        raise InvalidInput(f"The damping factor must be a positive number, got {damping}.")


def decaying_mean(rings: Iterator[Ring], decay: Array) -> Array:
    """Return the mean of all rings' pixels, weighted by ``exp(-decay · distance)``.

    Parameters
    ----------
    rings : iterator of Ring
        The first has distance 0.
    decay : ndarray
        Not negative; changed.
    """
    centre = next(rings)
    # The centre's weight is 1, so the sum of weights is not 0 for valid pixels.
    total, weights = centre.total.copy(), centre.number.copy()
    np.minimum(decay, MAX_DECAY, out=decay)
    np.negative(decay, out=decay)
    for ring in rings:
        weight = np.exp(ring.distance * decay)
        total += weight * ring.total
        weight *= ring.number
        weights += weight
    return np.asarray(total / np.maximum(weights, 1e-300))


def square_rings(values: Array, valid: BoolArray, radius: int) -> Iterator[Ring]:
    """Yield the rings of Chebyshev distance 0 to `radius`."""
    inner: tuple[Array, Array] | None = None
    for distance in range(radius + 1):
        outer = (
            window_sums(pad(values, distance), distance),
            window_sums(pad(valid.astype(np.float64), distance), distance),
        )
        if inner is None:
            yield Ring(0.0, *outer)
        else:
            # A bright centre, subtracted, must not leave a sum below zero.
            yield Ring(float(distance), np.maximum(outer[0] - inner[0], 0.0), outer[1] - inner[1])
        inner = outer


def round_rings(values: Array, valid: BoolArray, radius: int) -> Iterator[Ring]:
    """Yield the rings of each Euclidean distance in the square window, the nearest first."""
    total, count = _Quadrants(values, radius), _Quadrants(valid.astype(np.float64), radius)
    steps: dict[int, list[tuple[int, int]]] = {}
    for dy in range(radius + 1):
        for dx in range(radius + 1):
            steps.setdefault(dy * dy + dx * dx, []).append((dy, dx))
    for square in sorted(steps):
        yield Ring(math.sqrt(square), total.sums(steps[square]), count.sums(steps[square]))


class _Quadrants:
    """Sums of the (up to four) pixels that lie (±dy, ±dx) from each pixel."""

    def __init__(self, image: Array, radius: int) -> None:
        self._shape, self._radius = image.shape, radius
        padded = pad(image, radius)
        columns = image.shape[1]
        self._pairs = [padded[:, radius : radius + columns]]
        for dx in range(1, radius + 1):
            self._pairs.append(
                padded[:, radius - dx : radius - dx + columns]
                + padded[:, radius + dx : radius + dx + columns]
            )

    def sums(self, steps: list[tuple[int, int]]) -> Array:
        rows, middle = self._shape[0], self._radius
        total: Array | None = None
        for dy, dx in steps:
            pairs = self._pairs[dx]
            for start in sorted({middle - dy, middle + dy}):
                part = pairs[start : start + rows]
                total = part.copy() if total is None else np.add(total, part, out=total)
        assert total is not None
        return total

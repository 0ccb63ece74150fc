"""Structure left in the ratio image: what should be pure speckle shows traces of the scene.

After Gomez, Ospina and Frery [1]_: Haralick's homogeneity of the ratio image is compared with
that of the same pixels at random places. Pure speckle that is independent between pixels does not
care about places. Numbers of levels, permutations and areas are ours, so that values are to be
compared with each other, not with published ones.

References
----------
.. [1] L. Gomez, R. Ospina, A. C. Frery, "Unassisted quantitative evaluation of despeckling
   filters", Remote Sensing 9(4), 389, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput
from .figure import Figure

Array = npt.NDArray[Any]

LEVELS = 32
PERMUTATIONS = 99
_LEAST_PIXELS = 256


@dataclass(frozen=True)
class StructureTest:
    """What a permutation test found.

    Attributes
    ----------
    homogeneity : float
        Of the ratio image, in (0, 1].
    expected : float
        Mean of the permuted images.
    excess : float
        ``100 |homogeneity - expected| / homogeneity``, percent: 0 without structure.
    p_value : float
        Chance that pixels without structure are as far from what is expected, either way.
    lag : int
        Distance of the pixels compared.
    pixels : int
    """

    homogeneity: float
    expected: float
    excess: float
    p_value: float
    lag: int
    pixels: int


def structure_test(
    ratio: Array,
    valid: Array | None = None,
    lag: int = 1,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> StructureTest:
    """Test whether a ratio image is as homogeneous as its pixels at random places.

    Parameters
    ----------
    ratio : ndarray, (rows, columns) or (blocks, rows, columns)
        Input over estimate; blocks are apart from each other. NaN is not used.
    valid : ndarray of bool, optional
    lag : int, default 1
        Compare pixels so far apart, in four directions. Speckle correlated over shorter
        distances is structure to the test too: choose a lag where it is not.
    permutations : int, default 99
    seed : int, default 0

    Raises
    ------
    InvalidInput
        If shapes differ, a parameter is out of range, fewer than 256 pixels are valid, the ratio
        is constant, or no two valid pixels lie the lag apart.
    """
    stack = np.asarray(ratio)
    stack = stack[None] if stack.ndim == 2 else stack
    usable = np.isfinite(stack)
    if valid is not None:
        mask = np.asarray(valid, bool)
        if mask.size != stack.size:
            raise InvalidInput(f"The mask {mask.shape} does not fit the ratio {stack.shape}.")
        usable &= mask.reshape(stack.shape)
    if lag < 1 or permutations < 1:
        raise InvalidInput("Lag and number of permutations must be at least 1.")
    values = stack[usable]
    if len(values) < _LEAST_PIXELS:
        raise InvalidInput(
            f"Only {len(values)} pixels of the ratio are valid; {_LEAST_PIXELS} are needed."
        )
    if values.min() == values.max():
        raise InvalidInput("The ratio is the same everywhere: there is nothing to permute.")
    levels = _quantised(values)
    image = np.zeros(stack.shape, np.int16)
    image[usable] = levels
    pairs = _pairs(usable, lag)
    if not any(both.any() for _, _, both in pairs):
        raise InvalidInput(f"No two valid pixels lie {lag} pixels apart.")
    found = _homogeneity(image, pairs)
    rng = np.random.default_rng(seed)
    chance = np.empty(permutations)
    for number in range(permutations):
        image[usable] = rng.permutation(levels)
        chance[number] = _homogeneity(image, pairs)
    expected = float(chance.mean())
    # Both ways: an estimate that follows the speckle makes neighbours of the ratio differ more.
    # Rounding of sums must not turn a tie into a rank.
    away = np.abs(chance - expected)
    exceeding = int(np.count_nonzero(away >= abs(found - expected) - 1e-12))
    return StructureTest(
        homogeneity=found,
        expected=expected,
        excess=100 * abs(found - expected) / found,
        p_value=(1 + exceeding) / (1 + permutations),
        lag=lag,
        pixels=len(values),
    )


class RatioArea(NamedTuple):
    """A homogeneous area: ENL of the input, ENL and mean of the ratio."""

    enl_input: float
    enl_ratio: float
    mean_ratio: float


def first_order_residual(areas: Sequence[RatioArea]) -> Figure:
    """How far homogeneous areas of the ratio are from speckle of the input's looks.

    ``(|ENL input - ENL ratio| / ENL input + |1 - mean of the ratio|) / 2``, the mean over the
    areas: not their sum, so that the number of areas does not matter.
    """
    if not areas:
        return Figure(None, "There is no homogeneous area to compare input and ratio in.")
    terms = [
        (abs(area.enl_input - area.enl_ratio) / area.enl_input + abs(1 - area.mean_ratio)) / 2
        for area in areas
    ]
    return Figure(sum(terms) / len(terms))


def m_index(residual: Figure, excess: Figure) -> Figure:
    """M: first-order residual and excess of homogeneity in percent, added; 0 is perfect."""
    for part in (residual, excess):
        if part.value is None:
            return part
    assert residual.value is not None and excess.value is not None
    return Figure(residual.value + excess.value)


def _quantised(values: Array) -> Array:
    """Levels that hold about equal numbers of pixels: the tail of speckle does not count more."""
    edges = np.quantile(values, np.arange(1, LEVELS) / LEVELS)
    return np.searchsorted(edges, values, side="right").astype(np.int16)


_Pair = tuple[tuple[slice, ...], tuple[slice, ...], Array]


def _pairs(usable: Array, lag: int) -> list[_Pair]:
    """Places of first and second pixels in four directions, and where both are valid."""
    near, far = slice(None, -lag), slice(lag, None)
    every = slice(None)
    places = [
        ((every, every, near), (every, every, far)),
        ((every, near, every), (every, far, every)),
        ((every, near, near), (every, far, far)),
        ((every, near, far), (every, far, near)),
    ]
    return [(first, second, usable[first] & usable[second]) for first, second in places]


def _homogeneity(image: Array, pairs: list[_Pair]) -> float:
    """Haralick's inverse difference moment, the mean of 1 / (1 + (i - j)²) over all pairs."""
    total, count = 0.0, 0
    for first, second, both in pairs:
        difference = image[first] - image[second]
        if not both.all():
            difference = difference[both]
        # Negative differences count from the table's end.
        total += float(_WEIGHTS.take(difference.ravel(), mode="wrap").sum(dtype=np.float64))
        count += difference.size
    return total / count


_WEIGHTS = 1.0 / (1.0 + np.minimum(np.arange(2 * LEVELS), 2 * LEVELS - np.arange(2 * LEVELS)) ** 2)

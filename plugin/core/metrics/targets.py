"""Whether point targets outlive despeckling: their peak and how they stand out (C_NN)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..special import check_positive, gamma_cdf
from .block import Block, box_sums, centres, cumulated
from .figure import Figure

Array = npt.NDArray[Any]

_RING = 5  # the surroundings: 11 x 11 pixels ...
_INNER = 2  # ... less the 5 x 5 that the target's own side lobes may fill
_MOST = 200
_CHANCE = 1e-3
_LEAST_CHANCE = 1e-10  # of a pixel: what the distribution function still resolves
_TEXTURE = 2.0


@dataclass(frozen=True)
class Target:
    """A pixel far brighter than its surroundings.

    Attributes
    ----------
    column, row : int
        In the raster.
    contrast : float
        Over the mean of the surroundings, before.
    before, after : float
        Intensity of the pixel.
    around_before, around_after : float
        Mean of its eight neighbours.
    """

    column: int
    row: int
    contrast: float
    before: float
    after: float
    around_before: float
    around_after: float


class PointTargets:
    """Finds point targets in the original and compares them with the despeckled image.

    A target is the brightest of its 3 x 3 pixels and stands out of the ring from 3 to 5 pixels
    around it by twice the factor that speckle exceeds once in a thousand such images. Of more
    than 200 those that stand out most count.

    Parameters
    ----------
    looks : float
    pixels : int
        Of the whole image.
    """

    def __init__(self, looks: float, pixels: int) -> None:
        self.threshold = _TEXTURE * _exceeded(looks, max(_CHANCE / max(pixels, 1), _LEAST_CHANCE))
        self.found: list[Target] = []

    def add(self, block: Block) -> None:
        """Take in the targets in the core of a block."""
        usable = block.valid
        rows, columns, place = centres(usable.shape, block.core, _RING)
        if rows.stop <= rows.start:
            return
        noisy = np.where(usable, block.noisy, 0.0).astype(np.float64)
        sums, counts = cumulated(noisy), cumulated(usable)
        inner = np.s_[_RING - _INNER : noisy.shape[0] - _RING - _INNER]
        across = np.s_[_RING - _INNER : noisy.shape[1] - _RING - _INNER]
        ring = box_sums(sums, _RING) - box_sums(sums, _INNER)[inner, across]
        held = box_sums(counts, _RING) - box_sums(counts, _INNER)[inner, across]
        ring, held = ring[rows, columns], held[rows, columns]
        here = np.s_[place.y : place.bottom, place.x : place.right]
        # Half the ring must be there, and all of the 3 x 3.
        full = box_sums(counts, 1)[place.y - 1 : place.bottom - 1, place.x - 1 : place.right - 1]
        enough = (held >= 48) & (full == 9) & (ring > 0)
        contrast = np.zeros(ring.shape)
        np.divide(noisy[here] * held, ring, out=contrast, where=enough)
        for row, column in np.argwhere(contrast >= self.threshold):
            y, x = int(row) + place.y, int(column) + place.x
            nine = noisy[y - 1 : y + 2, x - 1 : x + 2]
            # The first of equals: saturated pixels side by side are one target.
            if int(np.argmax(nine)) != 4:
                continue
            after = np.asarray(block.estimate[y - 1 : y + 2, x - 1 : x + 2], np.float64)
            self.found.append(
                Target(
                    block.origin[0] + x,
                    block.origin[1] + y,
                    float(contrast[row, column]),
                    float(nine[1, 1]),
                    float(after[1, 1]),
                    float(nine.sum() - nine[1, 1]) / 8,
                    float(after.sum() - after[1, 1]) / 8,
                )
            )
        self._keep_best()

    def merge(self, other: PointTargets) -> None:
        """Take in what `other` has seen."""
        self.found = self.found + other.found
        self._keep_best()

    def figures(self) -> dict[str, Figure]:
        """C_NN before and after, and the change of the peak; means of dB over the targets."""
        least = 10 * math.log10(self.threshold)
        missing = Figure(
            None,
            f"There is no point target: no pixel is {least:.0f} dB above its surroundings.",
        )
        names = ("CNN_INPUT", "CNN_DESPECKLED", "PEAK_CHANGE_DB")
        figures = {"TARGETS": Figure(float(len(self.found))), **dict.fromkeys(names, missing)}
        if not self.found:
            return figures
        pairs = {
            "CNN_INPUT": [(t.before, t.around_before) for t in self.found],
            "CNN_DESPECKLED": [(t.after, t.around_after) for t in self.found],
            "PEAK_CHANGE_DB": [(t.after, t.before) for t in self.found],
        }
        for name, values in pairs.items():
            kept = [10 * math.log10(a / b) for a, b in values if a > 0 and b > 0]
            if kept:
                figures[name] = Figure(sum(kept) / len(kept))
            else:
                figures[name] = Figure(
                    None, "At every point target a pixel, or all around it, is 0."
                )
        return figures

    def _keep_best(self) -> None:
        # By place where they are equally bright, so that the order of blocks does not matter.
        self.found.sort(key=lambda target: (-target.contrast, target.row, target.column))
        del self.found[_MOST:]


@lru_cache(maxsize=16)
def _exceeded(looks: float, chance: float) -> float:
    """Return what speckle of mean 1 exceeds with a given chance."""
    check_positive(looks, "number of looks")
    low, high = 1.0, 2.0
    while 1 - float(gamma_cdf(np.array(looks * high), looks)) > chance:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if 1 - float(gamma_cdf(np.array(looks * middle), looks)) > chance:
            low = middle
        else:
            high = middle
    return high

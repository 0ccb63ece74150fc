"""Whether despeckling kept the level: the ratio image's moments, and the bias by brightness."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..moments import StreamingMoments
from .block import Block
from .figure import Figure, quotient

Array = npt.NDArray[Any]

_LOWEST_DB, _HIGHEST_DB = -120, 180
_NO_PIXEL = "No pixel is valid in both images and above zero in the despeckled one."


class Level(NamedTuple):
    """Pixels of similar brightness.

    Attributes
    ----------
    low, high : float
        Despeckled intensity in dB, to whole decibels.
    pixels : int
    bias_db : float
        Mean after over mean before, in dB.
    """

    low: float
    high: float
    pixels: int
    bias_db: float


class Radiometry:
    """Sums over the pixels of both images.

    The ratio is input / despeckled in intensity. Despeckled pixels of 0 have none and are
    counted apart.
    """

    def __init__(self) -> None:
        self.ratio = StreamingMoments()
        self.pixels = 0
        self.zeros = 0
        self._before = 0.0
        self._after = 0.0
        bins = _HIGHEST_DB - _LOWEST_DB
        self._counts = np.zeros(bins)
        self._level_before = np.zeros(bins)
        self._level_after = np.zeros(bins)

    def add(self, block: Block) -> None:
        """Take in the core of a block."""
        usable = block.valid[block.inner]
        before = block.noisy[block.inner][usable].astype(np.float64)
        after = block.estimate[block.inner][usable].astype(np.float64)
        self.pixels += len(before)
        self._before += float(before.sum())
        self._after += float(after.sum())
        positive = after > 0
        if not positive.all():
            self.zeros += int(np.count_nonzero(~positive))
            before, after = before[positive], after[positive]
        if not len(after):
            return
        with np.errstate(over="ignore"):
            self.ratio.add(before / after)
        level = np.floor(10 * np.log10(after)).astype(np.int64)
        level = np.clip(level, _LOWEST_DB, _HIGHEST_DB - 1) - _LOWEST_DB
        bins = len(self._counts)
        self._counts += np.bincount(level, minlength=bins)
        self._level_before += np.bincount(level, before, bins)
        self._level_after += np.bincount(level, after, bins)

    def merge(self, other: Radiometry) -> None:
        """Take in what `other` has seen."""
        self.ratio.merge(other.ratio)
        self.pixels += other.pixels
        self.zeros += other.zeros
        self._before += other._before
        self._after += other._after
        self._counts += other._counts
        self._level_before += other._level_before
        self._level_after += other._level_after

    def figures(self, looks: float) -> dict[str, Figure]:
        """Mean and variance of the ratio, the latter times the looks, and the bias in dB."""
        missing = Figure(None, _NO_PIXEL)
        found = dict.fromkeys(("MEAN_RATIO", "VARIANCE_RATIO", "VARIANCE_RATIO_LOOKS"), missing)
        if self.ratio.count:
            found["MEAN_RATIO"] = Figure(self.ratio.mean)
        if self.ratio.count > 1:
            found["VARIANCE_RATIO"] = Figure(self.ratio.variance)
            found["VARIANCE_RATIO_LOOKS"] = Figure(self.ratio.variance * looks)
        share = quotient(self._after, self._before, "The input holds nothing above zero.")
        if share.value == 0:
            share = Figure(None, "The despeckled image holds nothing above zero.")
        found["BIAS_DB"] = share if share.value is None else Figure(10 * math.log10(share.value))
        return found

    def levels(self, count: int = 5) -> list[Level]:
        """Bias in classes of brightness, of about equal numbers of pixels, dark to bright."""
        total = self._counts.sum()
        if not total:
            return []
        held = np.cumsum(self._counts) / total
        # A class goes to the first decibel by which its share is reached.
        ends = np.unique(np.searchsorted(held, np.arange(1, count + 1) / count - 1e-12))
        found, start = [], 0
        for end in ends:
            part = slice(start, int(end) + 1)
            filled = np.flatnonzero(self._counts[part])
            before, after = self._level_before[part].sum(), self._level_after[part].sum()
            if len(filled) and before > 0:
                found.append(
                    Level(
                        start + int(filled[0]) + _LOWEST_DB,
                        start + int(filled[-1]) + 1 + _LOWEST_DB,
                        int(self._counts[part].sum()),
                        10 * math.log10(after / before),
                    )
                )
            start = int(end) + 1
        return found

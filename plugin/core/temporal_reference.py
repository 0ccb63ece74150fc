"""A reference without speckle from a stack of dates: what deSpeckNet is trained on.

A. G. Mullissa, D. Marcos, D. Tuia, M. Herold, J. Reiche, "deSpeckNet: Generalizing Deep
Learning-Based SAR Image Despeckling", IEEE TGRS 60, 2022, equations 9 and 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

STATISTICS = ("mean", "median")
SPREADS = ("deviation", "variation")


class Reference(NamedTuple):
    """What a stack of N dates of (H, W) gives; all arrays (H, W).

    Attributes
    ----------
    intensity : ndarray of float32
        The reference; 0 where not valid.
    valid : ndarray of bool
        Dates enough, and stable.
    dates : ndarray of int
        Valid dates.
    spread : ndarray of float32
        Z of equation 9, or Z over the mean; NaN where there are fewer than two dates.
    stable : ndarray of bool
        Not above the threshold, where the spread is known.
    """

    intensity: FloatArray
    valid: BoolArray
    dates: npt.NDArray[np.int64]
    spread: FloatArray
    stable: BoolArray


@dataclass(frozen=True)
class TemporalReference:
    """How a reference is made.

    Attributes
    ----------
    threshold : float, optional
        Largest spread over the dates of a pixel that counts as stable (the paper's ν, 0.1);
        None masks nothing.
    spread : {"deviation", "variation"}
        The standard deviation of intensity over the dates, as in equation 9, in the data's own
        unit; or that over the mean, which does not depend on calibration.
    statistic : {"mean", "median"}
        Over the dates. The median withstands single changed dates, but of L-look speckle it
        lies below the mean, by about 1/(3L) of it.
    least : int
        Valid dates that a pixel needs.
    side : int
        Of the square window, odd, over whose valid pixels the result is averaged (spatial
        multilooking on the same grid); 1 for none.
    """

    threshold: float | None = 0.1
    spread: str = "deviation"
    statistic: str = "mean"
    least: int = 2
    side: int = 1

    def __post_init__(self) -> None:
        if self.threshold is not None and not (
            math.isfinite(self.threshold) and self.threshold >= 0
        ):
            raise InvalidInput(f"THRESHOLD must be 0 or more, got {self.threshold:g}.")
        for name, value, allowed in (
            ("SPREAD", self.spread, SPREADS),
            ("STATISTIC", self.statistic, STATISTICS),
        ):
            if value not in allowed:
                raise InvalidInput(f"{name} must be one of {', '.join(allowed)}, got '{value}'.")
        if self.least < 1:
            raise InvalidInput(f"MIN_DATES must be at least 1, got {self.least}.")
        if self.side < 1 or self.side % 2 == 0:
            raise InvalidInput(f"MULTILOOK must be an odd number of pixels, got {self.side}.")

    @property
    def halo(self) -> int:
        """Pixels around a pixel that its reference depends on."""
        return self.side // 2

    def __call__(self, stack: Array, valid: BoolArray) -> Reference:
        """Compute the reference of a tile.

        Parameters
        ----------
        stack : ndarray, (N, H, W)
            Linear intensity of the dates. What stands where it is not valid has no influence.
        valid : ndarray of bool, (N, H, W)

        Raises
        ------
        InvalidInput
            When the arrays do not fit each other.
        """
        if stack.ndim != 3 or stack.shape != valid.shape:
            raise InvalidInput(
                f"A stack needs dates, rows and columns, got {stack.shape} and {valid.shape}."
            )
        count = valid.sum(axis=0)
        dates = np.maximum(count, 1)
        values = np.where(valid, stack, 0).astype(np.float64)
        mean = values.sum(axis=0) / dates
        squares = np.where(valid, (values - mean) ** 2, 0).sum(axis=0)
        known = count >= 2
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(squares / np.where(known, count - 1, 1))
            if self.spread == "variation":
                # A pixel that is 0 at all dates does not vary.
                spread = np.where(spread > 0, spread / mean, 0.0)
        spread = np.where(known, spread, np.nan).astype(np.float32)
        stable = known.copy()
        usable = count >= self.least
        if self.threshold is not None:
            stable &= ~(spread > np.float32(self.threshold))
            usable &= stable
        label = mean if self.statistic == "mean" else _median(values, valid, count)
        if self.side > 1:
            label = _window_mean(np.where(usable, label, 0.0), usable, self.side)
        label = np.where(usable, label, 0.0).astype(np.float32)
        return Reference(label, usable, count, spread, stable)


def _median(values: Array, valid: BoolArray, count: Array) -> Array:
    """Median over the valid dates; of an even number, the mean of the middle two."""
    ordered = np.sort(np.where(valid, values, np.inf), axis=0)
    dates = np.maximum(count, 1)
    places = [(dates - 1) // 2, dates // 2]
    middle = [np.take_along_axis(ordered, place[None], axis=0)[0] for place in places]
    return np.where(count > 0, (middle[0] + middle[1]) / 2, 0.0)


def _window_mean(values: Array, usable: BoolArray, side: int) -> Array:
    """Mean over the usable pixels of a square window; outside the array none is."""
    total, weight = _window_sum(values, side), _window_sum(usable.astype(np.float64), side)
    return total / np.maximum(weight, 1.0)


def _window_sum(values: Array, side: int) -> Array:
    # Of shifted copies, not by running sums: those carry a bright pixel's rounding along.
    reach = side // 2
    for axis in (0, 1):
        padded = np.pad(values, [(reach, reach) if axis == n else (0, 0) for n in (0, 1)])
        total = np.zeros(values.shape)
        for start in range(side):
            total += np.take(padded, range(start, start + values.shape[axis]), axis=axis)
        values = total
    return values

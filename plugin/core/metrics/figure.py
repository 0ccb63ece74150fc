"""A number, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A finite number, or None and why.

    Attributes
    ----------
    value : float or None
    why : str
        For the user; "" beside a number.
    """

    value: float | None = None
    why: str = ""

    def __post_init__(self) -> None:
        if self.value is None and not self.why:
            raise ValueError("A figure without a value must say why.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"A figure must be finite, got {self.value}.")


def figure(value: float, why: str) -> Figure:
    """Return a figure of a number, or, where that is infinite or NaN, of the reason."""
    return Figure(float(value)) if math.isfinite(value) else Figure(None, why)


def quotient(numerator: float, denominator: float, why: str) -> Figure:
    """Return a figure of a quotient, or of the reason why its denominator is not positive."""
    if not denominator > 0:
        return Figure(None, why)
    return figure(numerator / denominator, why)

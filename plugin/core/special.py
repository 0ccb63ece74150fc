"""The special functions that speckle statistics need, so that scipy is not."""

from __future__ import annotations

import math

from .errors import InvalidInput


def check_positive(value: float, name: str) -> float:
    """Return `value`, or raise InvalidInput naming it unless it is positive and finite."""
    if not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"The {name} must be a positive number, got {value}.")
    return float(value)


def digamma(x: float) -> float:
    """Return the logarithmic derivative of the Gamma function, for x > 0 to within 1e-12.

    Recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.5, 6.3.18).
    """
    x = check_positive(x, "argument of digamma")
    shift = 0.0
    while x < 10.0:
        shift += 1.0 / x
        x += 1.0
    y = 1.0 / (x * x)
    series = y * (
        1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * 691 / 32760))))
    )
    return math.log(x) - 0.5 / x - series - shift


def trigamma(x: float) -> float:
    """Return the derivative of `digamma`, for x > 0 to within 1e-12 (relative).

    Recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.4.6, 6.4.12).
    """
    x = check_positive(x, "argument of trigamma")
    shift = 0.0
    while x < 10.0:
        shift += 1.0 / (x * x)
        x += 1.0
    y = 1.0 / (x * x)
    series = y * (
        1 / 6 - y * (1 / 30 - y * (1 / 42 - y * (1 / 30 - y * (5 / 66 - y * 691 / 2730))))
    )
    return (1.0 + series) / x + 0.5 * y + shift

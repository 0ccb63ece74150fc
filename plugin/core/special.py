"""The special functions that speckle statistics need, so that scipy is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

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


def gamma_cdf(x: npt.NDArray[Any], shape: float) -> npt.NDArray[np.float64]:
    """Return the regularised lower incomplete Gamma function, ``P(shape, x)``, for x >= 0.

    The power series (Abramowitz and Stegun 6.5.29), all terms positive, to 1e-12. From shape 100
    on the leading terms of Temme's uniform expansion [1]_, to 1e-6.

    References
    ----------
    .. [1] N. M. Temme, "The asymptotic expansion of the incomplete gamma functions", SIAM J.
       Math. Anal. 10(4), 757-766, 1979.
    """
    shape = check_positive(shape, "shape of a Gamma law")
    x = np.asarray(x, dtype=np.float64)
    # Farther out than this many standard deviations and scales the law is at 1.
    x = np.minimum(x, shape + 12.0 * math.sqrt(shape) + 40.0)
    if shape >= 100.0:
        return _temme(x, shape)
    term = np.ones(x.shape)
    total = term.copy()
    index = 0
    while index < 10_000 and term.size:
        index += 1
        term *= x / (shape + index)
        total += term
        if np.all(term <= 1e-13 * total):
            break
    with np.errstate(divide="ignore"):
        lead = np.exp(shape * np.log(x) - x - math.lgamma(shape + 1.0))
    return np.minimum(lead * total, 1.0)


def _temme(x: npt.NDArray[np.float64], shape: float) -> npt.NDArray[np.float64]:
    excess = np.maximum(x / shape, 1e-15) - 1.0
    eta = np.sign(excess) * np.sqrt(2.0 * np.maximum(excess - np.log1p(excess), 0.0))
    near = np.abs(excess) < 1e-3
    # 1 / excess - 1 / eta, by its own series where that is a difference of large numbers.
    safe = np.where(near, 1.0, excess)
    first = np.where(near, -1 / 3 + eta / 12, 1.0 / safe - 1.0 / np.where(near, 1.0, eta))
    tail = np.exp(-0.5 * shape * eta**2) / math.sqrt(2.0 * math.pi * shape)
    return np.clip(_normal_cdf(eta * math.sqrt(shape)) - tail * first, 0.0, 1.0)


def _normal_cdf(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Normal distribution function to 1e-7 (Abramowitz and Stegun 26.2.17)."""
    away = np.abs(x)
    t = 1.0 / (1.0 + 0.2316419 * away)
    series = np.polyval([1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530, 0.0], t)
    upper = np.exp(-0.5 * away**2) / math.sqrt(2.0 * math.pi) * series
    return np.where(x > 0, 1.0 - upper, upper)

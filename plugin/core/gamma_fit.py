"""The Gamma law fitted to the pixels of an area, and how far they are from it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput
from .special import digamma, gamma_cdf, trigamma

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]

_NEPERS_PER_DB = math.log(10.0) / 10.0
_KS_BINS = 2048
_PART = 2**16
_LEAST_LOG_RATIO = 1e-10

LAWS = {"intensity": "Gamma", "amplitude": "Nakagami", "db": "log-Gamma"}
# What they are called at L = 1.
SINGLE_LOOK_LAWS = {"intensity": "exponential", "amplitude": "Rayleigh", "db": "log-exponential"}
_SURE = 0.1  # standard error of L above which an area says too little to be called single-look


@dataclass(frozen=True)
class Histogram:
    """Pixels of an area by value, in the domain of their layer, beside the fitted law.

    Attributes
    ----------
    domain : str
        Of the values: "intensity", "amplitude" or "db".
    law : str
        What intensity of Gamma distribution follows there: "Gamma", "Nakagami", "log-Gamma";
        of single-look speckle "exponential", "Rayleigh", "log-exponential".
    edges : ndarray, (bins + 1,)
    counts : ndarray of int, (bins,)
    density : ndarray, (bins,)
        Share of all pixels per unit of the domain.
    fitted : ndarray, (bins,)
        The same of the fitted law: its mean over each bin, finite even where its density is not.
    outside : int
        Pixels below the first or above the last edge; zeros in decibels among them.
    """

    domain: str
    law: str
    edges: FloatArray
    counts: npt.NDArray[np.int64]
    density: FloatArray
    fitted: FloatArray
    outside: int


def fit_looks(log_ratio: float) -> float:
    """Return the maximum likelihood L of a Gamma law.

    Parameters
    ----------
    log_ratio : float
        ``ln(mean Z) - mean(ln Z)``, positive.

    Returns
    -------
    float
        The root of ``ln L - digamma(L) = log_ratio``, by Minka's generalised Newton steps [1]_.

    Raises
    ------
    InvalidInput
        If the log ratio is not positive (beyond rounding): all pixels are equal.

    References
    ----------
    .. [1] T. P. Minka, "Estimating a Gamma distribution", Microsoft Research, 2002.
    """
    if not (log_ratio > _LEAST_LOG_RATIO and math.isfinite(log_ratio)):
        raise InvalidInput("The area is constant: no Gamma law fits it.")
    looks = (3 - log_ratio + math.sqrt((log_ratio - 3) ** 2 + 24 * log_ratio)) / (12 * log_ratio)
    for _ in range(20):
        excess = math.log(looks) - digamma(looks) - log_ratio
        inverse = 1 / looks + excess / (looks**2 * (1 / looks - trigamma(looks)))
        if abs(inverse * looks - 1) < 1e-12:
            break
        looks = 1 / inverse
    return looks


def is_single_look(looks: float, n: float) -> bool:
    """Tell whether a fitted L is that of single-look speckle, as surely as the pixels can tell.

    Parameters
    ----------
    looks : float
        By maximum likelihood, of variance ``1 / (n (trigamma(L) - 1 / L))``.
    n : float
        Independent pixels.
    """
    error = 1 / math.sqrt(max(n, 1.0) * (trigamma(1.0) - 1.0))
    return error <= _SURE and abs(looks - 1.0) <= 2 * error


def ks_distance(log_values: Array, looks: float) -> float:
    """Return the Kolmogorov-Smirnov distance from the Gamma law of mean 1.

    Parameters
    ----------
    log_values : ndarray, (n,)
        ``ln(Z / mean Z)``, finite, not all equal.
    looks : float

    Returns
    -------
    float
        The greatest difference of the two distribution functions, looked for at 2048 equidistant
        places: at most 0.003 below the true one, and far less in large areas.
    """
    centre, spread = float(log_values.mean()), float(log_values.std())
    low = max(float(log_values.min()), centre - 10 * spread)
    high = min(float(log_values.max()), centre + 6 * spread)
    counts, below = _counts(log_values, low, high, _KS_BINS)
    measured = (below + np.concatenate([[0], np.cumsum(counts)])) / len(log_values)
    law_at_edges = gamma_cdf(looks * np.exp(np.linspace(low, high, _KS_BINS + 1)), looks)
    return float(np.max(np.abs(measured - law_at_edges)))


def histogram(
    scaled: Array,
    log_values: Array,
    mean: float,
    looks: float,
    domain: str,
    single_look: bool = False,
) -> Histogram:
    """Count the pixels of an area by value, with the law of a fit beside.

    Parameters
    ----------
    scaled : ndarray, (n,)
        Linear intensity over its mean; zeros are no part of the law.
    log_values : ndarray
        ``ln Z`` of those above zero, less the ln of their mean; not all equal.
    mean : float
        Of the intensity.
    looks : float
        Of the fitted Gamma law.
    domain : str
        The layer's: "intensity", "amplitude", "db"; "complex" counts as intensity.
    single_look : bool, default False
        Show the law of L = 1 in place of the fitted one.

    Returns
    -------
    Histogram
        10 to 100 bins of equal width over the bulk of the pixels (in intensity to 6 standard
        deviations above the mean).

    Raises
    ------
    InvalidInput
        If the domain is unknown.
    """
    domain = "intensity" if domain == "complex" else domain
    if domain not in LAWS:
        raise InvalidInput(f"Unknown domain '{domain}'; choose one of {', '.join(LAWS)}.")
    laws = SINGLE_LOOK_LAWS if single_look else LAWS
    looks = 1.0 if single_look else looks
    n = len(scaled)
    share = len(log_values) / n
    bins = int(min(max(2 * n ** (1 / 3), 10), 100))
    if domain == "db":
        values, (low, high) = log_values, _bulk(log_values, 6.0, 4.0)
    else:
        values, (low, high) = scaled, _bulk(scaled, 5.0, 6.0)
        if domain == "amplitude":
            values, low, high = np.sqrt(scaled), math.sqrt(low), math.sqrt(high)
    counts, _ = _counts(values, low, high, bins)
    edges = np.linspace(low, high, bins + 1)
    # Intensity over the mean of what is above zero, which the law is of.
    if domain == "db":
        relative = np.exp(edges)
        edges = (edges + math.log(mean / share)) / _NEPERS_PER_DB
    elif domain == "amplitude":
        relative = edges**2 * share
        edges = edges * math.sqrt(mean)
    else:
        relative = edges * share
        edges = edges * mean
    width = np.diff(edges)
    return Histogram(
        domain=domain,
        law=laws[domain],
        edges=edges,
        counts=counts,
        density=counts / (n * width),
        fitted=share * np.diff(gamma_cdf(looks * relative, looks)) / width,
        outside=n - int(counts.sum()),
    )


def _bulk(values: Array, below: float, above: float) -> tuple[float, float]:
    centre, spread = float(values.mean()), float(values.std())
    low = max(float(values.min()), centre - below * spread)
    return low, min(float(values.max()), centre + above * spread)


def _counts(values: Array, low: float, high: float, bins: int) -> tuple[Array, int]:
    """Count values in equal bins from `low` to `high`, both included, and those below.

    By truncation, several times as fast as numpy's histogram: a value as near to an edge as a
    millionth of the range may count on its other side.
    """
    scale = bins / ((high - low) * (1.0 + 1e-6))
    counts = np.zeros(bins + 2, np.int64)
    for part in parts(len(values)):
        places = (values[part] - low) * scale
        # One bin for what lies below and one for what lies above.
        np.clip(places, -1.0, bins + 0.5, out=places)
        places += 1.0
        counts += np.bincount(places.astype(np.intp), minlength=bins + 2)
    return counts[1 : bins + 1], int(counts[0])


def parts(length: int) -> Iterator[slice]:
    """Cut an axis into parts whose temporary arrays stay in the processor's cache."""
    for start in range(0, length, _PART):
        yield slice(start, min(start + _PART, length))

"""Fully developed speckle: domains, closed forms, simulation, and what a scene tells about it.

Model [1]_: an observed intensity is ``Z = x N`` with the speckle ``N`` Gamma distributed, mean 1
and variance ``1/L``, where ``L`` is the (equivalent) number of looks.

References
----------
.. [1] J. W. Goodman, "Some fundamental properties of speckle", J. Opt. Soc. Am. 66(11), 1976.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .domains import from_intensity
from .errors import InvalidInput
from .looks import LooksEstimate, estimate_looks, speckle_correlation
from .special import check_positive, digamma, trigamma

__all__ = [
    "LooksEstimate",
    "amplitude_cv",
    "amplitude_mean",
    "db_bias",
    "db_std",
    "digamma",
    "estimate_looks",
    "gamma_pdf",
    "looks_to_sigma",
    "nakagami_pdf",
    "psf_kernel",
    "sigma_to_looks",
    "simulate_speckle",
    "speckle_correlation",
    "trigamma",
]

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

_DB_PER_NEPER = 10.0 / math.log(10.0)


def looks_to_sigma(looks: float) -> float:
    """Return the speckle's standard deviation, ``1 / sqrt(L)``."""
    return 1.0 / math.sqrt(check_positive(looks, "number of looks"))


def sigma_to_looks(sigma: float) -> float:
    """Return the number of looks of a speckle standard deviation, ``1 / sigma**2``."""
    return 1.0 / check_positive(sigma, "speckle standard deviation") ** 2


def db_bias(looks: float) -> float:
    """Return how far the mean of dB values lies from the dB of the mean intensity.

    ``(10 / ln 10) (digamma(L) - ln L)``, in dB: -2.507 for one look.
    """
    check_positive(looks, "number of looks")
    return _DB_PER_NEPER * (digamma(looks) - math.log(looks))


def db_std(looks: float) -> float:
    """Return the standard deviation of speckle in dB, ``(10 / ln 10) sqrt(trigamma(L))``."""
    return _DB_PER_NEPER * math.sqrt(trigamma(looks))


def amplitude_mean(looks: float) -> float:
    """Return the mean of ``sqrt(N)``, ``Gamma(L + 1/2) / (Gamma(L) sqrt(L))``."""
    check_positive(looks, "number of looks")
    return math.exp(math.lgamma(looks + 0.5) - math.lgamma(looks)) / math.sqrt(looks)


def amplitude_cv(looks: float) -> float:
    """Return standard deviation over mean of ``sqrt(N)``: 0.5227 for one look."""
    return math.sqrt(1.0 / amplitude_mean(looks) ** 2 - 1.0)


def gamma_pdf(intensity: Array, looks: float, mean: float = 1.0) -> Array:
    """Return the density of an `looks`-look intensity of the given mean; 0 below zero."""
    check_positive(looks, "number of looks")
    rate = looks / check_positive(mean, "mean intensity")
    intensity = np.asarray(intensity, dtype=np.float64)
    norm = looks * math.log(rate) - math.lgamma(looks)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_density = norm + (looks - 1.0) * np.log(intensity) - rate * intensity
    # At zero the exponential law (L = 1) meets 0 * log(0).
    if looks == 1.0:
        log_density = np.where(intensity == 0, norm, log_density)
    density = np.exp(log_density)
    return np.where(intensity < 0, 0.0, density)


def nakagami_pdf(amplitude: Array, looks: float, mean_intensity: float = 1.0) -> Array:
    """Return the density of the amplitude ``sqrt(Z)`` of an `looks`-look intensity."""
    check_positive(looks, "number of looks")
    rate = looks / check_positive(mean_intensity, "mean intensity")
    amplitude = np.asarray(amplitude, dtype=np.float64)
    norm = math.log(2.0) + looks * math.log(rate) - math.lgamma(looks)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_density = norm + (2.0 * looks - 1.0) * np.log(amplitude) - rate * amplitude**2
    if looks == 0.5:
        log_density = np.where(amplitude == 0, norm, log_density)
    density = np.exp(log_density)
    return np.where(amplitude < 0, 0.0, density)


def simulate_speckle(
    shape: tuple[int, ...],
    looks: float,
    rng: np.random.Generator,
    psf_sigma: float = 0.0,
    domain: str = "intensity",
) -> FloatArray:
    """Draw a field of speckle whose intensity has mean 1 and variance ``1 / looks``.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns; any shape for white speckle.
    looks : float
        Any positive number for white speckle; a whole number for correlated speckle.
    rng : numpy.random.Generator
    psf_sigma : float, default 0
        Standard deviation, in pixels, of the Gaussian point spread function that filters the
        complex field of each look; 0 for white speckle. The intensity's correlation at a lag of
        one pixel is then 0.01, 0.20, 0.54, 0.66 for 0.4, 0.6, 0.9, 1.1.
    domain : str, default "intensity"
        "intensity", "amplitude" or "db": what the intensity is converted to.

    Returns
    -------
    ndarray of float32, of `shape`

    Raises
    ------
    InvalidInput
        If a parameter is out of range.
    """
    check_positive(looks, "number of looks")
    if not (math.isfinite(psf_sigma) and psf_sigma >= 0):
        raise InvalidInput(f"The width of the point spread must be >= 0, got {psf_sigma}.")
    if psf_sigma == 0:
        intensity = rng.gamma(looks, 1.0 / looks, shape).astype(np.float32)
        return from_intensity(intensity, domain)
    if len(shape) != 2:
        raise InvalidInput(f"Correlated speckle needs (rows, columns), got shape {shape}.")
    if looks != int(looks):
        raise InvalidInput(
            f"Correlated speckle averages whole looks, got {looks}; round it, or use psf_sigma=0."
        )
    kernel = psf_kernel(psf_sigma)
    margin = len(kernel) - 1
    total = np.zeros(shape, np.float32)
    # Real and imaginary parts of each look are so many fields of variance 1/2.
    for _ in range(2 * int(looks)):
        field = rng.standard_normal((shape[0] + margin, shape[1] + margin), dtype=np.float32)
        rows = sum(k * field[i : i + shape[0]] for i, k in enumerate(kernel))
        total += np.square(sum(k * rows[:, i : i + shape[1]] for i, k in enumerate(kernel)))
    total /= 2 * int(looks)
    return from_intensity(total, domain)


def psf_kernel(psf_sigma: float) -> FloatArray:
    """Return the taps of a sampled Gaussian, scaled to leave the power of white noise as it is."""
    radius = max(1, math.ceil(4 * psf_sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / psf_sigma) ** 2)
    return (taps / np.sqrt(np.sum(taps**2))).astype(np.float32)

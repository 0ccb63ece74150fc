"""What an area's ENL tells of the number of looks, and how many pixels it is worth.

For the moment estimate ``g = ln(mean**2 / variance)`` of L-look intensity. Its influence
function is ``-L`` times the second Laguerre polynomial of the Gamma law,
``u**2 - 2 u / L - 1 / L`` with ``u = Z / mean - 1``. Two pixels whose intensities have the
correlation r follow Kibble's bivariate Gamma law, under which polynomials of degree k have the
correlation ``r**k`` [1]_. So g is as certain as that of ``n / sum(r**2)`` independent pixels,
the sum taken over all lags, while a mean is worth ``n / sum(r)``.

References
----------
.. [1] W. F. Kibble, "A two-variate gamma type distribution", Sankhya 5(2), 137-150, 1941.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .errors import InvalidInput

Correlation = tuple[float, float]

_MAX_CORRELATION = 0.9999  # beyond, float rounding decides


class DesignEffects(NamedTuple):
    """By how much correlation of neighbours divides the number of pixels.

    Attributes
    ----------
    mean : float
        For a mean: the sum of r over all lags.
    enl : float
        For the ENL: the sum of r**2.
    """

    mean: float
    enl: float


def design_effects(correlation: Correlation, n_pixels: float) -> DesignEffects:
    """Return the design effects of an area of `n_pixels`, taken as square.

    Parameters
    ----------
    correlation : (float, float)
        Of the intensity over one pixel, along x and y. It is taken to fall off as a Gaussian,
        ``r(d) = r(1)**(d**2)``, separable in x and y; not positive counts as none. What `n_pixels`
        pixels of white speckle would show by chance is taken off its square.
    n_pixels : float
    """
    side = max(math.sqrt(n_pixels), 1.0)
    distance = np.arange(1.0, math.ceil(side))
    share = 1.0 - distance / side
    effects = [1.0, 1.0]
    for measured in correlation:
        near = min(max(measured, 0.0), _MAX_CORRELATION)
        squared = max(near**2 - 1.0 / n_pixels, 0.0)
        for index, base in enumerate((near, squared)):
            effects[index] *= 1.0 + 2.0 * float(np.sum(share * base ** (distance**2)))
    return DesignEffects(*effects)


def effective_pixels(n_pixels: float, correlation: Correlation) -> float:
    """Return how many independent pixels would give an ENL as certain."""
    return n_pixels / design_effects(correlation, n_pixels).enl


def enl_interval(
    looks: float,
    n_pixels: float,
    confidence: float = 0.95,
    correlation: Correlation = (0.0, 0.0),
) -> tuple[float, float]:
    """Return the range the true number of looks lies in, given the ENL of an area.

    All L for which the ENL measured is not too far from its expectation (a score interval, in
    ``ln L``). With D1 and D2 the design effects of mean and ENL, second-order expansion of Gamma
    moments gives the bias ``((D1 + D2) (1 + 1/L) - 1) / n`` and the variance
    ``2 (1 + 1/L) D2 / n``; in small areas of few looks both are smaller, which the terms
    ``6 / L`` and ``11 / L - 1.5`` beside n stand for (fitted to simulations of 25 to 100 pixels).

    Measured, share of the intervals of 95 % that hold the truth, see ``./run bench area``: white
    speckle of 0.5 to 16 looks, 25 pixels 0.938 to 0.949, from 50 on 0.948 to 0.953; correlated by
    0.2 to 0.66 (four point spreads, 1 and 4 looks), from 64 pixels on 0.93 to 0.97. At 10 pixels
    0.90 to 0.94.

    Parameters
    ----------
    looks : float
        The ENL measured: squared mean over unbiased variance.
    n_pixels : float
        Pixels it was measured on.
    confidence : float, default 0.95
    correlation : (float, float), default no correlation
        Of the speckle over one pixel, see `design_effects`.

    Returns
    -------
    (float, float)

    Raises
    ------
    InvalidInput
        If a parameter is out of range.
    """
    if not (looks > 0 and math.isfinite(looks)):
        raise InvalidInput(f"The number of looks must be a positive number, got {looks}.")
    if not n_pixels >= 2:
        raise InvalidInput(f"An interval needs at least 2 independent pixels, got {n_pixels}.")
    if not 0 < confidence < 1:
        raise InvalidInput(f"The confidence must lie between 0 and 1, got {confidence}.")
    effects = design_effects(correlation, n_pixels)
    independent = n_pixels / effects.enl
    if independent < 2:
        raise InvalidInput(
            f"Neighbours are so alike that {n_pixels:.0f} pixels are worth fewer than 2 "
            "independent ones; choose a larger area."
        )
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)

    def end(sign: float) -> float:
        log_looks = math.log(looks)
        # The right hand side hardly depends on L: a few rounds settle it.
        for _ in range(60):
            inverse = math.exp(-log_looks)
            bias = ((effects.mean + effects.enl) * (1 + inverse) - 1) / (
                n_pixels + 6 * effects.enl * inverse
            )
            variance = 2 * (1 + inverse) / (independent - 1.5 + 11 * inverse)
            there = math.log(looks) - bias + sign * quantile * math.sqrt(variance)
            if abs(there - log_looks) < 1e-12:
                break
            log_looks += 0.7 * (there - log_looks)
        return math.exp(log_looks)

    return end(-1.0), end(1.0)

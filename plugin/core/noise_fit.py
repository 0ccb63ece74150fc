"""Which density the speckle that a network estimates follows: Gamma, or exponential."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .gamma_fit import fit_looks


@dataclass(frozen=True)
class NoiseFit:
    """Densities fitted to speckle by maximum likelihood (deSpeckNet's Figure 10).

    Attributes
    ----------
    mean : float
        Of the speckle, and of both densities; 1 where the estimate is unbiased.
    looks : float
        Shape of the Gamma density, its number of looks; the exponential has 1.
    gamma, exponential : float
        Mean log-likelihood of a pixel, in nats.
    pixels : int
    """

    mean: float
    looks: float
    gamma: float
    exponential: float
    pixels: int

    def density(self, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Gamma and exponential density at positive values."""
        x = np.asarray(values, np.float64)
        k, m = self.looks, self.mean
        log = k * math.log(k / m) + (k - 1) * np.log(x) - k * x / m - math.lgamma(k)
        return np.exp(log), np.exp(-x / m) / m

    def describe(self) -> str:
        """What the user is told."""
        return (
            f"Estimated speckle: mean {self.mean:.3f}; Gamma density of {self.looks:.2f} looks, "
            f"log-likelihood {self.gamma:.3f} a pixel; exponential density (1 look) "
            f"{self.exponential:.3f}."
        )


class NoiseMoments:
    """Gathers what the fit needs, tile by tile: pixels that are positive and finite."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = self._log_sum = 0.0

    def add(self, speckle: npt.NDArray[Any]) -> None:
        """Count in some pixels."""
        values = speckle[np.isfinite(speckle) & (speckle > 0)].astype(np.float64)
        self._count += len(values)
        self._sum += float(values.sum())
        self._log_sum += float(np.log(values).sum())

    def fit(self) -> NoiseFit:
        """Fit both densities.

        Raises
        ------
        InvalidInput
            When all pixels are equal, or there is none.
        """
        count = max(self._count, 1)
        mean, log_mean = self._sum / count, self._log_sum / count
        looks = fit_looks(math.log(mean) - log_mean if mean > 0 else 0.0)
        gamma = looks * math.log(looks / mean) + (looks - 1) * log_mean - looks
        return NoiseFit(mean, looks, gamma - math.lgamma(looks), -math.log(mean) - 1, self._count)

"""What the filters that work on the logarithm of intensity share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .base import Array, BoolArray
from .local import local_mean

_RADIUS = 3
_FLOOR = 1e-3  # of the mean around: 30 dB below it


class LogIntensity(NamedTuple):
    """Intensity whose logarithm can be taken.

    Attributes
    ----------
    values : ndarray of float64, (rows, columns)
        Positive; at least a thousandth of the mean of the 7 x 7 window. 1 where not valid.
    dark : ndarray of bool, (rows, columns)
        Where all of the window is 0, and the estimate must be.
    """

    values: Array
    dark: BoolArray

    @staticmethod
    def halo() -> int:
        """Pixels beyond a pixel that its value depends on."""
        return _RADIUS


def log_intensity(values: Array, valid: BoolArray) -> LogIntensity:
    """Raise intensities that are too low for a logarithm: zeros, and what is next to them.

    Single-look speckle falls below a thousandth of its mean once in a thousand pixels; its
    logarithm would count for more than all others of a window.
    """
    mean = local_mean(values, valid, _RADIUS)
    dark = valid & (mean <= 0)
    floored = np.maximum(values, _FLOOR * mean)
    return LogIntensity(np.where(valid & ~dark, floored, 1.0), dark)


def gamma_proximal(point: Array, values: Array, step: float) -> Array:
    """Return ``argmin_u step (u + z e^-u) + (u - point)² / 2``, u the logarithm of backscatter.

    ``step (u + z e^-u)`` is, for ``step = L τ``, the negative log-likelihood of a pixel z of
    L-look speckle, times τ. With ``y = u - point + step`` the condition is
    ``y e^y = step z e^(step - point)``: Lambert's function W, from Winitzki's approximation and
    two steps of Halley's method, to 1e-13. Needs a point not 600 below the pixel's logarithm.
    """
    logarithm = np.log(values) + (np.log(step) + step) - point
    argument = np.exp(np.minimum(logarithm, 600.0))
    rough = np.log1p(argument)
    y = rough * (1.0 - np.log1p(rough) / (2.0 + rough))
    for _ in range(2):
        ratio = (y - argument * np.exp(-y)) / (1.0 + y)
        y -= ratio / (1.0 - 0.5 * ratio * (2.0 + y) / (1.0 + y))
    return np.asarray(y + point - step)

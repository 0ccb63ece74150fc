"""The affine map x̂ = a·Z + b of DoPAMINE, and the knob that turns it at once.

Let the surroundings of a pixel say that x has mean μ and variance v. The best affine map for
speckle of variance σ² = 1/L is

    a(σ) = v / (v + σ²(v + μ²)),    b(σ) = (1 - a)·μ,

so from the map at a known L follow μ and r = v/μ², and from those the map at any other L.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

# How near the slope may come to its limit 1 / (1 + σ²), where the variance becomes infinite.
_LIMIT = 1 - 1e-4
_TINY = 1e-12

# Of `turn_smoothly`, over the least it has for slopes from 0 to 1.
_LEAST_DIVISOR = 0.1

# Pixels turned at once, so that they stay in the processor's cache.
_BLOCK = 1 << 15


def moments(a: Array, b: Array, looks: float) -> tuple[Array, Array]:
    """Mean μ and relative variance r = v/μ² of x that a map for ``looks`` implies.

    Slopes outside [0, 1/(1 + σ²)), which no μ and v explain, are taken to the nearest bound;
    means that are not positive, to a tiny positive value.
    """
    variance = _variance(looks)
    limit = _LIMIT / (1 + variance)
    slope = np.clip(a, 0, limit)
    mean = np.maximum(b / np.maximum(1 - a, 1 - limit), _TINY)
    return mean, slope * variance / (1 - slope - slope * variance)


def affine_map(mean: Array, relative_variance: Array, looks: float) -> tuple[Array, Array]:
    """The best affine map (a, b) at ``looks`` for x of the given moments."""
    variance = _variance(looks)
    a = relative_variance / (relative_variance + variance * (relative_variance + 1))
    return a, (1 - a) * mean


def turn(a: Array, b: Array, looks: float, knob: float) -> tuple[Array, Array]:
    """The map made for ``looks``, turned to ``knob`` (lower: smoother, higher: sharper).

    Parameters
    ----------
    a, b : ndarray
        Slope and bias, any shape; b in units of intensity.
    looks, knob : float
        L the map was made for, L it is wanted for.

    Raises
    ------
    InvalidInput
        When an L is not positive.
    """
    if knob == looks:
        _variance(looks)
        return a, b
    return affine_map(*moments(a, b, looks), knob)


def turn_smoothly(a: Any, b: Any, looks: float, knob: float) -> tuple[Any, Any]:
    """As `turn`, of arrays or tensors, and differentiable also where no moments explain the map.

    With k = knob/looks and D = a + (1 - a)/k, the map is a/D and b/(kD): slopes from 0 to 1 stay
    there, and none is cut off.
    """
    if knob == looks:
        return a, b
    k = _variance(looks) / _variance(knob)
    divisor = a + (1 - a) / k
    divisor = divisor.clip(_LEAST_DIVISOR * min(1.0, 1 / k), None)
    return a / divisor, b / (k * divisor)


class AffineKnob:
    """An affine estimate turned to one L after the other, in milliseconds for a million pixels.

    The same as `turn`, with what does not depend on the knob computed once:
    x̂ = μ + (Z - μ) / (1 + σ²(1 + 1/r)).

    Parameters
    ----------
    intensity, a, b : ndarray
        Z and the maps at ``looks``, one shape, one unit; NaN where invalid.
    looks : float
    least : float
        Smallest estimate, above zero.

    Raises
    ------
    InvalidInput
        When the shapes differ or an L is not positive.
    """

    def __init__(
        self, intensity: Array, a: Array, b: Array, looks: float, least: float = _TINY
    ) -> None:
        if not np.shape(intensity) == np.shape(a) == np.shape(b):
            raise InvalidInput(
                f"Intensity, a and b differ in shape: {np.shape(intensity)}, {np.shape(a)}, "
                f"{np.shape(b)}."
            )
        self.shape = np.shape(intensity)
        self.looks = float(looks)
        self._least = np.float32(least)
        mean, relative = moments(a, b, looks)
        with np.errstate(divide="ignore"):
            self._damping = (1 + 1 / relative).astype(np.float32).ravel()
        self._mean = mean.astype(np.float32).ravel()
        self._excess = (intensity - mean).astype(np.float32).ravel()
        # Maps that no moments explain are kept as they are where nothing is turned.
        self._unturned = np.maximum(a * intensity + b, self._least).astype(np.float32)

    def turned(self, knob: float, out: FloatArray | None = None) -> FloatArray:
        """The estimate at ``knob``, as `KnobStack.turned` of other networks.

        Parameters
        ----------
        knob : float
        out : ndarray of float32, optional
            Contiguous, of the same shape: filled instead of a new array.
        """
        variance = np.float32(_variance(knob))
        out = output_for(self.shape, out)
        if knob == self.looks:
            out[...] = self._unturned
            return out
        flat = out.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            block = flat[part]
            np.multiply(self._damping[part], variance, out=block)
            block += 1
            np.divide(self._excess[part], block, out=block)
            block += self._mean[part]
            np.maximum(block, self._least, out=block)
        return out


def output_for(shape: tuple[int, ...], out: FloatArray | None) -> FloatArray:
    """Return ``out``, or a new array in its place; InvalidInput where it does not fit."""
    if out is None:
        return np.empty(shape, np.float32)
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise InvalidInput(
            f"The output must be contiguous float32 of shape {shape}, got {out.dtype} of "
            f"shape {out.shape}."
        )
    return out


def _variance(looks: float) -> float:
    if not (np.isfinite(looks) and looks > 0):
        raise InvalidInput(f"The number of looks must be positive, got {looks}.")
    return 1.0 / float(looks)

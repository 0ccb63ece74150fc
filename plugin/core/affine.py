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

# How near the slope may come to its limit 1 / (1 + σ²), where the variance becomes infinite.
_LIMIT = 1 - 1e-4
_TINY = 1e-12

# Pixels turned at once: what is computed on the way stays in the processor's cache.
_BLOCK = 32768


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


def turned_estimate(
    mean: Array,
    relative_variance: Array,
    z: Array,
    knob: float,
    out: Array | None = None,
) -> Array:
    """x̂ = a·Z + b of `affine_map` at ``knob``: what is left to do when the knob is turned.

    With a = r/(r(1 + σ²) + σ²) it is μ + a·(Z - μ). Neither a nor b is kept, and blocks of pixels
    go through one after the other, so that this takes little more than reading the arrays.

    Parameters
    ----------
    mean, relative_variance : ndarray
        Of x by its surroundings, see `moments`.
    z : ndarray
        Intensity, in units of ``mean``; all three of one shape, best of float32.
    knob : float
        L the result is wanted for.
    out : ndarray, optional
        Where to put it: C-contiguous, of the same shape, of the type that the inputs make.
        It may be one of the inputs.

    Raises
    ------
    InvalidInput
        When the knob is not positive, shapes differ, or ``out`` does not fit.
    """
    variance = _variance(knob)
    if not mean.shape == relative_variance.shape == z.shape:
        raise InvalidInput(
            "Mean, relative variance and intensity differ in shape: "
            f"{mean.shape}, {relative_variance.shape}, {z.shape}."
        )
    dtype = np.result_type(mean.dtype, relative_variance.dtype, z.dtype, np.float32)
    if out is None:
        out = np.empty(z.shape, dtype)
    elif out.shape != z.shape or out.dtype != dtype or not out.flags.c_contiguous:
        raise InvalidInput(f"The output must be a C-contiguous array of {dtype}, {z.shape}.")
    sources = [np.ravel(values) for values in (mean, relative_variance, z)]
    target = out.reshape(-1)
    slope, change = (np.empty(min(_BLOCK, target.size), dtype) for _ in range(2))
    for start in range(0, target.size, _BLOCK):
        m, r, values = (source[start : start + _BLOCK] for source in sources)
        a, d = slope[: m.size], change[: m.size]
        np.multiply(r, 1 + variance, out=a)
        np.add(a, variance, out=a)
        np.divide(r, a, out=a)
        np.subtract(values, m, out=d)
        np.multiply(d, a, out=d)
        np.add(d, m, out=target[start : start + _BLOCK])
    return out


def _variance(looks: float) -> float:
    if not (np.isfinite(looks) and looks > 0):
        raise InvalidInput(f"The number of looks must be positive, got {looks}.")
    return 1.0 / float(looks)

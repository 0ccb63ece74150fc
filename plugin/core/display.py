"""From intensity to the colours on the screen, fast enough to follow a slider.

Colours are looked up, not computed: the upper 16 bits below the sign of a float32 (8 of exponent,
8 of mantissa) number a value to 0.4 % (0.017 dB), far finer than the 256 grays of a screen. One
table of 65 536 colours so holds any style of any domain, logarithms included.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .domains import from_intensity
from .errors import InvalidInput

FloatArray = npt.NDArray[np.float32]
Colours = npt.NDArray[np.uint32]

TABLE_SIZE = 1 << 16

# Entries of a table for values within two bounds, and one more for what is no number.
SCALE_SIZE = 256

_SHIFT = 15
_FIRST_INVALID = 0x7F800000 >> _SHIFT  # infinity; NaN come after it
_BLOCK = 1 << 16


def table_values() -> FloatArray:
    """The intensity each entry of a table of colours stands for.

    Returns
    -------
    ndarray of float32, (TABLE_SIZE,)
        Rising from 0; infinite in the last 256, which stand for what is no number.
    """
    bits = np.arange(TABLE_SIZE, dtype=np.uint32) << _SHIFT
    bits[1:_FIRST_INVALID] += 1 << (_SHIFT - 1)  # the middle of what falls into an entry
    bits[_FIRST_INVALID:] = 0x7F800000
    return bits.view(np.float32)


def finished_table(colours: Colours) -> Colours:
    """Copy of a table in which what is no number is transparent.

    Raises
    ------
    InvalidInput
        When it is no table of `TABLE_SIZE` colours.
    """
    if colours.shape != (TABLE_SIZE,):
        raise InvalidInput(f"A table holds {TABLE_SIZE} colours, got {colours.shape}.")
    table = np.array(colours, np.uint32)
    table[_FIRST_INVALID:] = 0
    return table


def colour(values: FloatArray, table: Colours, out: Colours | None = None) -> Colours:
    """Look up the colours of values that are not negative.

    Parameters
    ----------
    values : ndarray of float32, C-contiguous
        NaN and infinity get the last entries, which `finished_table` makes transparent. So do
        negative values.
    table : ndarray of uint32, (TABLE_SIZE,)
        Colours as 0xAARRGGBB.
    out : ndarray of uint32, optional
        C-contiguous, of the same shape: filled instead of a new array.

    Returns
    -------
    ndarray of uint32
    """
    result = _output(values.shape, out)
    bits, flat = _bits(values), result.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        np.take(table, bits[part] >> _SHIFT, out=flat[part], mode="clip")
    return result


def colour_scale(
    values: FloatArray, low: float, high: float, scale: Colours, out: Colours | None = None
) -> Colours:
    """Colour values of any sign, evenly between two bounds.

    Parameters
    ----------
    values : ndarray of float32
        NaN becomes transparent; what is beyond a bound takes its colour.
    low, high : float
    scale : ndarray of uint32, (SCALE_SIZE,)
        Colours as 0xAARRGGBB.
    out : ndarray of uint32, optional

    Raises
    ------
    InvalidInput
        When ``low`` is not below ``high`` or the scale has another length.
    """
    if not low < high:
        raise InvalidInput(f"The lower bound of a colour scale, {low}, is not below {high}.")
    if scale.shape != (SCALE_SIZE,):
        raise InvalidInput(f"A colour scale holds {SCALE_SIZE} colours, got {scale.shape}.")
    colours = np.append(scale, np.uint32(0)).astype(np.uint32)
    result = _output(values.shape, out)
    flat, source = result.reshape(-1), np.ravel(values)
    factor = np.float32(SCALE_SIZE / (high - low))
    for start in range(0, flat.size, _BLOCK):
        part = (source[start : start + _BLOCK] - np.float32(low)) * factor
        np.clip(part, 0, SCALE_SIZE - 1, out=part)
        index = np.where(np.isnan(part), np.float32(SCALE_SIZE), part).astype(np.intp)
        np.take(colours, index, out=flat[start : start + _BLOCK], mode="clip")
    return result


def gray_table(low: float, high: float, domain: str = "intensity") -> Colours:
    """Table of grays, even between two values of a domain.

    Parameters
    ----------
    low, high : float
        Black and white, in the domain's unit.
    domain : str
        As for `difference`.

    Raises
    ------
    InvalidInput
        When ``low`` is not below ``high``.
    """
    if not low < high:
        raise InvalidInput(f"The stretch from {low} to {high} is empty.")
    values = table_values()
    values[_FIRST_INVALID:] = 0
    shown = from_intensity(values, "intensity" if domain == "complex" else domain)
    with np.errstate(over="ignore"):
        gray = np.clip((shown - low) * (255.99 / (high - low)), 0, 255).astype(np.uint32)
    return finished_table(gray * np.uint32(0x010101) | np.uint32(0xFF000000))


def stretch(intensity: FloatArray, domain: str, most: int = 100_000) -> tuple[float, float]:
    """The values that 2 % of the pixels lie below, and above: bounds for `gray_table`.

    At most about ``most`` pixels, evenly spread, are looked at. (0, 1) where there are none.
    """
    sample: Any = np.ravel(intensity)
    sample = sample[:: max(1, sample.size // most)]
    sample = sample[np.isfinite(sample) & (sample > 0)]
    if not sample.size:
        return 0.0, 1.0
    shown = from_intensity(sample, "intensity" if domain == "complex" else domain)
    low, high = (float(value) for value in np.quantile(shown, (0.02, 0.98)))
    return low, high if high > low else low + max(abs(low), 1.0) * 1e-3


def difference(intensity: FloatArray, estimate: FloatArray, domain: str) -> FloatArray:
    """What was taken away, in the unit of the domain: dB, amplitude or intensity.

    Parameters
    ----------
    intensity, estimate : ndarray of float32
        Linear; NaN where invalid.
    domain : str
        "intensity", "amplitude", "db", or "complex", which counts as intensity.

    Returns
    -------
    ndarray of float32
        Input less estimate; NaN where either is invalid, or, in dB, zero.
    """
    kind = "intensity" if domain == "complex" else domain
    with np.errstate(divide="ignore", invalid="ignore"):
        result = from_intensity(intensity, kind) - from_intensity(estimate, kind)
    result = np.asarray(result, np.float32)
    result[~np.isfinite(result)] = np.nan
    return result


def symmetric_bound(values: FloatArray, part: float = 0.98, most: int = 100_000) -> float:
    """The magnitude that ``part`` of the values do not exceed, for a scale around zero.

    At most about ``most`` values, evenly spread, are looked at. 1 where none is a number.
    """
    sample: Any = np.ravel(values)
    sample = sample[:: max(1, sample.size // most)]
    sample = np.abs(sample[np.isfinite(sample)])
    bound = float(np.quantile(sample, part)) if sample.size else 0.0
    return bound if bound > 0 else 1.0


def _bits(values: FloatArray) -> npt.NDArray[np.uint32]:
    if values.dtype != np.float32 or not values.flags.c_contiguous:
        raise InvalidInput("Values to colour must be contiguous float32.")
    return values.reshape(-1).view(np.uint32)


def _output(shape: tuple[int, ...], out: Colours | None) -> Colours:
    if out is None:
        return np.empty(shape, np.uint32)
    if out.shape != shape or out.dtype != np.uint32 or not out.flags.c_contiguous:
        raise InvalidInput(f"The output must be contiguous uint32 of shape {shape}.")
    return out

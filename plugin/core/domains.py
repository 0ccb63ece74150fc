"""What a pixel's value means: intensity, amplitude, decibels or a complex number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

DOMAINS = ("intensity", "amplitude", "db", "complex")

_DB_PER_NEPER = 10.0 / math.log(10.0)
_TINY = float(np.finfo(np.float32).tiny)


def to_intensity(values: Array, domain: str) -> FloatArray:
    """Turn values as stored into linear intensity.

    Parameters
    ----------
    values : ndarray
        Any shape; complex for the domain "complex", real otherwise.
    domain : str
        One of `DOMAINS`. Decibels are ``10 log10(intensity)``.

    Returns
    -------
    ndarray of float32
        Same shape. NaN stays NaN.

    Raises
    ------
    InvalidInput
        If the domain is unknown or does not fit the type of the values.
    """
    _check_domain(domain)
    values = np.asarray(values)
    if np.iscomplexobj(values) != (domain == "complex"):
        kind = "complex" if np.iscomplexobj(values) else "real"
        raise InvalidInput(
            f"Values are {kind}, which does not fit the domain '{domain}'. "
            "Choose 'complex' for complex data only."
        )
    if domain == "complex":
        return (np.square(values.real, dtype=np.float32)) + np.square(values.imag, dtype=np.float32)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float32)
    if domain == "amplitude":
        values = np.square(values)
    elif domain == "db":
        values = np.exp(values / np.array(_DB_PER_NEPER, values.dtype))
    return values.astype(np.float32, copy=False)


def from_intensity(intensity: Array, domain: str) -> FloatArray:
    """Turn linear intensity into a real domain.

    The mean intensity is what is converted: the dB of a despeckled intensity lies above the
    average of the dB values it came from by ``-db_bias(looks)``.

    Parameters
    ----------
    intensity : ndarray
        Any shape, not negative. Zero becomes -379 dB (the least normal float32); NaN stays NaN.
    domain : str
        "intensity", "amplitude" or "db".

    Returns
    -------
    ndarray of float32

    Raises
    ------
    InvalidInput
        If the domain is unknown or "complex" (the phase is gone), or an intensity is negative.
    """
    _check_domain(domain)
    if domain == "complex":
        raise InvalidInput(
            "Intensity cannot be turned back to complex values, for it holds no phase; "
            "choose intensity, amplitude or db for the output."
        )
    intensity = np.asarray(intensity, dtype=np.float32)
    if np.less(intensity, 0).any():
        raise InvalidInput("Intensities must not be negative; check the domain of the input.")
    if domain == "amplitude":
        return np.sqrt(intensity)
    if domain == "db":
        return 10.0 * np.log10(np.maximum(intensity, np.float32(_TINY)))
    return intensity


def _check_domain(domain: str) -> None:
    if domain not in DOMAINS:
        raise InvalidInput(f"Unknown domain '{domain}'; choose one of {', '.join(DOMAINS)}.")

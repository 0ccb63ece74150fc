"""Which quantity a band holds: intensity, amplitude, decibels or complex values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import RasterError

# The writer leaves this on every band, so that its own outputs are never misread.
DOMAIN_TAG = "SPECKLESS_BAND_DOMAIN"

_MAX_DB = 200.0  # no radar backscatter lies beyond, nor any dB of digital numbers
_PERCENTILE_VALUES = 2**16
_TELLING_KEYS = {
    "unit", "units", "scale", "scaling", "domain", "calibration", "quantity", "type", "datatype",
    "name", "description", "measurement", "content", "backscatter", "radiometry", "pixel", "value",
}  # fmt: skip
_OTHER_KEYS = {"noise", "nesz", "threshold", "min", "max", "mean", "date", "time", "file"}


@dataclass(frozen=True)
class BandSummary:
    """What is known of a band before its domain is.

    Attributes
    ----------
    number : int
        From 1.
    type_name : str
        GDAL's name of the data type.
    is_complex, is_integer : bool
        Of the values once scale and offset are applied: scaled integers are no integers.
    labels : sequence of (str, str)
        Where a text was found and the text, the most telling first.
    values : ndarray
        Some valid values, real; may be empty.
    tagged : str
        The domain Speckless itself wrote down, or "".
    """

    number: int
    type_name: str
    is_complex: bool
    is_integer: bool
    labels: Sequence[tuple[str, str]]
    values: npt.NDArray[Any]
    tagged: str = ""


def detect_domain(band: BandSummary) -> tuple[str, str]:
    """Tell the domain of a band and why.

    In this order: complex values are complex; a label saying decibels is believed if the values
    can be decibels; other integers are amplitude; floats with negative values are decibels
    (a few small ones among linear values are what noise subtraction leaves); then a label saying
    amplitude; else intensity.

    Returns
    -------
    (str, str)
        One of `core.domains.DOMAINS`, and the reason in words.

    Raises
    ------
    RasterError
        If integers are mostly negative and too large for decibels.
    """
    if band.is_complex:
        return "complex", f"the data type is {band.type_name}"
    if band.tagged in ("intensity", "amplitude", "db"):
        return band.tagged, f"band {band.number} was written so by Speckless"
    low, middle, high = _percentiles(band.values)
    label = find_label(band.labels, _says_db)
    # Without a sign or a size of its own, a number between 0 and 1 is no decibel.
    if label and low >= -_MAX_DB and high <= _MAX_DB and (low < 0 or middle > 1):
        return "db", f"{label} says decibels"
    if band.is_integer:
        return _integer_domain(band, low, middle)
    if _looks_like_db(low, middle, high):
        share = float(np.mean(band.values < 0)) if len(band.values) else 0.0
        return "db", f"{share:.0%} of the sampled values are negative, as only decibels can be"
    label = find_label(band.labels, _says_amplitude)
    if label:
        return "amplitude", f"{label} says amplitude"
    label = find_label(band.labels, _says_intensity)
    if label:
        return "intensity", f"{label} names a backscatter intensity"
    return "intensity", "floating-point values that are not negative, and no label says otherwise"


def find_label(labels: Sequence[tuple[str, str]], says: Any) -> str:
    """Return the first label a test accepts, as "band description 'Sigma0_VV_db'", or ""."""
    for where, text in labels:
        if says(text):
            return f"{where} '{text[:60]}'"
    return ""


def metadata_labels(where: str, metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the entries whose key promises to tell the quantity."""
    labels = []
    for key, value in metadata.items():
        words = set(re.split(r"[^a-z]+", key.lower()))
        if words & _TELLING_KEYS and not words & _OTHER_KEYS and len(value) <= 80:
            labels.append((f"{where} {key} =", value))
    return labels


def _percentiles(values: npt.NDArray[Any]) -> tuple[float, float, float]:
    if len(values) == 0:
        return 0.0, 0.0, 0.0
    # As many as tell; to sort more takes longer than to read them.
    values = values[:: max(1, len(values) // _PERCENTILE_VALUES)]
    low, middle, high = np.percentile(values, [1, 50, 99])
    return float(low), float(middle), float(high)


def _looks_like_db(low: float, middle: float, high: float) -> bool:
    if low < -_MAX_DB or high > _MAX_DB:
        return False
    # Calibrated linear values after noise subtraction stay above -1 by far.
    return middle < 0 or (low <= -1 and -low > 0.02 * high)


def _integer_domain(band: BandSummary, low: float, middle: float) -> tuple[str, str]:
    if middle >= 0:
        return "amplitude", f"integers ({band.type_name}) are detected amplitudes by custom"
    if low >= -_MAX_DB:
        return "db", f"integers ({band.type_name}), most of them negative"
    raise RasterError(
        f"Band {band.number} holds large negative integers (down to {low:g}): perhaps decibels "
        "times 100. Set the band's scale (0.01, say with gdal_edit.py -scale), or choose the "
        "domain yourself."
    )


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^A-Za-z0-9]+", text) if word]


def _says_db(text: str) -> bool:
    return any(
        word.lower() in ("db", "decibel", "decibels") or word.endswith("dB")
        for word in _words(text)
    )


def _says_amplitude(text: str) -> bool:
    return any(word.lower().startswith(("amplitude", "magnitude")) for word in _words(text))


def _says_intensity(text: str) -> bool:
    starts = ("intensity", "sigma0", "gamma0", "beta0", "sigmanought", "gammanought", "power")
    return any(word.lower().startswith(starts) for word in _words(text))

"""Images of numbers as PNG, by numpy and zlib alone, to be put into a page."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from .page import Markup

Array = npt.NDArray[Any]

# Anchors of the colour maps, evenly spaced, as sRGB; between them it is interpolated.
_PALETTES = {
    "gray": ["000000", "ffffff"],
    # After viridis of matplotlib (S. van der Walt, N. Smith; CC0): lightness rises evenly.
    "viridis": [
        "440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151",
        "bddf26", "fde725",
    ],
    # Blue, white, red, for what has a middle.
    "diverging": ["2166ac", "67a9cf", "d1e5f0", "f7f7f7", "fddbc7", "ef8a62", "b2182b"],
}  # fmt: skip


def palette(name: str) -> npt.NDArray[np.uint8]:
    """Colours of a map, (255, 3), from low to high.

    Raises
    ------
    ValueError
        When there is no such map.
    """
    if name not in _PALETTES:
        raise ValueError(f"There is no palette '{name}'; choose {', '.join(_PALETTES)}.")
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _PALETTES[name]], float)
    places = np.linspace(0, len(anchors) - 1, 255)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, i]) for i in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def decibels(intensity: Array) -> Array:
    """10·log10 of a linear intensity; NaN where it is not positive."""
    values = np.asarray(intensity, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = 10 * np.log10(values)
    return np.where(values > 0, result, np.nan)


def stretch(values: Array, low: float = 2.0, high: float = 98.0) -> tuple[float, float]:
    """Percentiles of the finite values, to be black and white; (0, 1) where there are none."""
    finite = np.asarray(values)[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    bottom, top = (float(value) for value in np.percentile(finite, [low, high]))
    return (bottom, top) if top > bottom else (bottom - 0.5, bottom + 0.5)


def png(values: Array, low: float, high: float, colours: str = "gray") -> bytes:
    """PNG of a map of numbers; what is beyond the range gets its ends, NaN is transparent.

    Parameters
    ----------
    values : ndarray, (rows, columns)
    low, high : float
        Values of the first and the last colour.
    colours : str
        See `palette`.

    Raises
    ------
    ValueError
        When the array is not two-dimensional or empty, or the range is.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"A picture needs rows and columns, got shape {values.shape}.")
    if not high > low:
        raise ValueError(f"The range {low} to {high} is empty.")
    share = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    # Index 0 is transparent.
    index = np.where(np.isnan(values), 0, 1 + np.rint(share * 254)).astype(np.uint8)
    table = np.vstack([[255, 255, 255], palette(colours)]).astype(np.uint8)
    height, width = values.shape
    lines = np.hstack([np.zeros((height, 1), np.uint8), index])  # filter 0 before each line
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", table.tobytes()),
            _chunk(b"tRNS", b"\x00"),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def picture(
    values: Array, low: float, high: float, colours: str = "gray", width: int = 0, title: str = ""
) -> Markup:
    """Image element with the data inside.

    Parameters
    ----------
    values, low, high, colours
        See `png`.
    width : int
        On the page, in CSS pixels; by default one for each column.
    title : str
        For those who cannot see it.
    """
    data = base64.b64encode(png(values, low, high, colours)).decode("ascii")
    shown = width or np.shape(values)[1]
    return Markup(
        f'<img src="data:image/png;base64,{data}" width="{int(shown)}" '
        f'alt="{html.escape(title, quote=True)}">'
    )


def colour_bar(
    low: float, high: float, colours: str, label: str, width: int = 320, height: int = 14
) -> Markup:
    """SVG of a colour map with its ends and middle written below."""
    ramp = np.linspace(low, high, 255)[None]
    data = base64.b64encode(png(ramp, low, high, colours)).decode("ascii")
    texts = [
        f'<text x="{x}" y="{height + 14}" text-anchor="{anchor}">{value:.4g}</text>'
        for x, anchor, value in (
            (0, "start", low), (width / 2, "middle", (low + high) / 2), (width, "end", high),
        )
    ]  # fmt: skip
    return Markup(
        f'<svg viewBox="0 0 {width} {height + 20}" width="{width}" height="{height + 20}" '
        f'role="img" aria-label="{html.escape(label, quote=True)}" font-size="12" '
        'font-family="system-ui, sans-serif" fill="#566172">'
        f'<image href="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none"/>{"".join(texts)}</svg>'
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

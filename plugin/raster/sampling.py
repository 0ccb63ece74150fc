"""What a run must know of a whole scene before the first tile: scale and number of looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import InvalidInput, RasterError
from ..core.looks import CORRELATED, LooksEstimate, estimate_looks
from ..core.tiling import Window
from .blocks import UNIT, row_windows, sample_windows
from .source import RasterSource

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
_Sample = tuple[Window, FloatArray, BoolArray]

# With fewer valid pixels in the sample the whole band is gone through.
_ENOUGH = 4096
_PIECE = 16 * UNIT


@dataclass(frozen=True)
class SceneStatistics:
    """Statistics of a band's valid pixels, of linear intensity.

    Attributes
    ----------
    mean : float
    geometric_mean : float
        ``exp(mean(ln Z))`` of the pixels above zero; 0 if there are none.
    looks : LooksEstimate or None
        None where the pixels do not tell (too few, or constant).
    valid_fraction : float
        Valid pixels over all pixels looked at.
    """

    mean: float
    geometric_mean: float
    looks: LooksEstimate | None
    valid_fraction: float

    @property
    def correlation(self) -> float | None:
        """Correlation of neighbouring speckle, along the axis where it is larger."""
        found = self.looks.correlation if self.looks is not None else None
        return None if found is None else max(found)

    @property
    def correlated(self) -> bool:
        """Whether it is the speckle that is correlated, not the scene's texture alone."""
        return self.looks is not None and self.looks.excess > CORRELATED


def scene_statistics(
    source: RasterSource, band: int, max_pixels: int = 4_000_000
) -> SceneStatistics:
    """Measure a band, from all its pixels or, in a large one, windows spread over it.

    The same band gives the same figures always, whatever part of it is to be despeckled.

    Parameters
    ----------
    source : RasterSource
    band : int
        One of the source's bands.
    max_pixels : int, default 4 000 000
        Most pixels to look at. Only where hardly any of them is valid (a small scene in a vast
        frame) the whole band is gone through, keeping as many.

    Raises
    ------
    RasterError
        If the band holds no valid pixel.
    """
    samples, looked_at = _sample(source, band, max_pixels)
    return _statistics(samples, looked_at, f"Band {band} of {source.path}")


def scene_quantile(
    source: RasterSource, band: int, share: float, max_pixels: int = 4_000_000
) -> float:
    """Return the intensity that a share of a band's valid pixels does not exceed.

    From the same pixels as `scene_statistics`; infinity if none of them is valid.
    """
    samples, _ = _sample(source, band, max_pixels)
    values = [intensity[valid] for _, intensity, valid in samples]
    if not sum(map(len, values)):
        return float("inf")
    return float(np.quantile(np.concatenate(values), share))


def _sample(source: RasterSource, band: int, max_pixels: int) -> tuple[list[_Sample], int]:
    """Read windows spread over a band; return them, and how many pixels were looked at."""
    windows = sample_windows(source.width, source.height, source.block_size(band), max_pixels)
    samples = [(window, *source.read(band, window)) for window in windows]
    looked_at = sum(window.area for window in windows)
    if sum(int(valid.sum()) for _, _, valid in samples) < _ENOUGH and len(windows) > 1:
        samples = list(_search(source, band, max_pixels))
        looked_at = source.width * source.height
    return samples, looked_at


def _search(source: RasterSource, band: int, max_pixels: int) -> Iterator[_Sample]:
    """Go through the band, and keep what holds valid pixels, in pieces of limited width."""
    kept = 0
    _, block_height = source.block_size(band)
    for window in row_windows(source.width, source.height, block_height, max_pixels):
        intensity, valid = source.read(band, window)
        rows, columns = np.flatnonzero(valid.any(1)), np.flatnonzero(valid.any(0))
        if not len(rows) or kept >= max_pixels:
            continue
        height = int(rows[-1] - rows[0]) + 1
        for x in range(int(columns[0]), int(columns[-1]) + 1, _PIECE):
            width = min(_PIECE, int(columns[-1]) + 1 - x)
            box = np.s_[rows[0] : rows[0] + height, x : x + width]
            kept += width * height
            yield Window(x, window.y + int(rows[0]), width, height), intensity[box], valid[box]


def _statistics(samples: list[_Sample], looked_at: int, name: str) -> SceneStatistics:
    pixels = positive = 0
    total = log_total = 0.0
    for _, intensity, valid in samples:
        values = intensity[valid]
        above = values[values > 0]
        pixels, positive = pixels + len(values), positive + len(above)
        total += float(np.sum(values, dtype=np.float64))
        log_total += float(np.sum(np.log(above), dtype=np.float64))
    if pixels == 0:
        raise RasterError(
            f"{name} holds no valid pixel: all are nodata, NaN or masked. "
            "Check the band and its nodata value."
        )
    try:
        looks = estimate_looks(*_mosaic([sample[1:] for sample in samples]))
    except InvalidInput:
        looks = None
    return SceneStatistics(
        mean=total / pixels,
        geometric_mean=math.exp(log_total / positive) if positive else 0.0,
        looks=looks,
        valid_fraction=pixels / looked_at,
    )


def _mosaic(parts: Iterable[tuple[FloatArray, BoolArray]]) -> tuple[FloatArray, BoolArray]:
    """Stack windows into one image, with invalid pixels between.

    Everything starts at a multiple of `UNIT`, so that no window of an estimator, whose sides
    divide it, holds valid pixels of two parts.
    """
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    width = max(valid.shape[1] for _, valid in parts)
    # One invalid unit below each part: windows slide by less than their size.
    heights = [(-(-valid.shape[0] // UNIT) + 1) * UNIT for _, valid in parts]
    intensity = np.zeros((sum(heights), width), np.float32)
    usable = np.zeros(intensity.shape, bool)
    y = 0
    for (values, valid), height in zip(parts, heights):
        place = np.s_[y : y + valid.shape[0], : valid.shape[1]]
        intensity[place], usable[place] = values, valid
        y += height
    return intensity, usable

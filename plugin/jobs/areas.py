"""Numbers of an area drawn on the map, at full resolution, before and after despeckling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import Cancelled
from ..core.tiling import Window
from ..raster.polygons import PolygonMask
from ..raster.source import RasterSource
from .preview_image import Preview
from .scene_cache import file_stamp
from .statistics import AreaRecord, measure_area

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IsCancelled = Callable[[], bool]


@dataclass(frozen=True)
class AreaRequest:
    """An area to measure.

    Attributes
    ----------
    path : str
    band : int
    polygon : bytes
        Well-known binary, in the CRS of the raster.
    domain : str
    """

    path: str
    band: int
    polygon: bytes
    domain: str = "auto"


def measure_drawn(
    request: AreaRequest,
    preview: Preview | None,
    estimate: FloatArray | None,
    is_cancelled: IsCancelled,
    cache: PixelCache | None = None,
) -> AreaRecord:
    """Measure an area as `StatisticsJob` does, the preview in place of a despeckled raster.

    Parameters
    ----------
    request : AreaRequest
    preview : Preview, optional
        Of the same band; used at full resolution only. Where it covers the area the file is not
        read again, and where it covers a part, the despeckled numbers are of that part.
    estimate : ndarray of float32, optional
        The preview's estimate, turned as it is shown.
    is_cancelled : callable
    cache : PixelCache, optional
        Where pixels read from the file are kept for the next time, while an area is drawn.

    Raises
    ------
    Cancelled, InvalidInput, RasterError
    """
    if is_cancelled():
        raise Cancelled("The area was drawn on.")
    mask = PolygonMask(request.path, [request.polygon])
    bounds, window, after = mask.bounds, None, None
    if preview is not None and estimate is not None and preview.step == 1 and bounds is not None:
        window = preview.window
        after = _Pixels(estimate, window)
        if not after.has_any(bounds):
            after = None
    if preview is not None and window is not None and bounds is not None:
        before = _Pixels(preview.intensity, window)
        # Tiles that are still missing would look like nodata.
        if window.contains(bounds) and preview.is_whole:
            return measure_area(
                mask, bounds, before, after, preview.scene.domain, is_cancelled=is_cancelled
            )
    if cache is not None and bounds is not None and bounds.area <= PixelCache.MOST_PIXELS:
        pixels, domain = cache.around(request, bounds)
        return measure_area(mask, bounds, pixels, after, domain, is_cancelled=is_cancelled)
    with RasterSource(request.path, [request.band], request.domain) as source:

        def read(part: Window) -> tuple[FloatArray, BoolArray]:
            return source.read(request.band, part)

        return measure_area(mask, bounds, read, after, source.domain, is_cancelled=is_cancelled)


class _Pixels:
    """Pixels of a window of the raster that lie in memory; all others are invalid."""

    def __init__(self, values: FloatArray, window: Window) -> None:
        self._values, self.window = values, window

    def __call__(self, window: Window) -> tuple[FloatArray, BoolArray]:
        part = window.intersection(self.window)
        if part == window:
            values = self._values[_place(window, self.window)]
        else:
            values = np.full((window.height, window.width), np.nan, np.float32)
            if part is not None:
                values[_place(part, window)] = self._values[_place(part, self.window)]
        valid = np.isfinite(values)
        return np.where(valid, values, np.float32(0)), valid

    def has_any(self, window: Window) -> bool:
        """Tell whether there is a valid pixel in a window."""
        part = window.intersection(self.window)
        return part is not None and bool(np.isfinite(self._values[_place(part, self.window)]).any())


class PixelCache:
    """The pixels around the area last measured, so that its next shape reads no file.

    To be used by one thread at a time.
    """

    MOST_PIXELS = 4 * 2**20

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._pixels: _Pixels | None = None
        self._domain = ""

    def around(self, request: AreaRequest, bounds: Window) -> tuple[_Pixels, str]:
        """Pixels of a window within the raster, and what the raster was taken for.

        Raises
        ------
        InvalidInput, RasterError
        """
        key = (request.path, file_stamp(request.path), request.band, request.domain)
        if self._pixels is None or key != self._key or not self._pixels.window.contains(bounds):
            self._pixels = None
            with RasterSource(request.path, [request.band], request.domain) as source:
                window = _grown(bounds, Window(0, 0, source.width, source.height))
                values, valid = source.read(request.band, window)
                self._pixels = _Pixels(np.where(valid, values, np.float32(np.nan)), window)
                self._domain = source.domain
            self._key = key
        return self._pixels, self._domain


def _grown(bounds: Window, whole: Window) -> Window:
    """Window with room for the area to be drawn on."""
    margin = max(bounds.width, bounds.height) // 4 + 16
    grown = Window(
        bounds.x - margin, bounds.y - margin, bounds.width + 2 * margin, bounds.height + 2 * margin
    )
    return grown.intersection(whole) or bounds


def _place(part: Window, whole: Window) -> tuple[slice, slice]:
    """Rows and columns of a window within an array of another."""
    return (
        slice(part.y - whole.y, part.bottom - whole.y),
        slice(part.x - whole.x, part.right - whole.x),
    )

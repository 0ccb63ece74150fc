"""Numbers of an area drawn on the map, at full resolution, before and after despeckling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.errors import Cancelled, InvalidInput
from ..core.quality import StreamingMoments, enl_interval
from ..core.tiling import Window
from ..raster.blocks import row_windows
from ..raster.polygons import PolygonMask
from ..raster.source import RasterSource
from .preview_image import Preview

FloatArray = npt.NDArray[np.float32]
IsCancelled = Callable[[], bool]

# Fewer pixels tell so little that the interval spans a factor of two at one look.
FEW_PIXELS = 50

_STRIP_PIXELS = 1 << 20
# Relative variance that float rounding alone gives a constant area.
_CONSTANT = 1e-12


@dataclass(frozen=True)
class AreaNumbers:
    """Of the valid pixels of an area, in linear intensity.

    Attributes
    ----------
    n : int
    mean, deviation : float
        Mean and standard deviation.
    cx : float
        Coefficient of variation, deviation over mean.
    enl : float
        1 / Cx²; infinite where the area is constant.
    interval : (float, float)
        95 % interval of the true ENL, were the pixels independent of each other.
    """

    n: int
    mean: float
    deviation: float
    cx: float
    enl: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class AreaReport:
    """Numbers of one area.

    Attributes
    ----------
    original : AreaNumbers or None
        None where fewer than two pixels are valid.
    despeckled : AreaNumbers or None
        None where no preview at full resolution covers any of it.
    mean_ratio : float or None
        Mean of input over estimate: 1 where radiometry is kept.
    covered : bool
        Whether the preview covers all of the area.
    """

    original: AreaNumbers | None
    despeckled: AreaNumbers | None = None
    mean_ratio: float | None = None
    covered: bool = False


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


def measure_area(
    request: AreaRequest,
    preview: Preview | None,
    estimate: FloatArray | None,
    is_cancelled: IsCancelled,
) -> AreaReport:
    """Measure an area strip by strip, in bounded memory.

    Parameters
    ----------
    request : AreaRequest
    preview : Preview, optional
        Of the same band; used at full resolution only. Where it covers the area the file is not
        read again.
    estimate : ndarray of float32, optional
        The preview's estimate, turned as it is shown.
    is_cancelled : callable

    Raises
    ------
    Cancelled, InvalidInput, RasterError
    """
    mask = PolygonMask(request.path, [request.polygon])
    if mask.bounds is None:
        return AreaReport(None)
    if preview is not None and (preview.step != 1 or estimate is None):
        preview = None
    original, despeckled, ratio = StreamingMoments(), StreamingMoments(), StreamingMoments()
    covered = preview is not None and preview.window.contains(mask.bounds)
    source = None if covered else RasterSource(request.path, [request.band], request.domain)
    try:
        for strip in row_windows(mask.bounds.width, mask.bounds.height, 1, _STRIP_PIXELS):
            if is_cancelled():
                raise Cancelled("The area was drawn on.")
            window = strip.shifted(mask.bounds.x, mask.bounds.y)
            inside = mask(window)
            if source is not None:
                z, valid = source.read(request.band, window)
                original.add(z[inside & valid])
            elif preview is not None:
                z = preview.intensity[_place(window, preview.window)]
                original.add(z[inside & np.isfinite(z)])
            part = None if preview is None else window.intersection(preview.window)
            if preview is not None and estimate is not None and part is not None:
                place = _place(part, preview.window)
                x, z = estimate[place], preview.intensity[place]
                usable = inside[_place(part, window)] & np.isfinite(x)
                despeckled.add(x[usable])
                ratio.add(z[usable] / x[usable])
    finally:
        if source is not None:
            source.close()
    return AreaReport(
        original=_numbers(original),
        despeckled=_numbers(despeckled),
        mean_ratio=ratio.mean if ratio.count else None,
        covered=covered and despeckled.count == original.count,
    )


def _place(part: Window, whole: Window) -> tuple[slice, slice]:
    """Rows and columns of a window within an array of another."""
    return (
        slice(part.y - whole.y, part.bottom - whole.y),
        slice(part.x - whole.x, part.right - whole.x),
    )


def _numbers(moments: StreamingMoments) -> AreaNumbers | None:
    if moments.count < 2 or moments.mean <= 0:
        return None
    deviation = float(np.sqrt(moments.variance))
    cx = deviation / moments.mean
    looks = 1 / cx**2 if cx**2 > _CONSTANT else float("inf")
    try:
        interval = enl_interval(looks, moments.count)
    except InvalidInput:  # constant
        interval = (looks, looks)
    return AreaNumbers(moments.count, moments.mean, deviation, cx, looks, interval)

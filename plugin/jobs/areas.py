"""Numbers of an area drawn on the map, at full resolution, before and after despeckling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.area_statistics import AreaStatistics, area_statistics
from ..core.errors import Cancelled, InvalidInput
from ..core.tiling import Window
from ..raster.polygons import PolygonMask
from ..raster.source import RasterSource
from .preview_image import Preview

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IsCancelled = Callable[[], bool]

# Windows around an area beyond this are for the algorithm, which reads them in parts.
MOST_PIXELS = 1 << 24


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
) -> AreaStatistics | None:
    """Measure an area; None where it holds no pixel of the raster.

    Parameters
    ----------
    request : AreaRequest
    preview : Preview, optional
        Of the same band; used at full resolution only. Where it covers the area the file is not
        read again, and where it covers a part, the despeckled numbers are of that part.
    estimate : ndarray of float32, optional
        The preview's estimate, turned as it is shown.
    is_cancelled : callable

    Raises
    ------
    Cancelled, InvalidInput, RasterError
    """
    mask = PolygonMask(request.path, [request.polygon])
    bounds = mask.bounds
    if bounds is None:
        return None
    if bounds.area > MOST_PIXELS:
        raise InvalidInput(
            "The area is too large to be measured while you draw; draw a smaller one."
        )
    inside = mask(bounds)
    if not inside.any():
        return None
    part = None
    if preview is not None and estimate is not None and preview.step == 1:
        part = bounds.intersection(preview.window)
    domain = "intensity" if preview is None else preview.scene.domain
    if preview is not None and part == bounds:
        z = preview.intensity[_place(bounds, preview.window)]
        usable = inside & np.isfinite(z)
    else:
        with RasterSource(request.path, [request.band], request.domain) as source:
            z, valid = source.read(request.band, bounds)
            domain, usable = source.domain, inside & valid
    if is_cancelled():
        raise Cancelled("The area was drawn on.")
    despeckled = None
    if part is not None and preview is not None and estimate is not None:
        despeckled = _within(bounds, part, estimate[_place(part, preview.window)])
        if not (np.isfinite(despeckled) & usable).any():
            despeckled = None
    return area_statistics(z, usable, despeckled, domain=domain)


def _within(bounds: Window, part: Window, values: FloatArray) -> FloatArray:
    """Values of a part of a window, NaN in the rest of it."""
    if part == bounds:
        return values
    whole = np.full((bounds.height, bounds.width), np.nan, np.float32)
    whole[_place(part, bounds)] = values
    return whole


def _place(part: Window, whole: Window) -> tuple[slice, slice]:
    """Rows and columns of a window within an array of another."""
    return (
        slice(part.y - whole.y, part.bottom - whole.y),
        slice(part.x - whole.x, part.right - whole.x),
    )

"""From an extent on the map to a window of pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable

from osgeo import gdal

from ..plugin.core.errors import InvalidInput
from ..plugin.core.tiling import Window
from ..plugin.raster.gdal_access import gdal_call, open_raster

# Extents come as text with few digits: what sticks out of a pixel by less is rounding.
_ROUNDING = 1e-3


def pixel_window(path: str, corners: Iterable[tuple[float, float]]) -> Window:
    """Smallest window that holds a polygon, snapped outwards to whole pixels.

    Any georeferencing GDAL can invert will do: north-up, rotated, ground control points. A
    raster without any is taken to have its upper left corner at (0, 0), y pointing up, as QGIS
    shows it.

    Parameters
    ----------
    path : str
        Raster.
    corners : iterable of (x, y)
        Vertices, in the raster's CRS. Dense ones where the extent was given in another.

    Returns
    -------
    Window
        Inside the raster.

    Raises
    ------
    InvalidInput
        When it lies outside the raster, or cannot be placed in it.
    RasterError
        When the raster cannot be opened.
    """
    dataset = open_raster(path)
    width, height = dataset.RasterXSize, dataset.RasterYSize
    pixels = _to_pixels(dataset, list(corners))
    if not pixels or not all(math.isfinite(n) for point in pixels for n in point):
        raise InvalidInput(
            "The extent cannot be placed in the raster: its CRS and the raster's do not meet "
            "there. Give the extent in the CRS of the raster."
        )
    columns, rows = zip(*pixels)
    left, right = _snap(min(columns), max(columns), width)
    top, bottom = _snap(min(rows), max(rows), height)
    if left >= right or top >= bottom:
        raise InvalidInput("The extent lies outside the raster; choose one that overlaps it.")
    return Window(left, top, right - left, bottom - top)


def _snap(low: float, high: float, size: int) -> tuple[int, int]:
    if high <= 0 or low >= size:
        return 0, 0
    first = math.floor(max(low, 0.0) + _ROUNDING)
    last = math.ceil(min(high, float(size)) - _ROUNDING)
    first = min(first, size - 1)
    return first, max(last, first + 1)


def _to_pixels(
    dataset: gdal.Dataset, corners: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    georeferenced = dataset.GetGeoTransform(can_return_null=True) is not None
    if not georeferenced and not dataset.GetGCPCount() and not dataset.GetMetadata("RPC"):
        return [(x, -y) for x, y in corners]
    with gdal_call("use the georeferencing of the raster"):
        transformer = gdal.Transformer(dataset, None, [])
        points = [transformer.TransformPoint(1, x, y) for x, y in corners]
    return [(place[0], place[1]) for success, place in points if success]

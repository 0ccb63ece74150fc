"""From an extent on the map to a window of pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..plugin.core.errors import InvalidInput
from ..plugin.core.tiling import Window
from ..plugin.raster.gdal_access import open_raster
from ..plugin.raster.georeferencing import map_to_pixels

# Extents come as text with few digits: what sticks out of a pixel by less is rounding.
_ROUNDING = 1e-3


def pixel_window(path: str, corners: Iterable[tuple[float, float]]) -> Window:
    """Smallest window that holds a polygon, snapped outwards to whole pixels.

    For the georeferencing see `plugin.raster.georeferencing.map_to_pixels`.

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
    placed = map_to_pixels(dataset, corners)
    return snapped_window(placed, dataset.RasterXSize, dataset.RasterYSize)


def snapped_window(places: Iterable[tuple[float, float]], width: int, height: int) -> Window:
    """Smallest window of a raster of this size that holds (column, row) places; see above.

    Raises
    ------
    InvalidInput
        As there.
    """
    pixels = [point for point in places if not math.isnan(point[0])]
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

"""Where a raster's pixels lie on the map, both ways, without keeping the file open."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from osgeo import gdal

from ..core.errors import RasterError
from .gdal_access import gdal_call, open_raster
from .georeferencing import map_to_pixels

Points = Iterable[tuple[float, float]]


class Placement:
    """Turns pixels (column, row, from the upper left corner) into places on the map, and back.

    See `georeferencing.map_to_pixels` for the kinds of georeferencing. Only rasters placed by
    control points stay open. To be used by one thread at a time.

    Parameters
    ----------
    path : str

    Raises
    ------
    RasterError
        When the raster cannot be opened, or its georeferencing is no use.

    Attributes
    ----------
    width, height : int
        Of the raster, which QGIS shows a rotated one with others.
    is_affine : bool
        Whether straight lines stay straight and parallels parallel.
    """

    def __init__(self, path: str) -> None:
        dataset = open_raster(path)
        self.width, self.height = dataset.RasterXSize, dataset.RasterYSize
        transform = dataset.GetGeoTransform(can_return_null=True)
        by_points = dataset.GetGCPCount() or dataset.GetMetadata("RPC")
        self.is_affine = transform is not None or not by_points
        self._dataset: Any = None
        if self.is_affine:
            self._forward = transform or (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
            self._back = gdal.InvGeoTransform(self._forward)
            if self._back is None:
                raise RasterError(
                    "The georeferencing of the raster is damaged: it cannot be inverted."
                )
            return
        self._dataset = dataset
        with gdal_call("use the georeferencing of the raster"):
            self._transformer = gdal.Transformer(dataset, None, [])

    def to_map(self, pixels: Points) -> list[tuple[float, float]]:
        """Places of (column, row), in the CRS of the raster; NaN where there is none."""
        if self.is_affine:
            return [tuple(gdal.ApplyGeoTransform(self._forward, x, y)) for x, y in pixels]
        return [self._point(x, y) for x, y in pixels]

    def to_pixels(self, places: Points) -> list[tuple[float, float]]:
        """(column, row) of places in the CRS of the raster; NaN where there is none."""
        if self.is_affine:
            return [tuple(gdal.ApplyGeoTransform(self._back, x, y)) for x, y in places]
        return map_to_pixels(self._dataset, places)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        success, place = 0, (math.nan, math.nan)
        with gdal_call("place a pixel on the map", strict=False):
            success, place = self._transformer.TransformPoint(0, x, y)
        return (place[0], place[1]) if success else (math.nan, math.nan)

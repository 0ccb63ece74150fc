"""Polygons on the map as masks of pixels, window by window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from osgeo import gdal, ogr

from ..core.errors import InvalidInput
from ..core.tiling import Window
from .gdal_access import gdal_call, open_raster
from .georeferencing import map_to_pixels

BoolArray = npt.NDArray[np.bool_]

_NO_PLACE = (
    "The polygons cannot be placed in the raster: their CRS and the raster's do not meet there. "
    "Give polygons within the region of the raster's CRS."
)


class PolygonMask:
    """Pixels of a raster that lie in any of some polygons; call it with a window for the mask.

    A pixel belongs to a polygon that holds its centre ("all touched" of GDAL is off), so that
    polygons side by side share no pixel. Holes are left out, parts of a multipolygon and
    overlapping polygons united. Polygons may reach beyond the raster. To be used by one thread.

    Parameters
    ----------
    path : str
        Raster; any georeferencing that `georeferencing.map_to_pixels` knows.
    polygons : iterable of bytes
        Well-known binary of polygons, multipolygons, their curved kinds, or collections of
        these; in the CRS of the raster. Other and empty geometries are passed over.

    Attributes
    ----------
    width, height : int
        Of the raster.
    bounds : Window or None
        Smallest window of the raster around all polygons; None where none of them lies in it.

    Raises
    ------
    InvalidInput
        When there is no polygon, a geometry is damaged, or one cannot be placed in the raster.
    RasterError
        When the raster cannot be opened.
    """

    def __init__(self, path: str, polygons: Iterable[bytes]) -> None:
        dataset = open_raster(path)
        self.width, self.height = dataset.RasterXSize, dataset.RasterYSize
        # The source must outlive its layer.
        self._store, self._layer = _new_layer()
        count = 0
        for wkb in polygons:
            for polygon in _parts(wkb):
                feature = ogr.Feature(self._layer.GetLayerDefn())
                feature.SetGeometryDirectly(_in_pixels(dataset, polygon))
                self._layer.CreateFeature(feature)
                count += 1
        if not count:
            raise InvalidInput(
                "There is no polygon in the layer; draw one, or choose another layer."
            )
        self.bounds = self._bounds()

    def __call__(self, window: Window) -> BoolArray:
        """Mask of a window, (height, width), which may reach beyond the raster."""
        mask = np.zeros((window.height, window.width), np.uint8)
        if self.bounds is None or window.intersection(self.bounds) is None:
            return mask.astype(bool)
        with gdal_call("rasterise the polygons"):
            target = gdal.GetDriverByName("MEM").Create("", window.width, window.height, 1)
            target.SetGeoTransform((window.x, 1.0, 0.0, window.y, 0.0, 1.0))
            self._layer.SetSpatialFilterRect(window.x, window.y, window.right, window.bottom)
            gdal.RasterizeLayer(target, [1], self._layer, burn_values=[1])
            mask = target.ReadAsArray()
        return mask.astype(bool)

    def _bounds(self) -> Window | None:
        left, right, top, bottom = self._layer.GetExtent()
        # Far outside a raster, columns and rows may be too large for an int of GDAL.
        left, top = max(left, 0.0), max(top, 0.0)
        right, bottom = min(right, float(self.width)), min(bottom, float(self.height))
        if right <= left or bottom <= top:
            return None
        x, y = math.floor(left), math.floor(top)
        return Window(x, y, math.ceil(right) - x, math.ceil(bottom) - y)


def _new_layer() -> tuple[Any, Any]:
    # Named "MEM" from GDAL 3.11 on.
    driver = ogr.GetDriverByName("Memory") or ogr.GetDriverByName("MEM")
    store = driver.CreateDataSource("polygons")
    return store, store.CreateLayer("polygons", geom_type=ogr.wkbPolygon)


def _parts(wkb: bytes) -> Iterator[Any]:
    """Single polygons of a geometry, flat and without curves."""
    geometry = None
    with gdal_call("read a polygon", strict=False):
        geometry = ogr.CreateGeometryFromWkb(bytes(wkb))
    if geometry is None:
        raise InvalidInput(
            "A polygon is damaged; repair its geometry (Fix geometries), or leave it out."
        )
    yield from _polygons_in(geometry.GetLinearGeometry())


def _polygons_in(geometry: Any) -> Iterator[Any]:
    geometry.FlattenTo2D()
    kind = ogr.GT_Flatten(geometry.GetGeometryType())
    if kind in (ogr.wkbPolygon, ogr.wkbTriangle):
        if not geometry.IsEmpty():
            yield geometry
    elif ogr.GT_IsSubClassOf(kind, ogr.wkbGeometryCollection) or kind == ogr.wkbTIN:
        # One by one: GDAL would leave out what two parts of one geometry share.
        for number in range(geometry.GetGeometryCount()):
            yield from _polygons_in(geometry.GetGeometryRef(number))


def _in_pixels(dataset: Any, polygon: Any) -> Any:
    """The polygon with columns and rows as coordinates."""
    moved = ogr.Geometry(ogr.wkbPolygon)
    for number in range(polygon.GetGeometryCount()):
        places = map_to_pixels(dataset, polygon.GetGeometryRef(number).GetPoints() or [])
        ring = ogr.Geometry(ogr.wkbLinearRing)
        for column, row in places:
            if not (math.isfinite(column) and math.isfinite(row)):
                raise InvalidInput(_NO_PLACE)
            ring.AddPoint_2D(column, row)
        ring.CloseRings()
        moved.AddGeometryDirectly(ring)
    return moved

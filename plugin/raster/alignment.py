"""Reading one raster on the pixel grid of another."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from osgeo import gdal

from ..core.errors import RasterError
from ..core.tiling import Window
from .georeferencing import map_to_pixels
from .source import RasterSource

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Of a pixel: what resampled or rounded georeferencing may differ by.
_TOLERANCE = 0.05


def pixel_offset(reference: RasterSource, other: RasterSource) -> tuple[int, int]:
    """Return where, in a reference raster, the upper left pixel of another lies.

    Parameters
    ----------
    reference, other : RasterSource
        With a geotransform each, or of one size.

    Returns
    -------
    (int, int)
        Column and row; negative where the other begins before.

    Raises
    ------
    RasterError
        When their pixels do not coincide, or their coordinate reference systems differ.
    """
    _check_crs(reference, other)
    transforms = [
        source.dataset.GetGeoTransform(can_return_null=True) for source in (reference, other)
    ]
    if None in transforms:
        if (reference.width, reference.height) == (other.width, other.height):
            return 0, 0
        raise RasterError(_refusal(reference, other))
    corners = [(0, 0), (other.width, 0), (0, other.height), (other.width, other.height)]
    on_map = [gdal.ApplyGeoTransform(transforms[1], *corner) for corner in corners]
    shifts = [
        (x - corner[0], y - corner[1])
        for (x, y), corner in zip(map_to_pixels(reference.dataset, on_map), corners)
    ]
    if not all(math.isfinite(number) for shift in shifts for number in shift):
        raise RasterError(_refusal(reference, other))
    dx, dy = (round(number) for number in shifts[0])
    if any(max(abs(x - dx), abs(y - dy)) > _TOLERANCE for x, y in shifts):
        raise RasterError(_refusal(reference, other))
    return dx, dy


def _refusal(reference: RasterSource, other: RasterSource) -> str:
    return (
        f"The pixels of {other.path} do not coincide with those of {reference.path}; give the "
        "despeckled image of that raster, in its CRS and not resampled."
    )


def _check_crs(reference: RasterSource, other: RasterSource) -> None:
    """Refuse systems known to differ; those without a code may be one, spelled in two ways."""
    systems = [source.dataset.GetSpatialRef() for source in (reference, other)]
    if None in systems or systems[0].IsSame(systems[1]):
        return
    codes = [(system.GetAuthorityName(None), system.GetAuthorityCode(None)) for system in systems]
    if (None, None) not in codes and codes[0] != codes[1]:
        raise RasterError(
            f"{other.path} is in the coordinate reference system {':'.join(codes[1])}, "
            f"{reference.path} in {':'.join(codes[0])}; give the image in the same system, not "
            "resampled."
        )


class AlignedSource:
    """Reads a band of a raster by windows of a reference raster's grid.

    Parameters
    ----------
    source : RasterSource
    band : int
    offset : (int, int)
        From `pixel_offset`.
    """

    def __init__(self, source: RasterSource, band: int, offset: tuple[int, int] = (0, 0)) -> None:
        self._source, self._band, self._offset = source, band, offset

    def __call__(self, window: Window) -> tuple[FloatArray, BoolArray]:
        """Return intensity and validity of a window; what lies outside is invalid."""
        moved = window.shifted(-self._offset[0], -self._offset[1])
        there = moved.intersection(Window(0, 0, self._source.width, self._source.height))
        if there == moved:
            return self._source.read(self._band, moved)
        shape = (window.height, window.width)
        intensity, valid = np.zeros(shape, np.float32), np.zeros(shape, bool)
        if there is not None:
            top, left = there.y - moved.y, there.x - moved.x
            place = np.s_[top : top + there.height, left : left + there.width]
            intensity[place], valid[place] = self._source.read(self._band, there)
        return intensity, valid

    @property
    def window(self) -> Window:
        """What the raster covers, in pixels of the reference raster."""
        return Window(*self._offset, self._source.width, self._source.height)

"""Small rasters for the tests of the raster room."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal, gdal_array, osr


def make_raster(
    path: Path | str,
    bands: Any,
    *,
    nodata: Sequence[float | None] | float | None = None,
    options: Sequence[str] = (),
    driver: str = "GTiff",
    geotransform: Sequence[float] | None = None,
    epsg: int | None = None,
    metadata: Mapping[str, str] | None = None,
    units: str = "",
    descriptions: Sequence[str] = (),
    data_type: int | None = None,
) -> str:
    """Write an array (rows, columns) or (bands, rows, columns) and return its path."""
    bands = np.asarray(bands)
    bands = bands[None] if bands.ndim == 2 else bands
    kind = data_type or gdal_array.NumericTypeCodeToGDALTypeCode(bands.dtype)
    count, height, width = bands.shape
    dataset = gdal.GetDriverByName(driver).Create(
        str(path), width, height, count, kind, list(options)
    )
    if geotransform is not None:
        dataset.SetGeoTransform(list(geotransform))
    if epsg is not None:
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(epsg)
        dataset.SetSpatialRef(reference)
    if metadata:
        dataset.SetMetadata(dict(metadata))
    values = nodata if isinstance(nodata, (list, tuple)) else [nodata] * count
    for number, (array, value) in enumerate(zip(bands, values), 1):
        band = dataset.GetRasterBand(number)
        if value is not None:
            band.SetNoDataValue(value)
        if units:
            band.SetUnitType(units)
        if descriptions:
            band.SetDescription(descriptions[number - 1])
        band.WriteArray(array)
    dataset = None
    return str(path)


def edit(path: str) -> Any:
    """Open for change; drop the reference to save."""
    return gdal.OpenEx(path, gdal.OF_UPDATE)


def digests(folder: Path) -> dict[str, str]:
    """Names and hashes of all that is in a folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }

"""Where pixels lie on Earth, and what an output takes over from its input."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from osgeo import gdal

from ..core.errors import RasterError
from ..core.tiling import Window
from .gdal_access import gdal_call

# Written anew by GDAL, handled apart, or describing another file than the output.
_DERIVED_DOMAINS = {
    "", "IMAGE_STRUCTURE", "SUBDATASETS", "DERIVED_SUBDATASETS", "RPC", "GEOLOCATION", "TIFF",
    "COLOR_PROFILE", "LocationInfo", "new_vrt_sources", "vrt_sources", "xml:VRT",
}  # fmt: skip
# True of the input's values only; the last ones are of netCDF and Zarr bands.
_STALE = re.compile(
    r"^(STATISTICS_.*|SPECKLESS_.*|TIFFTAG_(MIN|MAX)SAMPLEVALUE|HISTOGRAM.*|"
    r"scale_factor|add_offset|_FillValue|missing_value|valid_(min|max|range)|actual_range|"
    r"OVERVIEWS?_.*)$",
    re.IGNORECASE,
)


def map_to_pixels(dataset: Any, points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Turn places on the map into columns and rows, counted from the upper left corner.

    Any georeferencing GDAL can invert will do: north-up, rotated, ground control points, RPC. A
    raster without any is taken to have that corner at (0, 0), y pointing up, as QGIS shows it.

    Parameters
    ----------
    dataset : osgeo.gdal.Dataset
    points : iterable of (x, y)
        In the CRS of the raster.

    Returns
    -------
    list of (column, row)
        As many; (NaN, NaN) for places that the georeferencing does not reach.

    Raises
    ------
    RasterError
        When the georeferencing is no use.
    """
    places = [(float(x), float(y)) for x, y in points]
    geotransform = dataset.GetGeoTransform(can_return_null=True)
    if geotransform is not None:
        inverse = gdal.InvGeoTransform(geotransform)
        if inverse is None:
            raise RasterError("The georeferencing of the raster is damaged: it cannot be inverted.")
        return [tuple(gdal.ApplyGeoTransform(inverse, x, y)) for x, y in places]
    if not dataset.GetGCPCount() and not dataset.GetMetadata("RPC"):
        return [(x, -y) for x, y in places]
    with gdal_call("use the georeferencing of the raster"):
        transformer = gdal.Transformer(dataset, None, [])
    return [_placed(transformer, x, y) for x, y in places]


def _placed(transformer: Any, x: float, y: float) -> tuple[float, float]:
    success, place = 0, (math.nan, math.nan)
    with gdal_call("place a point in the raster", strict=False):
        success, place = transformer.TransformPoint(1, x, y)
    return (place[0], place[1]) if success else (math.nan, math.nan)


def copy_georeferencing(source: Any, target: Any, window: Window) -> list[str]:
    """Give a dataset the place of a window of another.

    The coordinate reference system; the geotransform, rotated or not, or else the ground
    control points; rational polynomial coefficients; a geolocation array's offsets. All shifted
    to the window's upper left pixel.

    Parameters
    ----------
    source, target : osgeo.gdal.Dataset
    window : Window
        Of the source; the whole of the target.

    Returns
    -------
    list of str
        What could not be kept.
    """
    with gdal_call("copy the georeferencing", strict=False) as messages:
        geotransform = source.GetGeoTransform(can_return_null=True)
        if geotransform is not None:
            _set_reference(source.GetSpatialRef(), target)
            target.SetGeoTransform(shifted_geotransform(geotransform, window))
        elif source.GetGCPCount():
            reference = source.GetGCPSpatialRef()
            points = [
                gdal.GCP(
                    point.GCPX, point.GCPY, point.GCPZ,
                    point.GCPPixel - window.x, point.GCPLine - window.y, point.Info, point.Id,
                )
                for point in source.GetGCPs()
            ]  # fmt: skip
            target.SetGCPs(points, reference.ExportToWkt() if reference else "")
        else:
            _set_reference(source.GetSpatialRef(), target)
        rpc = source.GetMetadata("RPC")
        if rpc:
            target.SetMetadata(shifted_rpc(rpc, window), "RPC")
        geolocation = source.GetMetadata("GEOLOCATION")
        if geolocation:
            target.SetMetadata(_shifted(geolocation, "PIXEL_OFFSET", "LINE_OFFSET", window),
                               "GEOLOCATION")  # fmt: skip
    return [f"Georeferencing: {text}" for text in messages.failures]


def shifted_geotransform(geotransform: tuple[float, ...], window: Window) -> list[float]:
    """Return the geotransform of a window, in the units of the reference system."""
    x, a, b, y, c, d = geotransform
    return [
        x + window.x * a + window.y * b, a, b,
        y + window.x * c + window.y * d, c, d,
    ]  # fmt: skip


def shifted_rpc(rpc: Mapping[str, str], window: Window) -> dict[str, str]:
    """Return the coefficients of a window: only the offsets of line and sample change."""
    return _shifted(rpc, "SAMP_OFF", "LINE_OFF", window)


def _shifted(entries: Mapping[str, str], x_key: str, y_key: str, window: Window) -> dict[str, str]:
    moved = dict(entries)
    for key, shift in ((x_key, window.x), (y_key, window.y)):
        # Some files append a unit: "+001234.50 pixels".
        number = re.match(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?", moved.get(key, ""))
        if number and shift:
            moved[key] = repr(float(number.group()) - shift)
    return moved


def _set_reference(reference: Any, target: Any) -> None:
    if reference is not None:
        target.SetSpatialRef(reference)


def copy_metadata(source: Any, target: Any, tags: Mapping[str, str]) -> list[str]:
    """Copy the metadata of a dataset in all domains but derived ones, and add tags.

    Entries that hold no longer (statistics, extreme values, another run's SPECKLESS_* tags) are
    left out. Returns what could not be kept.
    """
    kept = _lasting(source.GetMetadata())
    kept.update({key: str(value) for key, value in tags.items()})
    with gdal_call("copy the metadata", strict=False) as messages:
        target.SetMetadata(kept)
        _copy_domains(source, target)
    return [f"Metadata: {text}" for text in messages.failures]


def copy_band_metadata(source: Any, target: Any, extra: Mapping[str, str]) -> None:
    """Copy a band's metadata likewise, and add entries; its description is the caller's."""
    kept = _lasting(source.GetMetadata())
    kept.update(extra)
    with gdal_call("copy the band's metadata", strict=False):
        target.SetMetadata(kept)
        _copy_domains(source, target)


def _lasting(metadata: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (metadata or {}).items() if not _STALE.match(key)}


def _copy_domains(source: Any, target: Any) -> None:
    for domain in source.GetMetadataDomainList() or []:
        if domain in _DERIVED_DOMAINS:
            continue
        if domain.startswith(("xml:", "json:")):
            target.SetMetadata(source.GetMetadata_List(domain) or [], domain)
        else:
            target.SetMetadata(_lasting(source.GetMetadata_Dict(domain)), domain)

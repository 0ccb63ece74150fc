"""Opening a raster that belongs to another: its despeckled image, or its clean one."""

from __future__ import annotations

from ..raster.domain import DOMAIN_TAG
from ..raster.gdal_access import open_raster
from ..raster.source import RasterSource


def open_despeckled(
    source: RasterSource, path: str, band: int | None = None, domain: str = "auto"
) -> RasterSource:
    """Open the despeckled image of the first band of a source.

    Parameters
    ----------
    source : RasterSource
        With its speckle.
    path : str
    band : int, optional
        By default the same number, or the only band there is.
    domain : str
        "auto" means what `RasterSource` finds, but for values without sign beside amplitudes,
        which are taken as amplitudes too unless Speckless wrote them.

    Raises
    ------
    InvalidInput, RasterError
    """
    number = band or same_band(path, source.bands[0])
    opened = RasterSource(path, [number], domain)
    if domain != "auto" or _is_tagged(opened, number):
        return opened
    if source.domain == "amplitude" and opened.domain == "intensity":
        opened.close()
        return RasterSource(path, [number], "amplitude")
    return opened


def same_band(path: str, band: int) -> int:
    """Return the band of that number, or the only one there is."""
    return 1 if open_raster(path).RasterCount == 1 else band


def _is_tagged(source: RasterSource, band: int) -> bool:
    return bool(source.dataset.GetRasterBand(band).GetMetadataItem(DOMAIN_TAG))

"""Where an output may go, in which format, and with which creation options."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osgeo import gdal

from ..core.errors import RasterError
from .gdal_access import data_files

# COMPRESS values whose GeoTIFF codec takes a floating-point predictor.
_PREDICTED = {"DEFLATE", "LZW", "ZSTD"}
_STALE_SIDECARS = (".aux.xml", ".ovr", ".msk")


@dataclass(frozen=True)
class OutputFormat:
    """How a file is made.

    Attributes
    ----------
    driver : str
        GDAL's short name.
    options : tuple of str
        "NAME=VALUE".
    copied : bool
        Whether a plain GeoTIFF is written first and copied into the format at the end: where
        the driver cannot be written to tile by tile (COG), or not without loss (others).
    """

    driver: str
    options: tuple[str, ...]
    copied: bool


def parse_options(options: str | Iterable[str]) -> list[str]:
    """Split creation options as QGIS writes them, "A=B|C=D", singly or in a list.

    Raises
    ------
    RasterError
        If an entry is not of the form NAME=VALUE ("COG" alone stands for DRIVER=COG).
    """
    entries = [options] if isinstance(options, str) else list(options)
    parsed = []
    for entry in "|".join(entries).split("|"):
        entry = entry.strip()
        if not entry:
            continue
        if entry.upper() in ("COG", "COG=YES"):
            entry = "DRIVER=COG"
        if "=" not in entry[1:]:
            raise RasterError(f"Creation option '{entry}' is not of the form NAME=VALUE.")
        parsed.append(entry)
    return parsed


def choose_format(
    path: str, options: str | Iterable[str], band_count: int, compress: bool = True
) -> OutputFormat:
    """Choose driver and options from the file's extension and the user's options.

    GeoTIFF by default is tiled, compressed by DEFLATE with the floating-point predictor, BigTIFF
    where it might be needed, bands apart. The user's options win.

    Parameters
    ----------
    path : str
    options : str or iterable of str
        Of the driver; DRIVER=NAME chooses another one than the extension tells.
    band_count : int
    compress : bool, default True
        Whether GeoTIFF is compressed where the options do not say; COG always is.

    Raises
    ------
    RasterError
        If no driver writes floating-point values under that extension.
    """
    given: dict[str, str] = {}
    for entry in parse_options(options):
        name, value = entry.split("=", 1)
        given[name.upper()] = value
    driver = given.pop("DRIVER", "") or _driver_of(Path(path).suffix)
    driver = {"GTIFF": "GTiff", "COG": "COG"}.get(driver.upper(), driver)
    _check_driver(driver)
    if driver not in ("GTiff", "COG"):
        return OutputFormat(driver, _joined(given), copied=True)
    compression = given.get("COMPRESS", "DEFLATE").upper()
    if driver == "COG":
        defaults = {"COMPRESS": "DEFLATE", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "2"}
        if compression in _PREDICTED:
            defaults["PREDICTOR"] = "YES"
        # Overviews of intensity are means: other kernels overshoot below zero.
        defaults["OVERVIEW_RESAMPLING"] = "AVERAGE"
        return OutputFormat(driver, _joined({**defaults, **given}), copied=True)
    if not compress:
        compression = given.get("COMPRESS", "NONE").upper()
    defaults = {"TILED": "YES", "COMPRESS": compression, "BIGTIFF": "IF_SAFER", "NUM_THREADS": "2"}
    if compression == "DEFLATE":
        # On backscatter, level 6 takes half as long again for 1 % less.
        defaults["ZLEVEL"] = "1"
    if band_count > 1:
        defaults["INTERLEAVE"] = "BAND"
    if compression in _PREDICTED:
        defaults["PREDICTOR"] = "3"
    merged = {**defaults, **given}
    # Bands that share blocks would have each block compressed once per band.
    copied = band_count > 1 and merged["INTERLEAVE"].upper() != "BAND"
    return OutputFormat(driver, _joined(merged), copied)


def staging_options() -> tuple[str, ...]:
    """Return options of the GeoTIFF that is only a step on the way to another format."""
    return ("TILED=YES", "BIGTIFF=IF_SAFER", "INTERLEAVE=BAND")


def _joined(options: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in options.items())


def _driver_of(suffix: str) -> str:
    extension = suffix.lower().lstrip(".")
    if extension in ("tif", "tiff"):
        return "GTiff"
    if not extension:
        raise RasterError("The output's name has no extension; end it in .tif.")
    fit = [
        driver
        for driver in (gdal.GetDriver(index) for index in range(gdal.GetDriverCount()))
        if extension in (driver.GetMetadataItem("DMD_EXTENSIONS") or "").lower().split()
        and _writes_floats(driver)
    ]
    if not fit:
        raise RasterError(
            f"No raster driver here writes floating-point values to .{extension}; "
            "end the output's name in .tif."
        )
    return str(fit[0].ShortName)


def _writes_floats(driver: Any) -> bool:
    writes = driver.GetMetadataItem("DCAP_CREATE") or driver.GetMetadataItem("DCAP_CREATECOPY")
    types = (driver.GetMetadataItem("DMD_CREATIONDATATYPES") or "").split()
    return bool(
        writes
        and driver.ShortName not in ("VRT", "MEM")
        and driver.GetMetadataItem("DCAP_RASTER")
        and "Float32" in types
    )


def _check_driver(name: str) -> None:
    driver = gdal.GetDriverByName(name)
    if driver is None or not _writes_floats(driver):
        raise RasterError(
            f"The raster driver {name} is not in this GDAL or does not write floating-point "
            "files; choose GTiff."
        )


def check_output(path: str, inputs: Sequence[str] = ()) -> None:
    """Refuse an output that could not be written, or would overwrite what is read.

    Parameters
    ----------
    path : str
        Of the output.
    inputs : sequence of str
        Rasters that are read: none of the files they consist of (those behind a virtual raster
        included) may be the output, however the paths are spelled. Paths of further outputs
        may be among them.

    Raises
    ------
    RasterError
    """
    if not str(path).strip():
        raise RasterError("No output is given; choose a file to write.")
    target = Path(os.path.realpath(path))
    _driver_of(target.suffix)
    if target.is_dir():
        raise RasterError(f"The output {path} is a folder; give the name of a file in it.")
    for name in inputs:
        for part in [str(name), *data_files(str(name))]:
            if _same_file(target, part):
                raise RasterError(
                    f"The output {path} is the input itself"
                    f"{'' if part == str(name) else ' (or a file it reads)'}; "
                    "choose another name."
                )
    if not target.parent.is_dir():
        raise RasterError(f"There is no folder {target.parent}; make it, or choose another one.")
    os.rmdir(make_workspace(target))


def make_workspace(target: Path) -> str:
    """Make a hidden folder beside the output, on the same disk, to write it in.

    Raises
    ------
    RasterError
        If the folder may not be written to.
    """
    try:
        return tempfile.mkdtemp(f".{os.getpid()}.part", f".{target.name}.", target.parent)
    except OSError as error:
        raise RasterError(
            f"The folder {target.parent} cannot be written to ({error.strerror}); "
            "choose another one, or free it."
        ) from error


def remove_stale_sidecars(target: Path) -> None:
    """Delete statistics, overviews and masks that belonged to a file now replaced."""
    for ending in _STALE_SIDECARS:
        Path(f"{target}{ending}").unlink(missing_ok=True)


def _same_file(target: Path, other: str) -> bool:
    if os.path.normcase(target) == os.path.normcase(os.path.realpath(other)):
        return True
    try:
        return target.samefile(other)
    except OSError:  # one of them does not exist, or is no file at all
        return False

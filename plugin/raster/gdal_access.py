"""Calling GDAL so that nothing it reports is lost, whatever state the process is in.

QGIS runs with GDAL's exceptions off, scripts and tests often with them on, and some errors (a
full disk, met when a file is closed) come as messages only. `gdal_call` turns all of these into
`RasterError` and changes no global setting: GDAL keeps error handlers per thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from osgeo import gdal

from ..core.errors import RasterError

_DISK_FULL = ("no space left", "not enough space", "disk full", "file too large", "quota")


class GdalMessages:
    """What GDAL reported during a call: lists of texts, in order and without repetition."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.failures: list[str] = []

    def _take(self, severity: int, _number: int, text: str) -> None:
        kept = self.failures if severity >= gdal.CE_Failure else self.warnings
        if severity >= gdal.CE_Warning and text not in kept:
            kept.append(text)


@contextmanager
def gdal_call(doing: str, strict: bool = True) -> Iterator[GdalMessages]:
    """Catch what GDAL reports in the block.

    Parameters
    ----------
    doing : str
        Completes the message "Cannot ...".
    strict : bool, default True
        Raise if GDAL reported a failure. Otherwise failures are only listed: for calls whose
        result tells success, and for metadata that may be lost without harm.

    Yields
    ------
    GdalMessages

    Raises
    ------
    RasterError
        With GDAL's own words.
    """
    messages = GdalMessages()
    gdal.ErrorReset()
    gdal.PushErrorHandler(messages._take)
    try:
        with _exceptions_off():
            yield messages
    except RuntimeError as error:  # GDAL's exceptions are on
        messages._take(gdal.CE_Failure, 0, str(error))
        if strict:
            raise failure(doing, messages) from error
    finally:
        gdal.PopErrorHandler()
        gdal.ErrorReset()
    if strict and messages.failures:
        raise failure(doing, messages)


def _exceptions_off() -> AbstractContextManager[Any]:
    """GDAL's exceptions off in this thread, where GDAL has a switch for that (3.7 and newer).

    Left undecided they make it warn, in QGIS's log, of a default that will change.
    """
    return gdal.ExceptionMgr(False) if hasattr(gdal, "ExceptionMgr") else nullcontext()


def failure(doing: str, messages: GdalMessages) -> RasterError:
    """Make the error for what could not be done, with a cure where one is known."""
    texts = messages.failures or messages.warnings
    said = "; ".join(text.rstrip(".") for text in texts[:2]) or "GDAL gives no reason"
    cure = ""
    if any(sign in said.lower() for sign in _DISK_FULL):
        cure = " The disk is full: make room, or choose another folder."
    return RasterError(f"Cannot {doing}: {said}.{cure}")


def open_raster(path: str) -> Any:
    """Open a raster for reading.

    Parameters
    ----------
    path : str
        A file, or anything else GDAL opens ("/vsizip/...", "NETCDF:...").

    Returns
    -------
    osgeo.gdal.Dataset
        With at least one band.

    Raises
    ------
    RasterError
        If there is no such file, GDAL cannot read it, or it has no bands.
    """
    if not path:
        raise RasterError("No raster is given; choose an input raster.")
    dataset = None
    with gdal_call(f"open {path}", strict=False) as messages:
        dataset = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY)
        if dataset is not None and dataset.RasterCount:
            return dataset
    if dataset is not None:
        raise RasterError(_no_bands(path, dataset))
    if not Path(path).exists() and ":" not in path and not path.startswith("/vsi"):
        raise RasterError(f"There is no file {path}; check the path.")
    raise failure(f"read {path} as a raster", messages)


@contextmanager
def no_block_cache(path: str) -> Iterator[None]:
    """Have a GeoTIFF that is opened in the block read without GDAL's cache, if not compressed.

    Read once, from top to bottom, its blocks would fill the cache for nothing. Only for files of
    this machine: the reads are small. The user's own setting of GDAL's option wins.
    """
    name = "GTIFF_DIRECT_IO"
    if gdal.GetConfigOption(name) is not None or not Path(path).is_file():
        yield
        return
    gdal.SetThreadLocalConfigOption(name, "YES")
    try:
        yield
    finally:
        gdal.SetThreadLocalConfigOption(name, None)


def _no_bands(path: str, dataset: Any) -> str:
    inner = [name for name, _ in dataset.GetSubDatasets() or []]
    if inner:
        return (
            f"{path} is a container without bands of its own; choose one of the rasters in it: "
            f"{', '.join(inner[:6])}{', ...' if len(inner) > 6 else ''}."
        )
    return f"{path} has no bands: it holds nothing to despeckle."


def flush_and_close(holder: dict[str, Any], doing: str) -> None:
    """Close the dataset ``holder["dataset"]``, raising whatever writing its last part met.

    The holder must own the only reference: GDAL closes a dataset when the last one goes.

    Raises
    ------
    RasterError
        If anything could not be written.
    """
    with gdal_call(doing):
        try:
            holder["dataset"].FlushCache()
            if hasattr(holder["dataset"], "Close"):  # GDAL 3.8: reports errors of closing itself
                holder["dataset"].Close()
        finally:
            holder["dataset"] = None


def data_files(path: str) -> Sequence[str]:
    """Files a raster consists of, those a virtual raster refers to included; none if not one."""
    with gdal_call(f"open {path}", strict=False):
        dataset = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY)
        if dataset is not None:
            return list(dataset.GetFileList() or [])
    return []

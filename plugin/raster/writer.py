"""Rasters written tile by tile, that appear complete or not at all."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt
from osgeo import gdal

from ..core.domains import from_intensity
from ..core.errors import Cancelled, InvalidInput, RasterError
from ..core.tiling import Window
from .creation import (
    check_output,
    choose_format,
    make_workspace,
    remove_stale_sidecars,
    staging_options,
)
from .domain import DOMAIN_TAG
from .gdal_access import failure, flush_and_close, gdal_call, open_raster
from .georeferencing import copy_band_metadata, copy_georeferencing, copy_metadata
from .source import RasterSource
from .strips import StripBuffer

__all__ = ["PLAIN", "RasterWriter", "check_output"]

FloatArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
Description = Optional[Union[str, Callable[[int, str], str]]]

# Domain of what is no backscatter: ratios, the maps of a model.
PLAIN = "plain"
_DOMAINS = ("intensity", "amplitude", "db", PLAIN)
_DTYPES = ("Float32", "Float64")
# Strips waiting for their last tile; reached only by widths beyond 100 000 pixels or by tiles
# in a wild order.
_MAX_WAITING = 768 * 2**20


class RasterWriter:
    """Writes an output beside others, in a hidden folder, and moves it in place at the end.

    A context manager: left without `commit`, it deletes everything. An older file of that name
    stays until the moment it is replaced. The source is only read by the constructor; writing
    may happen in another thread, one at a time.

    Kept from the source: coordinate reference system, geotransform, GCPs, RPC and geolocation
    (shifted to the window), band descriptions, metadata but for what no longer holds
    (statistics), units where the domain stays, and nodata: invalid pixels hold the value the
    source declares, NaN for `PLAIN` outputs and where it declares none (mask, alpha) or float
    cannot hold it, 0 where groups of zeros were taken for fill and the domain is not dB. A value
    the source does not declare is declared only if there are invalid pixels. Scale and offset
    are not kept: values are physical. No statistics or overviews (but in COG) are written.

    Parameters
    ----------
    path : str
        Of the output; its extension, or a creation option DRIVER=NAME, chooses the format.
    source : RasterSource
    window : Window
        Part of the source the output covers.
    bands : sequence of int
        Bands of the source the output's bands come from, in order.
    domain : str
        What the output holds: "intensity", "amplitude", "db", or `PLAIN` for other quantities;
        "complex" means intensity. `write` takes intensity and converts it; values for
        "intensity" and `PLAIN` are written as they are.
    dtype : str, default "Float32"
        Or "Float64".
    creation_options : str or iterable of str
        "NAME=VALUE" or several as "A=B|C=D".
    compress : bool, default True
        Whether GeoTIFFs are compressed where the options do not say.
    tags : mapping, optional
        More metadata of the dataset; may replace entries copied from the source.
    description : str or callable, optional
        Appended to the bands' descriptions, or called with (number of the output's band, from 1;
        description in the source) for the new one.

    Attributes
    ----------
    warnings : list of str
        What could not be kept, in words.
    nodata : float
        Value of invalid pixels.

    Raises
    ------
    InvalidInput
        If domain or dtype is unknown.
    RasterError
        If the output cannot be made there.
    """

    def __init__(
        self,
        path: str,
        source: RasterSource,
        window: Window,
        bands: Sequence[int],
        *,
        domain: str,
        dtype: str = "Float32",
        creation_options: str | Iterable[str] = (),
        compress: bool = True,
        tags: Mapping[str, str] | None = None,
        description: Description = None,
    ) -> None:
        self.path = str(path)
        self.domain = {"complex": "intensity"}.get(domain, domain)
        if self.domain not in _DOMAINS:
            raise InvalidInput(f"Unknown output domain '{domain}'; choose {', '.join(_DOMAINS)}.")
        if dtype not in _DTYPES:
            raise InvalidInput(f"Outputs are {' or '.join(_DTYPES)}, not {dtype}.")
        check_output(self.path, [source.path])
        self._target = Path(os.path.realpath(self.path))
        self.width, self.height = window.width, window.height
        self.warnings: list[str] = []
        self._format = choose_format(self.path, creation_options, len(bands), compress)
        self._type = np.dtype(dtype.lower())
        self.nodata, self._declared = self._choose_nodata(source)
        self._any_invalid = False
        self._store: dict[str, Any] = {"dataset": None}
        self._workspace: str | None = make_workspace(self._target)
        try:
            self._create(len(bands), dtype)
            self._describe(source, window, bands, tags or {}, description)
            block_height = self._store["dataset"].GetRasterBand(1).GetBlockSize()[1]
            self._strips = [
                StripBuffer(self.width, self.height, block_height, self.nodata, self._type)
                for _ in bands
            ]
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()

    def write(self, index: int, window: Window, values: FloatArray, valid: BoolArray) -> None:
        """Write a window of a band. Cheapest in rows of tiles, from top to bottom.

        Parameters
        ----------
        index : int
            Position in `bands`, from 0.
        window : Window
            In pixels of the output.
        values : ndarray of float32, (height, width)
            Linear intensity, or any quantity for `PLAIN` and "intensity". What is not finite
            is invalid.
        valid : ndarray of bool, (height, width)

        Raises
        ------
        RasterError
            If the window lies outside, the writer is finished, or the disk is full.
        """
        if self._workspace is None:
            raise RasterError(f"{self.path} is already finished; nothing can be added.")
        if not Window(0, 0, self.width, self.height).contains(window):
            raise RasterError(
                f"The window {window} reaches beyond the output of {self.width} x {self.height}."
            )
        stored = self._stored(np.asarray(values), np.asarray(valid, dtype=bool))
        for place, part in self._strips[index].add(window, stored):
            self._flush(index, place, part)
        while sum(strips.nbytes for strips in self._strips) > _MAX_WAITING:
            largest = max(range(len(self._strips)), key=lambda n: self._strips[n].nbytes)
            for place, part in self._strips[largest].oldest():
                self._flush(largest, place, part)

    def commit(self, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Finish the file and put it in place of any older one, whose sidecar files go.

        Pixels that were not written are invalid.

        Parameters
        ----------
        is_cancelled : callable
            Asked while the file is copied into formats that need it (COG).

        Raises
        ------
        Cancelled
        RasterError
            If the file is not complete on the disk. Nothing is left then but the older file.
        """
        if self._workspace is None:
            raise RasterError(f"{self.path} is already finished.")
        try:
            self._write_rest(is_cancelled)
            if self._any_invalid and not self._declared:
                self._declare_nodata()
            if self._format.copied:
                self._copy(is_cancelled)
            flush_and_close(self._store, f"finish {self.path}")
            _verify(self._final)
            self._publish()
        finally:
            self.abort()

    def abort(self) -> None:
        """Delete what was written; does nothing after `commit`."""
        if self._workspace is None:
            return
        self._strips = []
        with gdal_call(f"close {self.path}", strict=False):
            self._store["dataset"] = None
        shutil.rmtree(self._workspace, ignore_errors=True)
        self._workspace = None

    @property
    def _final(self) -> Path:
        return Path(str(self._workspace)) / self._target.name

    def _choose_nodata(self, source: RasterSource) -> tuple[float, bool]:
        """Return the value of invalid pixels and whether the source declares it."""
        declared = source.nodata
        if self.domain == PLAIN or (declared is None and not source.zeros_are_fill):
            return float("nan"), False
        if declared is None:
            return (float("nan") if self.domain == "db" else 0.0), False
        with np.errstate(over="ignore"):
            stored = float(self._type.type(declared))
        if np.isinf(stored):
            if abs(declared) <= 3.5e38:
                # The lowest float32, rounded away from zero by the digits of a text.
                return float(np.copysign(np.finfo(np.float32).max, declared)), True
            return float("nan"), False
        return stored, True

    def _create(self, count: int, dtype: str) -> None:
        staged = self._format.copied
        driver = "GTiff" if staged else self._format.driver
        options = list(staging_options() if staged else self._format.options)
        name = str(Path(str(self._workspace)) / "staged.tif") if staged else str(self._final)
        with gdal_call(f"create {self.path}") as messages:
            self._store["dataset"] = gdal.GetDriverByName(driver).Create(
                name, self.width, self.height, count, gdal.GetDataTypeByName(dtype), options
            )
        if self._store["dataset"] is None:
            raise RasterError(f"Cannot create {self.path}; check the creation options {options}.")
        self.warnings += messages.warnings

    def _describe(
        self, source: RasterSource, window: Window, bands: Sequence[int],
        tags: Mapping[str, str], description: Description,
    ) -> None:  # fmt: skip
        dataset = self._store["dataset"]
        self.warnings += copy_metadata(source.dataset, dataset, tags)
        self.warnings += copy_georeferencing(source.dataset, dataset, window)
        for number, original in enumerate(bands, 1):
            band, old = dataset.GetRasterBand(number), source.dataset.GetRasterBand(original)
            extra = {} if self.domain == PLAIN else {DOMAIN_TAG: self.domain}
            copy_band_metadata(old, band, extra)
            name = old.GetDescription() or ""
            if callable(description):
                name = description(number, name)
            elif description:
                name = (name or f"Band {original}") + description
            with gdal_call(f"describe {self.path}", strict=False):
                band.SetDescription(name)
                unit = "dB" if self.domain == "db" else ""
                if self.domain == source.domain:
                    unit = old.GetUnitType() or unit
                band.SetUnitType(unit)
        if self._declared:
            self._declare_nodata()

    def _declare_nodata(self) -> None:
        # After the user's data too: GeoTIFF then rewrites only its directory.
        dataset = self._store["dataset"]
        with gdal_call(f"declare the nodata value of {self.path}"):
            for number in range(1, dataset.RasterCount + 1):
                dataset.GetRasterBand(number).SetNoDataValue(self.nodata)

    def _stored(self, values: FloatArray, valid: BoolArray) -> FloatArray:
        """Turn intensity into what the file holds, invalid pixels included."""
        if self._is_plain(values, valid):
            return values.astype(self._type, copy=False)
        valid = valid & np.isfinite(values)
        if self.domain in ("amplitude", "db"):
            values = from_intensity(np.where(valid, np.maximum(values, 0), 1), self.domain)
        given, values = values, values.astype(self._type, copy=False)
        if not np.isnan(self.nodata):
            # A valid pixel must not happen to hold the nodata value, nor come so near that
            # GDAL's masks, which compare to 4e-7, take it for that.
            nodata, near = self.nodata, 5e-7 * abs(self.nodata)
            clash = valid & (np.abs(values - self._type.type(nodata)) <= near)
            if clash.any():
                values = values.copy() if values is given else values
                values[clash] = nodata + 2 * near or np.finfo(self._type).tiny
        if not valid.all():
            self._any_invalid = True
            values = np.where(valid, values, self._type.type(self.nodata))
        return values

    def _is_plain(self, values: FloatArray, valid: BoolArray) -> bool:
        """Tell, by two numbers, that all pixels are valid and can be written as they are."""
        if self.domain in ("amplitude", "db") or not valid.all():
            return False
        low, high = float(values.min()), float(values.max())  # NaN where there is one
        beside = 1e-6 * abs(self.nodata)
        hits_nodata = low - beside <= self.nodata <= high + beside
        return math.isfinite(low) and math.isfinite(high) and not hits_nodata

    def _flush(self, index: int, place: Window, values: FloatArray) -> None:
        with gdal_call(f"write {self.path}"):
            band = self._store["dataset"].GetRasterBand(index + 1)
            band.WriteArray(values, place.x, place.y)
            # Keeps GDAL's cache at one strip, and lets a full disk be known now.
            band.FlushCache()

    def _write_rest(self, is_cancelled: Callable[[], bool]) -> None:
        for index, strips in enumerate(self._strips):
            for place, part in strips.rest():
                if is_cancelled():
                    raise Cancelled(f"Writing {self.path} was cancelled.")
                self._any_invalid = True
                self._flush(index, place, part)

    def _copy(self, is_cancelled: Callable[[], bool]) -> None:
        """Copy the staged GeoTIFF into the format asked for."""
        flush_and_close(self._store, f"write {self.path}")
        staged = open_raster(str(Path(str(self._workspace)) / "staged.tif"))

        def proceed(_part: float, _message: str, _data: Any) -> int:
            return 0 if is_cancelled() else 1

        driver = gdal.GetDriverByName(self._format.driver)
        with gdal_call(f"write {self.path}", strict=False) as messages:
            self._store["dataset"] = driver.CreateCopy(
                str(self._final), staged, 0, list(self._format.options), proceed
            )
        staged = None
        if is_cancelled():
            raise Cancelled(f"Writing {self.path} was cancelled.")
        if messages.failures or self._store["dataset"] is None:
            raise failure(f"write {self.path} by the driver {self._format.driver}", messages)
        self.warnings += messages.warnings
        os.remove(Path(str(self._workspace)) / "staged.tif")

    def _publish(self) -> None:
        """Move the file, and those a format writes beside it, in place."""
        try:
            os.replace(self._final, self._target)
        except OSError as error:
            raise RasterError(
                f"Cannot put the result in place as {self.path} ({error.strerror}): is the old "
                "file open in another program? Close it there, or choose another name."
            ) from error
        try:
            remove_stale_sidecars(self._target)
            for sidecar in sorted(Path(str(self._workspace)).iterdir()):
                os.replace(sidecar, self._target.parent / sidecar.name)
        except OSError as error:
            self.warnings.append(f"Files beside {self.path} could not be renewed: {error}.")


def _verify(path: Path) -> None:
    """Make sure that the last blocks are in the file: not every system tells of a full disk."""
    dataset = open_raster(str(path))
    size = path.stat().st_size
    for number in range(1, dataset.RasterCount + 1):
        band = dataset.GetRasterBand(number)
        width, height = band.GetBlockSize()
        place = f"{(dataset.RasterXSize - 1) // width}_{(dataset.RasterYSize - 1) // height}"
        offset = band.GetMetadataItem(f"BLOCK_OFFSET_{place}", "TIFF")
        length = band.GetMetadataItem(f"BLOCK_SIZE_{place}", "TIFF")
        if offset and length and int(offset) + int(length) > size:
            raise RasterError(f"{path.name} came out incomplete: the disk is probably full.")
        with gdal_call(f"read back {path.name}"):
            band.ReadAsArray(dataset.RasterXSize - 1, dataset.RasterYSize - 1, 1, 1)

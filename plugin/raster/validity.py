"""Values of one band as the user means them, and which of them count."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from osgeo import gdal

from ..core.errors import RasterError
from ..core.tiling import Window
from .gdal_access import failure, gdal_call

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]

# Beyond this a float nodata value is a stand-in for "lowest float", written down with few digits.
_HUGE = 1e30


class BandReader:
    """Reads one band: physical values and their validity.

    Invalid are: the band's nodata value, NaN and infinity, pixels a mask (per band, per dataset,
    or by the dataset's NODATA_VALUES) or an alpha band marks as empty, and, in integer bands
    without a declared nodata value, groups of exact zeros (see `zeros_of_fill`). Scale and
    offset are applied if the band has them: value = stored * scale + offset.

    Parameters
    ----------
    dataset : osgeo.gdal.Dataset
        Must outlive the reader.
    number : int
        Band, from 1.
    """

    def __init__(self, dataset: Any, number: int) -> None:
        band = dataset.GetRasterBand(number)
        self.number = number
        self._band = band
        self._name = dataset.GetDescription()
        self.width, self.height = dataset.RasterXSize, dataset.RasterYSize
        self.type_name = gdal.GetDataTypeName(band.DataType)
        self.is_complex = bool(gdal.DataTypeIsComplex(band.DataType))
        self._stored_integer = "Int" in self.type_name or self.type_name == "Byte"
        self._signed_byte = (
            band.GetMetadataItem("PIXELTYPE", "IMAGE_STRUCTURE") == "SIGNEDBYTE"
            and self.type_name == "Byte"
        )
        self.nodata: float | None = band.GetNoDataValue()
        scale, offset = band.GetScale(), band.GetOffset()
        self.scale = 1.0 if scale in (None, 0) else float(scale)
        self.offset = 0.0 if offset is None else float(offset)
        self.is_scaled = (self.scale, self.offset) != (1.0, 0.0)
        self.is_integer = self._stored_integer and not self.is_scaled
        self._masks = _mask_bands(dataset, number)
        self.zeros_are_fill = self._stored_integer and self.nodata is None and not self._masks

    def read(self, window: Window) -> tuple[Array, BoolArray]:
        """Read physical values and their validity.

        Parameters
        ----------
        window : Window
            Inside the raster.

        Returns
        -------
        values : ndarray, (height, width)
            Of the stored type, or float64 (complex128) where scale and offset apply. Invalid
            pixels hold whatever was stored.
        valid : ndarray of bool, (height, width)

        Raises
        ------
        RasterError
            If GDAL cannot read the pixels.
        """
        values = self._read(self._band, window)
        if self._signed_byte:
            values = values.view(np.int8)
        valid = self._valid(values)
        for mask in self._masks:
            valid &= self._read(mask, window) != 0
        if self.zeros_are_fill and np.any(values == 0):
            valid &= ~self._fill(values, window)
        if self.is_scaled:
            values = values.astype(np.complex128 if self.is_complex else np.float64)
            values *= self.scale
            values += self.offset
        return values, valid

    def _valid(self, values: Array) -> BoolArray:
        """Tell which values count, masks and fill aside."""
        if np.issubdtype(values.dtype, np.floating) and values.size:
            # Mostly all do, and two numbers tell, in a fraction of the time. NaN makes both NaN.
            with np.errstate(invalid="ignore"):
                low, high = values.min(), values.max()
            if np.isfinite(low) and np.isfinite(high) and self._beyond(low, high):
                return np.ones(values.shape, bool)
        valid = np.isfinite(values)
        if self.nodata is not None:
            valid &= ~equals_nodata(values, self.nodata)
        return valid

    def _beyond(self, low: Any, high: Any) -> bool:
        """Tell whether no value from `low` to `high` (floats) can be the nodata value."""
        if self.nodata is None or np.isnan(self.nodata):
            return True
        if abs(self.nodata) >= _HUGE:
            return bool(low > -_HUGE and high < _HUGE)
        # In single precision, in which doubles too are compared.
        with np.errstate(over="ignore"):
            low, high, nodata = np.array([low, high, self.nodata], np.float32)
        return not low <= nodata <= high

    def _fill(self, values: Array, window: Window) -> BoolArray:
        """Find the zeros of fill, looking one pixel beyond the window for its edges."""
        left, top = min(window.x, 1), min(window.y, 1)
        right = min(self.width - window.right, 1)
        bottom = min(self.height - window.bottom, 1)
        if left or top or right or bottom:
            values = self._read(
                self._band,
                Window(
                    window.x - left,
                    window.y - top,
                    window.width + left + right,
                    window.height + top + bottom,
                ),
            )
        zeros = zeros_of_fill(values == 0)
        return zeros[top : top + window.height, left : left + window.width]

    def _read(self, band: Any, window: Window) -> Array:
        place = f"band {self.number} of {self._name} at column {window.x}, row {window.y}"
        with gdal_call(f"read {place}", strict=False) as messages:
            values = band.ReadAsArray(window.x, window.y, window.width, window.height)
            if values is not None:
                return np.asarray(values)
        error = failure(f"read {place}", messages)
        raise RasterError(f"{error} The file may be damaged or incomplete.")

    def close(self) -> None:
        """Let go of GDAL's objects, which must not be used once their dataset is closed."""
        self._band = None
        self._masks = []


def equals_nodata(values: Array, nodata: float) -> BoolArray:
    """Tell which values are the nodata value, as far as their type can hold it.

    A nodata value is a double, often rounded: to float32 (0.1, -3.4028235e38) or to the few
    digits of a text (-3.4e38). Complex pixels are nodata if their real part is, and the
    imaginary part is too or is zero.
    """
    if np.iscomplexobj(values):
        real = equals_nodata(values.real, nodata)
        return real & (equals_nodata(values.imag, nodata) | (values.imag == 0))
    if np.isnan(nodata):
        return np.isnan(values)
    if not np.issubdtype(values.dtype, np.floating):
        # A value the type cannot hold marks no pixel.
        info = np.iinfo(values.dtype)
        if not info.min <= nodata <= info.max or nodata != int(nodata):
            return np.zeros(values.shape, dtype=bool)
        return np.asarray(values == values.dtype.type(int(nodata)))
    if abs(nodata) >= _HUGE:
        # Not less or greater alone: 1e30 in single precision is not 1e30.
        return np.asarray(values <= -_HUGE if nodata < 0 else values >= _HUGE)
    with np.errstate(over="ignore"):
        equal = values == values.dtype.type(nodata)
        if values.dtype == np.float64 and nodata != 0:
            equal |= values.astype(np.float32) == np.float32(nodata)
    return np.asarray(equal)


def zeros_of_fill(zeros: BoolArray) -> BoolArray:
    """Tell zeros that fill the border of a scene from single dark pixels.

    Integer products (Sentinel-1 GRD and SLC) fill the pixels outside the swath with zeros and
    declare no nodata. A zero is taken as fill if at least 3 of its 8 neighbours are zeros too
    (the edge pixel is repeated beyond the edge of the array); one that stands alone is a pixel
    too dark for the quantisation, and stays.
    """
    padded = np.pad(zeros, 1, mode="edge").astype(np.uint8)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return zeros & (around >= 4)  # itself counted


def _mask_bands(dataset: Any, number: int) -> list[Any]:
    """Return the bands whose zeros make pixels of this one invalid, its nodata value aside."""
    band = dataset.GetRasterBand(number)
    flags = band.GetMaskFlags()
    masks = []
    if flags & gdal.GMF_NODATA:
        # All bands' values together (NODATA_VALUES); the value of one band is compared here,
        # with more care for rounding than GDAL's own mask takes.
        if flags & gdal.GMF_PER_DATASET:
            masks.append(band.GetMaskBand())
    elif not flags & gdal.GMF_ALL_VALID and not flags & gdal.GMF_ALPHA:
        masks.append(band.GetMaskBand())
    # GDAL lets a nodata value hide the alpha band; here both count.
    for other in range(1, dataset.RasterCount + 1):
        candidate = dataset.GetRasterBand(other)
        if other != number and candidate.GetColorInterpretation() == gdal.GCI_AlphaBand:
            masks.append(candidate)
    return masks

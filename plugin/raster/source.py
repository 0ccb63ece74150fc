"""Rasters read as linear intensity, window by window, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from osgeo import gdal

from ..core.domains import DOMAINS, to_intensity
from ..core.errors import InvalidInput, RasterError
from ..core.tiling import Window
from .blocks import sample_windows
from .domain import DOMAIN_TAG, BandSummary, detect_domain, metadata_labels
from .gdal_access import gdal_call, no_block_cache, open_raster
from .validity import BandReader

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Pixels looked at, per band, before anything is decided.
_PROBE_PIXELS = 16 * 128 * 128
# GDAL keeps decoded blocks up to a twentieth of the machine's memory; this many bytes suffice
# for the halos of a row of tiles, and the global setting is not ours to change.
_CACHE_BYTES = 256 * 2**20


class RasterSource:
    """A raster open for reading, its bands turned into linear intensity.

    To be used by one thread at a time, and as a context manager. The file is opened read-only and
    nothing is written beside it.

    Parameters
    ----------
    path : str
        Anything GDAL opens.
    bands : sequence of int, optional
        Numbers from 1; None or empty for all but alpha and mask bands.
    domain : str, default "auto"
        "auto" or one of `core.domains.DOMAINS`.

    Attributes
    ----------
    path : str
    dataset : osgeo.gdal.Dataset
        For what the writer copies. None once closed.
    width, height : int
        In pixels.
    bands : tuple of int
        The bands chosen, in the order given.
    domain : str
        Resolved: never "auto".
    domain_reason : str
        Why, in words for the log.
    notes : list of str
        What else the user should know about how the values are taken.
    dtype_names : tuple of str
        GDAL's names of the chosen bands' types.
    zeros_are_fill : bool
        Integer bands without nodata and mask: groups of zeros are taken as fill.

    Raises
    ------
    InvalidInput
        If the domain is unknown.
    RasterError
        If the path is no raster, has no bands, a band is not in it, or the domain does not fit
        the data type.
    """

    def __init__(self, path: str, bands: Sequence[int] | None = None, domain: str = "auto") -> None:
        if domain not in ("auto", *DOMAINS):
            raise InvalidInput(
                f"Unknown domain '{domain}'; choose auto or one of {', '.join(DOMAINS)}."
            )
        self.path = str(path)
        with no_block_cache(self.path):
            self.dataset: Any = open_raster(self.path)
        self._readers: dict[int, BandReader] = {}
        self._touched: dict[int, tuple[int, int]] = {}
        self.notes: list[str] = []
        try:
            self.width, self.height = self.dataset.RasterXSize, self.dataset.RasterYSize
            self.bands = self._choose_bands(bands)
            self._readers = {n: BandReader(self.dataset, n) for n in self.bands}
            readers = list(self._readers.values())
            self.dtype_names = tuple(reader.type_name for reader in readers)
            self.zeros_are_fill = any(reader.zeros_are_fill for reader in readers)
            if len({str(reader.nodata) for reader in readers}) > 1:
                self.notes.append(
                    "The bands declare different nodata values; outputs use that of the first "
                    f"that has one ({self.nodata:g})."
                )
            self.domain, self.domain_reason = self._resolve(domain)
            self._free_cache()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RasterSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; further reads raise RasterError."""
        for reader in self._readers.values():
            reader.close()
        self._readers = {}
        self.dataset = None

    @property
    def nodata(self) -> float | None:
        """Nodata value declared for the first chosen band that declares one."""
        declared = (reader.nodata for reader in self._readers.values())
        return next((value for value in declared if value is not None), None)

    def block_size(self, band: int) -> tuple[int, int]:
        """Return width and height of the file's blocks in a band."""
        width, height = self.dataset.GetRasterBand(band).GetBlockSize()
        return min(width, self.width), min(height, self.height)

    def read(self, band: int, window: Window) -> tuple[FloatArray, BoolArray]:
        """Read a window of a band.

        Parameters
        ----------
        band : int
            One of `bands`.
        window : Window
            Inside the raster.

        Returns
        -------
        intensity : ndarray of float32, (height, width)
            Linear intensity, never negative: in linear domains negative values, which noise
            subtraction leaves where there is next to no signal, become 0 and stay valid.
            0 where invalid.
        valid : ndarray of bool, (height, width)
            See `validity.BandReader` for what makes a pixel invalid.

        Raises
        ------
        RasterError
            If the window reaches beyond the raster, the band was not chosen, the source is
            closed, or the file is damaged.
        """
        values, valid = self._read_values(band, window)
        if self.domain in ("intensity", "amplitude") and not values.min() >= 0:  # or NaN
            np.maximum(values, 0, out=values)
        with np.errstate(over="ignore", invalid="ignore"):
            intensity = to_intensity(values, self.domain)
        # What is as it was read was looked at then.
        if intensity is not values:
            valid &= np.isfinite(intensity)
        if not valid.all():
            intensity[~valid] = 0
        return intensity, valid

    def read_values(self, band: int, window: Window) -> tuple[npt.NDArray[np.float64], BoolArray]:
        """Read a window of what is no backscatter, such as the maps of a model, as it is.

        As `read`, but the values are turned into no other domain, and may be negative.

        Raises
        ------
        RasterError
        """
        values, valid = self._read_values(band, window)
        return np.where(valid, values.real, 0.0).astype(np.float64), valid

    def _read_values(self, band: int, window: Window) -> tuple[npt.NDArray[Any], BoolArray]:
        if self.dataset is None:
            raise RasterError(f"{self.path} is closed; open it again to read.")
        if band not in self._readers:
            raise RasterError(f"Band {band} is not among the chosen bands {self.bands}.")
        if not Window(0, 0, self.width, self.height).contains(window):
            raise RasterError(
                f"The window {window} reaches beyond the raster of {self.width} x {self.height} "
                "pixels; choose one inside it."
            )
        self._bound_cache(band, window)
        return self._readers[band].read(window)

    def _bound_cache(self, band: int, window: Window) -> None:
        """Drop GDAL's decoded blocks when a new row of windows starts and much was read."""
        top, bottom = self._touched.get(band, (window.y, window.y))
        if window.y > top:
            rows = bottom - top
            bytes_a_row = self.width * gdal.GetDataTypeSize(
                self.dataset.GetRasterBand(band).DataType
            ) // 8  # fmt: skip
            # Files interleaved by pixel decode all bands at once.
            if rows * bytes_a_row * self.dataset.RasterCount > _CACHE_BYTES:
                self._free_cache()
        top, bottom = self._touched.get(band, (window.y, window.y))
        self._touched[band] = min(top, window.y), max(bottom, window.bottom)

    def _free_cache(self) -> None:
        self._touched = {}
        with gdal_call(f"read {self.path}", strict=False):
            self.dataset.FlushCache()

    def _choose_bands(self, bands: Sequence[int] | None) -> tuple[int, ...]:
        count = self.dataset.RasterCount
        if bands:
            chosen = tuple(dict.fromkeys(int(band) for band in bands))
            wrong = [band for band in chosen if not 1 <= band <= count]
            if wrong:
                raise RasterError(
                    f"{self.path} has no band {wrong[0]}; its bands are numbered 1 to {count}."
                )
            return chosen
        chosen = tuple(n for n in range(1, count + 1) if not self._is_mask(n))
        if not chosen:
            raise RasterError(f"{self.path} holds only alpha or mask bands; nothing to despeckle.")
        if len(chosen) < count:
            left_out = ", ".join(str(n) for n in range(1, count + 1) if n not in chosen)
            self.notes.append(f"Left out as alpha or mask: band {left_out}.")
        return chosen

    def _is_mask(self, number: int) -> bool:
        band = self.dataset.GetRasterBand(number)
        if band.GetColorInterpretation() == gdal.GCI_AlphaBand:
            return True
        words = re.split(r"[^a-z]+", band.GetDescription().lower())
        return bool({"mask", "alpha", "flags"} & set(words))

    def _resolve(self, domain: str) -> tuple[str, str]:
        complex_bands = [r.number for r in self._readers.values() if r.is_complex]
        if complex_bands and len(complex_bands) < len(self.bands):
            raise RasterError(
                f"Bands {complex_bands} of {self.path} are complex, the others are not; "
                "choose bands of one kind."
            )
        if domain != "auto" and bool(complex_bands) != (domain == "complex"):
            kind = "complex" if complex_bands else "real"
            raise RasterError(
                f"The values of {self.path} are {kind} ({self.dtype_names[0]}), which does not "
                f"fit the domain '{domain}'; choose {'complex' if complex_bands else 'another'}, "
                "or auto."
            )
        summaries = [self._summary(reader) for reader in self._readers.values()]
        if domain != "auto":
            resolved, reason = domain, "as given"
        else:
            resolved, reason = detect_domain(summaries[0])
            for summary in summaries[1:]:
                self._compare(summary, resolved)
        self._note_values(summaries, resolved)
        return resolved, reason

    def _compare(self, summary: BandSummary, resolved: str) -> None:
        try:
            other, reason = detect_domain(summary)
        except RasterError as error:
            self.notes.append(str(error))
            return
        if other != resolved:
            self.notes.append(
                f"Band {summary.number} looks like {other} ({reason}) but is taken as {resolved}, "
                "like the first; if it is another quantity, choose the bands without it."
            )

    def _summary(self, reader: BandReader) -> BandSummary:
        band = self.dataset.GetRasterBand(reader.number)
        metadata = band.GetMetadata() or {}
        labels = [
            ("the unit", band.GetUnitType() or ""),
            ("the band description", band.GetDescription() or ""),
            *metadata_labels("the band's", metadata),
            *metadata_labels("the file's", self.dataset.GetMetadata() or {}),
            ("the file name", Path(self.path).stem),
        ]
        return BandSummary(
            number=reader.number,
            type_name=reader.type_name,
            is_complex=reader.is_complex,
            is_integer=reader.is_integer,
            labels=labels,
            values=self._probe(reader),
            tagged=metadata.get(DOMAIN_TAG, ""),
        )

    def _probe(self, reader: BandReader) -> npt.NDArray[Any]:
        """Return some valid values, real parts of complex ones."""
        windows = sample_windows(
            self.width, self.height, self.block_size(reader.number), _PROBE_PIXELS, 128
        )
        found = []
        for window in windows:
            values, valid = reader.read(window)
            found.append(values[valid].real)
        return np.concatenate(found)

    def _note_values(self, summaries: list[BandSummary], domain: str) -> None:
        for summary, reader in zip(summaries, self._readers.values()):
            band = f"Band {summary.number}"
            if reader.is_scaled:
                self.notes.append(
                    f"{band}: values are stored * {reader.scale:g} + {reader.offset:g}, as the "
                    "file says; the output holds them unscaled."
                )
            if reader.zeros_are_fill:
                self.notes.append(
                    f"{band}: integers without a declared nodata value; groups of exact zeros "
                    "are taken as fill around the scene, single ones as dark pixels."
                )
            if domain not in ("intensity", "amplitude") or not len(summary.values):
                continue
            negative = float(np.mean(summary.values < 0))
            if negative > 0:
                self.notes.append(
                    f"{band}: {negative:.2%} of the sampled values are negative, as noise "
                    "subtraction leaves them; they count as 0."
                )
            zero = float(np.mean(summary.values == 0))
            if zero > 0.02 and not reader.zeros_are_fill:
                self.notes.append(
                    f"{band}: {zero:.1%} of the sampled values are exactly 0 and count as dark "
                    "pixels; if they are fill, declare 0 as nodata (gdal_edit.py -a_nodata 0)."
                )

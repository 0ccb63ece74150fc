"""Statistics of homogeneous areas of a raster, polygon by polygon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.area_statistics import (
    CELL,
    MAX_PIXELS,
    AreaStatistics,
    SpeckleStatistics,
    area_statistics,
    cell_counts,
    choose_cells,
)
from ..core.errors import Cancelled, InvalidInput
from ..core.tiling import Window
from ..raster.alignment import AlignedSource, pixel_offset
from ..raster.polygons import PolygonMask
from ..raster.source import RasterSource
from .pairs import open_despeckled

Progress = Callable[[float, str], None]
IsCancelled = Callable[[], bool]
Mask = Callable[[Window], npt.NDArray[np.bool_]]
# Linear intensity and validity of a window.
Reader = Callable[[Window], tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]
_Cell = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]

# Windows up to this many pixels are read whole, larger ones in drawn cells.
_MAX_WINDOW = 4 * MAX_PIXELS
_STRIP_ROWS = 4 * CELL

_NO_CENTRE = "The polygon holds the centre of no pixel; draw a larger one."

# Names and types of a record's figures, in the order of `AreaRecord.values`; short enough for
# shapefiles. "d_" is of the despeckled image.
_OF_AN_IMAGE = (
    ("n", int, "n_pixels"),
    ("mean", float, "mean"),
    ("std", float, "std"),
    ("cx", float, "cx"),
    ("enl", float, "enl"),
    ("enl_low", float, "enl_low"),
    ("enl_high", float, "enl_high"),
    ("n_eff", float, "effective_pixels"),
    ("corr_x", float, "correlation_x"),
    ("corr_y", float, "correlation_y"),
    ("gamma_l", float, "gamma_looks"),
    ("ks", float, "ks_distance"),
)
_COMPARED = (("mor", "mean_ratio"), ("vor", "variance_ratio"), ("enl_gain", "enl_gain"))


def figures(with_despeckled: bool) -> list[tuple[str, type]]:
    """Names and types of the figures of an `AreaRecord`."""
    found: list[tuple[str, type]] = [("n_area", int), ("n_valid", int)]
    found += [(name, kind) for name, kind, _ in _OF_AN_IMAGE]
    found += [("too_small", int)]
    if with_despeckled:
        found += [(f"d_{name}", kind) for name, kind, _ in _OF_AN_IMAGE]
        found += [(name, float) for name, _ in _COMPARED]
    return [*found, ("note", str)]


@dataclass(frozen=True)
class AreaRecord:
    """Statistics of one polygon.

    Attributes
    ----------
    n_area : int
        Pixels of the raster whose centres the polygon holds, valid or not.
    statistics : AreaStatistics or None
        None where the polygon could not be used.
    problem : str
        Why it could not.
    """

    n_area: int
    statistics: AreaStatistics | None = None
    problem: str = ""

    @property
    def note(self) -> str:
        """All that is to be said of the figures, "" for nothing."""
        if self.statistics is None:
            return self.problem
        texts = [self.problem] if self.problem else []
        if self.statistics.is_sampled:
            texts.append(
                f"Measured on a sample of {self.statistics.original.n_pixels} pixels of "
                f"{self.statistics.n_valid}."
            )
        texts += [self.statistics.original.too_small, *self.statistics.original.notes]
        after = self.statistics.despeckled
        if after is not None:
            texts += [f"Despeckled: {text}" for text in after.notes]
            texts += self.statistics.notes
        return " ".join(dict.fromkeys(text for text in texts if text))

    def values(self, with_despeckled: bool) -> list[Any]:
        """Return the figures named by `figures`; None for those there are not."""
        measured = self.statistics
        found: list[Any] = [self.n_area, measured.n_valid if measured else 0]
        found += _values(measured.original if measured else None)
        found += [int(measured is None or bool(measured.original.too_small))]
        if with_despeckled:
            found += _values(measured.despeckled if measured else None)
            found += [getattr(measured, name, None) for _, name in _COMPARED]
        return [*found, self.note]


@dataclass(frozen=True)
class StatisticsResult:
    """What a `StatisticsJob` found.

    Attributes
    ----------
    records : list of AreaRecord
        One a polygon, in their order.
    domain, despeckled_domain : str
        What the rasters were taken for; "" without a despeckled one.
    """

    records: list[AreaRecord]
    domain: str
    despeckled_domain: str = ""

    def summary(self) -> dict[str, float | None]:
        """Figures of all areas together; None where no area has one.

        Means and medians of areas count each area once, whatever its size.
        """
        measured = [r.statistics for r in self.records if r.statistics is not None]
        before = [statistics.original for statistics in measured]
        after = [statistics.despeckled for statistics in measured]
        return {
            "COUNT": sum(image.n_pixels > 0 for image in before),
            "PIXELS": sum(image.n_pixels for image in before),
            "MEAN_ENL": _over(fmean, before, "enl"),
            "MEDIAN_ENL": _over(median, before, "enl"),
            "MEAN_CX": _over(fmean, before, "cx"),
            "MEAN_CORRELATION_X": _over(fmean, before, "correlation_x"),
            "MEAN_CORRELATION_Y": _over(fmean, before, "correlation_y"),
            "MEAN_ENL_DESPECKLED": _over(fmean, after, "enl"),
            "MEAN_ENL_GAIN": _over(fmean, measured, "enl_gain"),
            "MEAN_RATIO": _over(fmean, measured, "mean_ratio"),
            "VARIANCE_RATIO": _over(fmean, measured, "variance_ratio"),
        }


@dataclass(frozen=True)
class StatisticsJob:
    """Measure the pixels of a raster, and of its despeckled image, in each of some polygons.

    Attributes
    ----------
    raster : str
    areas : sequence of bytes
        Well-known binary of polygons, in the CRS of the raster.
    despeckled : str, optional
        Raster on the same pixel grid; may cover part of it.
    band, despeckled_band : int
        From 1. The latter is `band` by default, or 1 in a raster of a single band.
    domain, despeckled_domain : str
        "auto" or one of `core.domains.DOMAINS`. For the despeckled raster "auto" means what
        `RasterSource` finds, but for values without sign beside amplitudes, which it takes as
        amplitudes too unless Speckless wrote them.
    max_pixels : int
        Larger areas are sampled; the same pixels always.
    """

    raster: str
    areas: Sequence[bytes] = field(repr=False)
    despeckled: str | None = None
    band: int = 1
    despeckled_band: int | None = None
    domain: str = "auto"
    despeckled_domain: str = "auto"
    max_pixels: int = MAX_PIXELS

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> StatisticsResult:
        """Measure all polygons.

        Raises
        ------
        Cancelled, InvalidInput, RasterError
        """
        with ExitStack() as stack:
            source = stack.enter_context(RasterSource(self.raster, [self.band], self.domain))
            self._tell(source, "Domain", progress)
            original = AlignedSource(source, self.band)
            after = reader = None
            if self.despeckled:
                after = stack.enter_context(
                    open_despeckled(
                        source, self.despeckled, self.despeckled_band, self.despeckled_domain
                    )
                )
                self._tell(after, "Domain of the despeckled raster", progress)
                reader = AlignedSource(after, after.bands[0], pixel_offset(source, after))
            records = []
            for number, area in enumerate(self.areas):
                _check(is_cancelled)
                records.append(self._record(area, original, reader, source.domain, is_cancelled))
                progress((number + 1) / len(self.areas), "")
        return StatisticsResult(records, source.domain, after.domain if after else "")

    def _record(
        self,
        area: bytes,
        original: Reader,
        despeckled: Reader | None,
        domain: str,
        is_cancelled: IsCancelled,
    ) -> AreaRecord:
        try:
            mask = PolygonMask(self.raster, [area])
        except InvalidInput as error:
            return AreaRecord(0, problem=str(error))
        return measure_area(
            mask, mask.bounds, original, despeckled, domain, self.max_pixels, is_cancelled
        )

    @staticmethod
    def _tell(source: RasterSource, what: str, progress: Progress) -> None:
        progress(0.0, f"{what}: {source.domain} ({source.domain_reason}).")
        for note in source.notes:
            progress(0.0, note)


def measure_area(
    mask: Mask,
    bounds: Window | None,
    original: Reader,
    despeckled: Reader | None = None,
    domain: str = "intensity",
    max_pixels: int = MAX_PIXELS,
    is_cancelled: IsCancelled = lambda: False,
) -> AreaRecord:
    """Measure the pixels a mask holds, reading no more than the window around it.

    Parameters
    ----------
    mask : callable
        Window to mask, as of `raster.polygons.PolygonMask`.
    bounds : Window or None
        Smallest window of the raster around the area; None where it lies outside.
    original, despeckled : callable
        Window to linear intensity and validity.
    domain : str
        The layer's, for the histogram.
    max_pixels : int
        Larger areas are sampled.
    is_cancelled : callable

    Returns
    -------
    AreaRecord

    Raises
    ------
    Cancelled, InvalidInput, RasterError
    """
    if bounds is None:
        return AreaRecord(0, problem="The polygon lies outside the raster.")
    if bounds.area <= _MAX_WINDOW:
        area = mask(bounds)
        n_area = int(np.count_nonzero(area))
        if n_area == 0:
            return AreaRecord(0, problem=_NO_CENTRE)
        intensity, valid = original(bounds)
        after, after_valid = despeckled(bounds) if despeckled else (None, None)
        found = area_statistics(intensity, valid & area, after, after_valid, domain, max_pixels)
        return AreaRecord(n_area, found)
    return _measure_cells(mask, bounds, original, despeckled, domain, max_pixels, is_cancelled)


def _measure_cells(
    mask: Mask,
    bounds: Window,
    original: Reader,
    despeckled: Reader | None,
    domain: str,
    max_pixels: int,
    is_cancelled: IsCancelled,
) -> AreaRecord:
    """Measure cells drawn from a window too large to read whole."""
    counts = []
    for y in range(bounds.y, bounds.bottom, _STRIP_ROWS):
        _check(is_cancelled)
        rows = min(_STRIP_ROWS, bounds.bottom - y)
        counts.append(cell_counts(mask(Window(bounds.x, y, bounds.width, rows))))
    held = np.concatenate(counts)
    n_area = int(held.sum())
    if n_area == 0:
        return AreaRecord(0, problem=_NO_CENTRE)
    readers = [original] if despeckled is None else [original, despeckled]
    cells: list[_Cell] = []
    looked_at = n_valid = 0
    # Where much of the area is nodata, a first draw may hold next to nothing.
    while n_valid < max_pixels / 2 and held.any() and len(cells) * CELL**2 < 4 * max_pixels:
        for row, column in choose_cells(held, max_pixels - n_valid):
            _check(is_cancelled)
            looked_at += int(held[row, column])
            held[row, column] = 0
            corner = Window(bounds.x + column * CELL, bounds.y + row * CELL, CELL, CELL)
            window = corner.intersection(bounds)
            assert window is not None
            cell = _read_cell(window, mask, readers)
            found = int(np.count_nonzero(cell[0][1]))
            if found:
                n_valid += found
                cells.append(cell)
    if not cells:
        return AreaRecord(n_area, area_statistics(np.zeros((1, 1)), np.zeros((1, 1), bool)))
    stacks = [
        (np.stack([cell[n][0] for cell in cells]), np.stack([cell[n][1] for cell in cells]))
        for n in range(len(readers))
    ]
    after, after_valid = stacks[1] if despeckled else (None, None)
    statistics = area_statistics(*stacks[0], after, after_valid, domain)
    return AreaRecord(n_area, replace(statistics, n_valid=round(n_area * n_valid / looked_at)))


def _read_cell(window: Window, mask: Mask, readers: Sequence[Reader]) -> _Cell:
    """Read intensity and mask of a cell from each raster, invalid beyond the window."""
    area = mask(window)
    place = np.s_[: window.height, : window.width]
    cell = []
    for read in readers:
        intensity, valid = np.zeros((CELL, CELL), np.float32), np.zeros((CELL, CELL), bool)
        intensity[place], valid[place] = read(window)
        valid[place] &= area
        cell.append((intensity, valid))
    return cell


def _check(is_cancelled: IsCancelled) -> None:
    if is_cancelled():
        raise Cancelled("The statistics were cancelled.")


def _values(image: SpeckleStatistics | None) -> list[Any]:
    if image is None:
        return [0 if kind is int else None for _, kind, _ in _OF_AN_IMAGE]
    return [getattr(image, name) for _, _, name in _OF_AN_IMAGE]


def _over(average: Callable[[list[float]], float], of: Sequence[Any], name: str) -> float | None:
    values = [getattr(each, name) for each in of if getattr(each, name, None) is not None]
    return average(values) if values else None

"""Filtering a raster by a classical filter, in this process: no engine, no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..core.errors import InvalidInput
from ..core.filters.base import SceneConstants, SpeckleFilter
from ..core.moments import StreamingMoments
from ..core.tiling import Tile, Window, plan_tiles
from ..raster.source import RasterSource
from ..raster.writer import RasterWriter, check_output
from ..version import VERSION
from .limits import check_positive, check_tile_size
from .messages import Caution
from .scenes import IsCancelled, Progress, measure_bands, output_domain, settle_looks, window_in
from .streaming import stream, usable_cores

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_BRIGHT = 0.98
_STACK_PIXELS = 2**21
_LEAST_TILE = 64
_BAND_PIXELS = 2**20
_BLOCK_ROWS = 128  # of the writer's strips, or half of them
_SMALL_HALO = 16
_RATIO_PIXELS = 2**16


@dataclass(frozen=True)
class FilterJob:
    """Filter the bands of a raster, each by itself or, if the filter does so, all together.

    Attributes
    ----------
    input, output : str
        Rasters; the output's folder must exist.
    filter : SpeckleFilter
    bands : sequence of int, optional
        Numbered from 1; all by default.
    domain : str
        "auto", "intensity", "amplitude", "db" or "complex". The filter always works on
        intensity; the output has the input's domain.
    looks : float, optional
        Equivalent number of looks; estimated from the whole scene by default, where the filter
        depends on it.
    extent : Window, optional
        Part of the raster, in pixels; its pixels equal those of a run on the whole.
    tile_size : int
        Side of a tile without halo; 0 chooses.
    creation_options : sequence of str
        "NAME=VALUE" of the output's driver; GeoTIFFs are not compressed by default.
    threads : int
        That compute; 0 for as many as there are cores.
    """

    input: str
    output: str
    filter: SpeckleFilter
    bands: Sequence[int] | None = None
    domain: str = "auto"
    looks: float | None = None
    extent: Window | None = None
    tile_size: int = 0
    creation_options: Sequence[str] = ()
    threads: int = 0

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> FilterResult:
        """Do the work; on any error or cancel no output is left and old ones are untouched.

        Parameters
        ----------
        progress : callable
            Takes the part done (0 to 1) and a message, often empty.
        is_cancelled : callable

        Raises
        ------
        Cancelled, InvalidInput, MissingPackage, RasterError
        """
        self.check()
        started = time.perf_counter()
        with RasterSource(self.input, self.bands, self.domain) as source:
            progress(0.0, f"Domain: {source.domain} ({source.domain_reason}).")
            for note in source.notes:
                progress(0.0, note)
            if self.filter.together and len(source.bands) < 2:
                raise InvalidInput(
                    f"The filter {self.filter.id} needs a stack of at least two bands, got one."
                )
            run = _Run(self, source, self._scene(source, progress, is_cancelled))
            run.run(progress, is_cancelled)
        looks = next(iter(run.scene.values())).looks
        enough = run.ratio.count > 1
        return FilterResult(
            path=self.output,
            domain=source.domain,
            looks_used=looks if self.filter.needs_looks else None,
            mean_ratio=run.ratio.mean if enough else float("nan"),
            variance_ratio=run.ratio.variance if enough else float("nan"),
            pixels=run.window.area * len(source.bands),
            seconds=time.perf_counter() - started,
            warnings=run.warnings,
        )

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything runs.

        Raises
        ------
        InvalidInput, RasterError
        """
        check_positive("LOOKS", self.looks)
        check_tile_size(self.tile_size)
        check_output(self.output, [self.input])

    def _scene(
        self, source: RasterSource, progress: Progress, is_cancelled: IsCancelled
    ) -> dict[int, SceneConstants]:
        """Measure what the filter must know of each whole band."""
        looks = 1.0
        if self.filter.needs_looks:
            measured = {} if self.looks else measure_bands(source, is_cancelled)
            looks = settle_looks(self.looks, measured, progress)
        scene = {}
        for band in source.bands:
            bright = float("inf")
            if self.filter.needs_bright:
                from ..raster.sampling import scene_quantile

                bright = scene_quantile(source, band, _BRIGHT)
            scene[band] = SceneConstants(looks, bright)
        return scene


@dataclass(frozen=True)
class FilterResult:
    """What a `FilterJob` did.

    Attributes
    ----------
    looks_used : float or None
        None where the filter does not depend on it.
    mean_ratio, variance_ratio : float
        Of input / estimate in intensity; NaN where there are no two valid pixels.
    """

    path: str
    domain: str
    looks_used: float | None
    mean_ratio: float
    variance_ratio: float
    pixels: int
    seconds: float
    warnings: list[str] = field(default_factory=list)


class _Piece(NamedTuple):
    """A tile of one band, or of all; bands as (place in the output, number in the source)."""

    bands: tuple[tuple[int, int], ...]
    tile: Tile


_Bands = list[tuple[FloatArray, BoolArray]]


class _Run:
    """What the steps of one run share."""

    def __init__(
        self, job: FilterJob, source: RasterSource, scene: dict[int, SceneConstants]
    ) -> None:
        self.job, self.source, self.scene = job, source, scene
        self.window = window_in(source, job.extent)
        self.ratio = StreamingMoments()
        self.warnings: list[str] = []
        self._done = 0

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> None:
        filter = self.job.filter
        whole = Window(0, 0, self.source.width, self.source.height)
        bands = list(enumerate(self.source.bands))
        groups = [tuple(bands)] if filter.together else [(band,) for band in bands]
        size = self.job.tile_size or _tile_size(filter, len(groups[0]), self.window.width)
        tiles = plan_tiles(whole, self.window, size, filter.halo, filter.lattice)
        work = [_Piece(group, tile) for tile in tiles for group in groups]
        total = self.window.area * len(bands)
        with self._writer() as writer:

            def write(piece: _Piece, made: tuple[_Bands, StreamingMoments]) -> None:
                estimates, ratio = made
                window = piece.tile.core.shifted(-self.window.x, -self.window.y)
                for (place, _), (estimate, valid) in zip(piece.bands, estimates):
                    writer.write(place, window, estimate, valid)
                self.ratio.merge(ratio)

            def written(piece: _Piece) -> None:
                self._done += piece.tile.core.area * len(piece.bands)
                progress(self._done / total, "")

            threads = self.job.threads or usable_cores()
            stream(work, self._read, self._compute, write, written, is_cancelled, threads)
            writer.commit(is_cancelled)
            self.warnings = writer.warnings
            for warning in self.warnings:
                progress(1.0, Caution(warning))

    def _read(self, piece: _Piece) -> _Bands:
        return [self.source.read(band, piece.tile.source) for _, band in piece.bands]

    def _compute(self, piece: _Piece, data: _Bands) -> tuple[_Bands, StreamingMoments]:
        inner = piece.tile.inner
        place = np.s_[inner.y : inner.bottom, inner.x : inner.right]
        scenes = [self.scene[band] for _, band in piece.bands]
        intensities, valids = [band[0] for band in data], [band[1] for band in data]
        estimates = self.job.filter.filter_bands(intensities, valids, scenes)
        made, ratio = [], StreamingMoments()
        for intensity, valid, estimate in zip(intensities, valids, estimates):
            made.append((estimate[place], valid[place]))
            _add_ratio(ratio, intensity[place], *made[-1])
        return made, ratio

    def _writer(self) -> RasterWriter:
        filter = self.job.filter
        tags: dict[str, Any] = {
            "SPECKLESS_VERSION": VERSION,
            "SPECKLESS_FILTER": filter.id,
            **{f"SPECKLESS_{name}": value for name, value in filter.settings().items()},
            "SPECKLESS_CONTENT": "despeckled",
            "SPECKLESS_DOMAIN": self.source.domain,
        }
        if filter.needs_looks:
            tags["SPECKLESS_LOOKS"] = f"{next(iter(self.scene.values())).looks:.6g}"
        return RasterWriter(
            self.job.output,
            self.source,
            self.window,
            self.source.bands,
            domain=output_domain(self.source.domain),
            creation_options=self.job.creation_options,
            # It would take longer than most filters, for a fifth of the file.
            compress=False,
            tags=tags,
        )


def _add_ratio(
    ratio: StreamingMoments, over: FloatArray, under: FloatArray, valid: BoolArray
) -> None:
    """Take in the quotients of valid pixels, a few rows at a time: they stay in the cache."""
    rows = max(1, _RATIO_PIXELS // over.shape[1])
    room = np.empty((min(rows, len(over)), over.shape[1]), np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for first in range(0, len(over), rows):
            part = slice(first, first + rows)
            quotient = np.divide(over[part], under[part], out=room[: len(over[part])])
            if not valid[part].all() or not ratio.add_finite(quotient):
                ratio.add(over[part][valid[part]] / under[part][valid[part]])


def _tile_size(filter: SpeckleFilter, bands: int, width: int) -> int | tuple[int, int]:
    """Return the size of the filter's tiles, less where so many bands are in memory at once.

    Where the halo is small, tiles are as wide as the window asked for: rows are read and written
    as they lie in the file.
    """
    most = _STACK_PIXELS // bands
    side = max(_LEAST_TILE, min(filter.tile_size, int(most**0.5)))
    if filter.halo > _SMALL_HALO or filter.tile_size < SpeckleFilter.tile_size:
        return side
    rows = min(most, _BAND_PIXELS) // width // _BLOCK_ROWS * _BLOCK_ROWS
    return (width, min(rows, 2 * _BLOCK_ROWS)) if rows else side

"""A reference without speckle from a stack of rasters, tile by tile. No engine, no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..core.errors import InvalidInput, RasterError
from ..core.temporal_reference import Reference, TemporalReference
from ..core.tiling import Tile, Window, plan_tiles
from ..raster.alignment import AlignedSource, pixel_offset
from ..raster.source import RasterSource
from ..raster.writer import PLAIN, RasterWriter, check_output
from ..version import VERSION
from .messages import Caution
from .scenes import IsCancelled, Progress, output_domain
from .streaming import stream, usable_cores

_Stack = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]
_Piece = tuple[int, Tile]

# Pixels of all dates in a tile, halo aside: what is in memory at a time is some times that.
_STACK_PIXELS = 2**20
_LARGEST_TILE, _LEAST_TILE = 512, 32

OUTPUTS = ("OUTPUT", "COUNT", "SPREAD", "MASK")


@dataclass(frozen=True)
class TemporalReferenceJob:
    """Make a reference of co-registered dates.

    Attributes
    ----------
    inputs : sequence of str
        One raster, whose bands are the dates; or one for each date, of which every band gets a
        reference of its own. All of one pixel grid; the first gives the outputs' extent.
    outputs : dict of str
        File by name of `OUTPUTS`; "OUTPUT", in the first input's domain, is needed. "COUNT":
        valid dates, "SPREAD": see `core.temporal_reference`, "MASK": 1 stable, 0 not.
    method : TemporalReference
    bands : sequence of int, optional
        Of each input, numbered from 1; all by default.
    domain : str
        See `RasterSource`; whatever it is, intensity is averaged.
    creation_options : sequence of str
        "NAME=VALUE" of the outputs' driver.
    tile_size : int
        Side of a tile without halo; 0 chooses.
    """

    inputs: Sequence[str]
    outputs: dict[str, str]
    method: TemporalReference = field(default_factory=TemporalReference)
    bands: Sequence[int] | None = None
    domain: str = "auto"
    creation_options: Sequence[str] = ()
    tile_size: int = 0

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> TemporalReferenceResult:
        """Do the work; on any error or cancel no output is left and old ones are untouched.

        Raises
        ------
        Cancelled, InvalidInput, RasterError
        """
        self.check()
        started = time.perf_counter()
        with ExitStack() as opened:
            sources = [
                opened.enter_context(RasterSource(path, self.bands, self.domain))
                for path in self.inputs
            ]
            run = _Run(self, sources, opened)
            progress(0.0, f"Domain: {run.domain} ({sources[0].domain_reason}).")
            for note in sources[0].notes:
                progress(0.0, note)
            run.run(progress, is_cancelled)
        return TemporalReferenceResult(
            paths=dict(self.outputs),
            dates=len(run.dates[0]),
            domain=run.domain,
            stable_share=run.stable / run.known if run.known else float("nan"),
            mean_count=run.counted / run.seen if run.seen else float("nan"),
            seconds=time.perf_counter() - started,
            warnings=run.warnings,
        )

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything runs.

        Raises
        ------
        InvalidInput, RasterError
        """
        if not self.inputs:
            raise InvalidInput("Give a stack: one raster of several bands, or several rasters.")
        unknown = set(self.outputs) - set(OUTPUTS)
        if unknown or "OUTPUT" not in self.outputs:
            raise InvalidInput(f"Outputs must be OUTPUT and any of {', '.join(OUTPUTS[1:])}.")
        if len(set(self.outputs.values())) < len(self.outputs):
            raise InvalidInput("Two outputs have the same file; give each its own.")
        for path in self.outputs.values():
            check_output(path, list(self.inputs))


@dataclass(frozen=True)
class TemporalReferenceResult:
    """What a `TemporalReferenceJob` did.

    Attributes
    ----------
    paths : dict of str
        File by output's name.
    dates : int
    domain : str
        What the inputs were taken for.
    stable_share : float
        Of the pixels with two valid dates or more; NaN if there are none.
    mean_count : float
        Valid dates of a pixel with any; NaN if there are none.
    """

    paths: dict[str, str]
    dates: int
    domain: str
    stable_share: float
    mean_count: float
    seconds: float
    warnings: list[str] = field(default_factory=list)


class _Run:
    """What the steps of one run share."""

    def __init__(
        self, job: TemporalReferenceJob, sources: list[RasterSource], opened: ExitStack
    ) -> None:
        self.job, self.sources, self.opened = job, sources, opened
        self.first = sources[0]
        self.domain = self.first.domain
        self.dates = self._dates()
        self.warnings: list[str] = []
        self.known = self.stable = self.seen = self.counted = 0
        self._done = 0

    def _dates(self) -> list[list[AlignedSource]]:
        """Dates of each band of the result."""
        if len(self.sources) == 1:
            if len(self.first.bands) < 2:
                raise InvalidInput(
                    f"{self.first.path} has a single band: a stack needs two dates at least. Give "
                    "more rasters, or one that holds the dates as bands."
                )
            return [[AlignedSource(self.first, band) for band in self.first.bands]]
        dates: list[list[AlignedSource]] = [[] for _ in self.first.bands]
        for source in self.sources:
            if len(source.bands) != len(dates):
                raise InvalidInput(
                    f"{source.path} has {len(source.bands)} bands, {self.first.path} "
                    f"{len(dates)}: every date must have the same ones. Choose them by BANDS."
                )
            if source.domain != self.domain:
                raise InvalidInput(
                    f"{source.path} looks like {source.domain}, {self.first.path} like "
                    f"{self.domain}. Give DOMAIN if they are the same, else convert one."
                )
            try:
                offset = pixel_offset(self.first, source)
            except RasterError as error:
                raise RasterError(
                    f"The pixels of {source.path} do not coincide with those of "
                    f"{self.first.path}: co-register the dates and warp them to one grid first."
                ) from error
            for band, layers in zip(source.bands, dates):
                layers.append(AlignedSource(source, band, offset))
        return dates

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> None:
        whole = Window(0, 0, self.first.width, self.first.height)
        tiles = plan_tiles(whole, whole, self._tile_size(), self.job.method.halo)
        work = [(band, tile) for tile in tiles for band in range(len(self.dates))]
        total = whole.area * len(self.dates)
        with ExitStack() as writing:
            writers = {
                name: writing.enter_context(self._writer(name, path, whole))
                for name, path in self.job.outputs.items()
            }

            def write(piece: _Piece, made: Reference) -> None:
                band, tile = piece
                ones = np.ones(made.valid.shape, bool)
                known = ~np.isnan(made.spread)
                for name, values, valid in (
                    ("OUTPUT", made.intensity, made.valid),
                    ("COUNT", made.dates.astype(np.float32), ones),
                    ("SPREAD", np.nan_to_num(made.spread), known),
                    ("MASK", made.stable.astype(np.float32), known),
                ):
                    if name in writers:
                        writers[name].write(band, tile.core, values, valid)
                self.known += int(known.sum())
                self.stable += int(made.stable.sum())
                self.seen += int((made.dates > 0).sum())
                self.counted += int(made.dates.sum())

            def written(piece: _Piece) -> None:
                self._done += piece[1].core.area
                progress(self._done / total, "")

            stream(work, self._read, self._compute, write, written, is_cancelled, usable_cores())
            if not self.known:
                raise RasterError(
                    "No pixel is valid at two dates or more: check the nodata values, and that "
                    "the rasters overlap."
                )
            for writer in writers.values():
                writer.commit(is_cancelled)
                self.warnings += writer.warnings
        if not self.stable and self.job.method.threshold is not None:
            self.warnings.append(
                "No pixel is stable: the reference is empty. The threshold is in the unit of the "
                "data's intensity unless SPREAD is 'variation'; give a higher one."
            )
        for warning in self.warnings:
            progress(1.0, Caution(warning))

    def _tile_size(self) -> int:
        if self.job.tile_size:
            return self.job.tile_size
        side = int((_STACK_PIXELS / len(self.dates[0])) ** 0.5)
        return max(_LEAST_TILE, min(_LARGEST_TILE, side))

    def _read(self, piece: _Piece) -> _Stack:
        band, tile = piece
        dates = self.dates[band]
        shape = (len(dates), tile.source.height, tile.source.width)
        values, valid = np.empty(shape, np.float32), np.empty(shape, bool)
        for number, read in enumerate(dates):
            values[number], valid[number] = read(tile.source)
        return values, valid

    def _compute(self, piece: _Piece, data: _Stack) -> Reference:
        made = self.job.method(*data)
        inner = piece[1].inner
        place = np.s_[inner.y : inner.bottom, inner.x : inner.right]
        return Reference._make(array[place] for array in made)

    def _writer(self, name: str, path: str, whole: Window) -> RasterWriter:
        method = self.job.method
        tags = {
            "SPECKLESS_VERSION": VERSION,
            "SPECKLESS_CONTENT": f"temporal reference: {name.lower()}",
            "SPECKLESS_DATES": str(len(self.dates[0])),
            "SPECKLESS_STATISTIC": method.statistic,
            "SPECKLESS_SPREAD": method.spread,
            "SPECKLESS_MULTILOOK": str(method.side),
            "SPECKLESS_DOMAIN": self.domain,
        }
        if method.threshold is not None:
            tags["SPECKLESS_THRESHOLD"] = f"{method.threshold:g}"
        bands = self.first.bands[: len(self.dates)]
        # The first date's name would be wrong for what is made of all.
        titles = {"OUTPUT": f"temporal {method.statistic}", "COUNT": "count of dates",
                  "SPREAD": f"temporal {method.spread}", "MASK": "stable"}  # fmt: skip

        def describe(number: int, original: str) -> str:
            return titles[name] if len(self.dates) == 1 else f"{original} {titles[name]}".strip()

        return RasterWriter(
            path,
            self.first,
            whole,
            bands,
            domain=output_domain(self.domain) if name == "OUTPUT" else PLAIN,
            creation_options=self.job.creation_options,
            tags=tags,
            description=describe,
        )

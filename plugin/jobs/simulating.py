"""Laying simulated speckle over a clean raster, tile by tile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..core.errors import InvalidInput
from ..core.speckle_field import SpeckleField
from ..core.tiling import Window, plan_tiles
from ..raster.source import RasterSource
from ..raster.writer import RasterWriter, check_output
from ..version import VERSION
from .limits import check_positive
from .messages import Caution
from .scenes import IsCancelled, Progress, output_domain
from .streaming import stream, usable_cores

Array = npt.NDArray[Any]

OUTPUT_DOMAINS = ("same", "intensity", "amplitude", "db")


@dataclass(frozen=True)
class SimulateJob:
    """Multiply a clean raster's intensity by speckle of a number of looks.

    Attributes
    ----------
    input, output : str
        Rasters; the output's folder must exist.
    looks : float
        Whole if the speckle is correlated.
    bands : sequence of int, optional
        Numbered from 1; all by default, each with speckle of its own.
    domain : str
        "auto", "intensity", "amplitude", "db" or "complex": what the input holds.
    result_domain : str
        One of `OUTPUT_DOMAINS`: what the output is to hold.
    correlation : (float, float)
        Of the intensities of neighbours in a row, and in a column.
    seed : int
    tile_size : int
        Has no influence on the pixels.
    """

    input: str
    output: str
    looks: float = 1.0
    bands: Sequence[int] | None = None
    domain: str = "auto"
    result_domain: str = "same"
    correlation: tuple[float, float] = (0.0, 0.0)
    seed: int = 0
    creation_options: Sequence[str] = ()
    tile_size: int = 512
    threads: int = 0

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything runs.

        Raises
        ------
        InvalidInput, RasterError
        """
        check_positive("LOOKS", self.looks)
        if self.result_domain not in OUTPUT_DOMAINS:
            raise InvalidInput(
                f"Unknown domain '{self.result_domain}'; choose one of {', '.join(OUTPUT_DOMAINS)}."
            )
        SpeckleField(self.looks, self.seed, self.correlation)
        check_output(self.output, [self.input])

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> SimulateResult:
        """Do the work; on any error or cancel no output is left and old ones are untouched.

        Raises
        ------
        Cancelled, InvalidInput, RasterError
        """
        self.check()
        started = time.perf_counter()
        speckle = SpeckleField(self.looks, self.seed, self.correlation)
        with RasterSource(self.input, self.bands, self.domain) as source:
            progress(0.0, f"Domain: {source.domain} ({source.domain_reason}).")
            for note in source.notes:
                progress(0.0, note)
            domain = self.result_domain
            if domain == "same":
                domain = output_domain(source.domain)
            whole = Window(0, 0, source.width, source.height)
            tiles = plan_tiles(whole, None, self.tile_size, 0)
            work = [
                _Piece(place, band, tile.core)
                for tile in tiles
                for place, band in enumerate(source.bands)
            ]
            total = whole.area * len(source.bands)
            done = 0

            def read(piece: _Piece) -> tuple[Array, Array]:
                return source.read(piece.band, piece.window)

            def compute(piece: _Piece, data: tuple[Array, Array]) -> tuple[Array, Array]:
                intensity, valid = data
                if valid.any():
                    intensity = intensity * speckle(piece.band, piece.window)
                return intensity.astype(np.float32, copy=False), valid

            tags = {
                "SPECKLESS_VERSION": VERSION,
                "SPECKLESS_CONTENT": "simulated speckle",
                "SPECKLESS_LOOKS": f"{self.looks:.6g}",
                "SPECKLESS_CORRELATION": "{:.6g} {:.6g}".format(*self.correlation),
                "SPECKLESS_SEED": str(self.seed),
            }
            with RasterWriter(
                self.output, source, whole, source.bands, domain=domain,
                creation_options=self.creation_options, tags=tags,
            ) as writer:  # fmt: skip

                def write(piece: _Piece, made: tuple[Array, Array]) -> None:
                    writer.write(piece.place, piece.window, *made)

                def written(piece: _Piece) -> None:
                    nonlocal done
                    done += piece.window.area
                    progress(done / total, "")

                threads = self.threads or usable_cores()
                stream(work, read, compute, write, written, is_cancelled, threads)
                writer.commit(is_cancelled)
                for warning in writer.warnings:
                    progress(1.0, Caution(warning))
        seconds = time.perf_counter() - started
        return SimulateResult(self.output, source.domain, domain, seconds, writer.warnings)


@dataclass(frozen=True)
class SimulateResult:
    """What a `SimulateJob` did: its output, what the input was taken for, what it now holds."""

    path: str
    domain: str
    result_domain: str
    seconds: float
    warnings: list[str] = field(default_factory=list)


class _Piece(NamedTuple):
    """A tile of a band: its place in the output, its number, and where."""

    place: int
    band: int
    window: Window

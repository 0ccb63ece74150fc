"""Assessing a despeckled raster against its input, with or without a clean one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import Cancelled, InvalidInput, RasterError
from ..core.metrics.block import MARGIN, Block
from ..core.metrics.edges import EdgeContrast, EdgeRatios
from ..core.metrics.fidelity import Fidelity, no_reference
from ..core.metrics.figure import Figure
from ..core.metrics.radiometry import Radiometry
from ..core.metrics.structure import first_order_residual, m_index
from ..core.metrics.targets import PointTargets
from ..core.tiling import Tile, Window, plan_tiles
from ..raster.alignment import AlignedSource, pixel_offset
from ..raster.blocks import row_windows
from ..raster.sampling import SceneStatistics, scene_statistics
from ..raster.source import RasterSource
from ..raster.writer import PLAIN, RasterWriter, check_output
from ..version import VERSION
from .assessment import Assessment, area_figures, ratio_areas
from .assessment_parts import (
    Images,
    correlation_design,
    cut_crop,
    found_areas,
    given_areas,
    ratio_sample,
    structure_figures,
)
from .limits import check_positive
from .pairs import open_despeckled
from .risk_of_maps import AffineMaps
from .scenes import IsCancelled, Progress, window_in
from .streaming import stream, usable_cores

Array = npt.NDArray[Any]

_TILE = 512
_STRIP_PIXELS = 2**22


@dataclass(frozen=True)
class AssessJob:
    """Compare one band of a raster with its despeckled image.

    Attributes
    ----------
    input, despeckled : str
        Rasters on one pixel grid; the second may cover part of the first.
    reference : str, optional
        Raster without speckle on that grid.
    band, despeckled_band, reference_band : int
        From 1; the latter two by default the same, or the only band there is.
    domain, despeckled_domain, reference_domain : str
        "auto" or one of `core.domains.DOMAINS`, see `pairs.open_despeckled`.
    looks : float, optional
        Equivalent number of looks of the input; estimated from it by default.
    areas : sequence of bytes
        Homogeneous areas, well-known binary of polygons in the CRS of the input. Without any,
        the five most homogeneous windows of the input are taken.
    slope, bias : str, optional
        Rasters of the maps a and b of an affine model, for its estimated risk.
    peak : float, optional
        Of the PSNR, in intensity; the reference's greatest value by default.
    ratio : str, optional
        Raster to write input / despeckled to.
    threads : int
        That compute; 0 for as many as there are cores.
    extent : Window, optional
        Compare only this part of the input, in pixels.
    """

    input: str
    despeckled: str
    reference: str | None = None
    band: int = 1
    despeckled_band: int | None = None
    reference_band: int | None = None
    domain: str = "auto"
    despeckled_domain: str = "auto"
    reference_domain: str = "auto"
    looks: float | None = None
    areas: Sequence[bytes] = field(default=(), repr=False)
    slope: str | None = None
    bias: str | None = None
    peak: float | None = None
    ratio: str | None = None
    creation_options: Sequence[str] = ()
    threads: int = 0
    extent: Window | None = None

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything runs.

        Raises
        ------
        InvalidInput, RasterError
        """
        check_positive("LOOKS", self.looks)
        check_positive("PEAK", self.peak)
        if bool(self.slope) != bool(self.bias):
            raise InvalidInput(
                "SLOPE and BIAS belong together: give both maps of the affine model, or neither."
            )
        if self.ratio:
            given = (self.input, self.despeckled, self.reference, self.slope, self.bias)
            check_output(self.ratio, [path for path in given if path])

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> Assessment:
        """Do the work; on any error or cancel no output is left and old ones are untouched.

        All pixels count for what is summed up (ratio, edges, targets, fidelity, risk), read in
        tiles. Structure is tested, and homogeneous windows are sought, in samples of large
        rasters, which the notes tell.

        Raises
        ------
        Cancelled, InvalidInput, RasterError
        """
        self.check()
        started = time.perf_counter()
        with ExitStack() as stack:
            images = self._open(stack, progress)
            scene = scene_statistics(images.source, self.band)
            if scene.mean <= 0:
                raise RasterError(f"Band {self.band} of {self.input} holds nothing above zero.")
            looks = self._looks(scene, progress)
            design = correlation_design(scene, images.notes)
            maps = self._maps(stack, images)
            ends = self._ends(images, is_cancelled)
            writer = stack.enter_context(_ratio_writer(self, images)) if self.ratio else None
            run = _Run(self, images, looks, design, maps, ends, writer)
            sums = run.run(progress, is_cancelled)
            if not sums.radiometry.pixels:
                raise InvalidInput(
                    "No pixel is valid in both the input and the despeckled image; check that "
                    "they show the same place, and their nodata values."
                )
            progress(0.9, "Measuring homogeneous areas and structure.")
            if self.areas:
                windows: tuple[Window, ...] = ()
                areas = given_areas(images, self.areas, is_cancelled)
            else:
                windows, areas = found_areas(images, is_cancelled)
            sample = ratio_sample(images, looks, is_cancelled)
            crop = cut_crop(images, looks)
            if writer is not None:
                writer.commit(is_cancelled)
                images.notes.extend(writer.warnings)
        figures = {**sums.figures(looks), **area_figures(areas, looks)}
        figures.update(structure_figures(images, sample, scene.correlated))
        figures["M_INDEX"] = m_index(
            first_order_residual(ratio_areas(areas)), figures["HOMOGENEITY_EXCESS"]
        )
        progress(1.0, "")
        return Assessment(
            figures=figures,
            looks=looks,
            looks_given=self.looks is not None,
            domain=images.source.domain,
            despeckled_domain=images.estimate_domain,
            reference_domain=images.reference_domain,
            areas=areas,
            windows=windows,
            levels=sums.radiometry.levels(),
            targets=sums.targets.found,
            crop=crop,
            ratio_histogram=sample.histogram,
            notes=images.notes,
            peak=None if ends is None else self.peak or ends[1],
            data_range=None if ends is None else ends[1] - ends[0],
            seconds=time.perf_counter() - started,
        )

    def _open(self, stack: ExitStack, progress: Progress) -> Images:
        source = stack.enter_context(RasterSource(self.input, [self.band], self.domain))
        estimate = stack.enter_context(
            open_despeckled(source, self.despeckled, self.despeckled_band, self.despeckled_domain)
        )
        found = [("input", source), ("despeckled image", estimate)]
        read_reference = None
        if self.reference:
            reference = stack.enter_context(
                open_despeckled(source, self.reference, self.reference_band, self.reference_domain)
            )
            found.append(("reference", reference))
            read_reference = AlignedSource(
                reference, reference.bands[0], pixel_offset(source, reference)
            )
        for name, raster in found:
            progress(0.0, f"Domain of the {name}: {raster.domain} ({raster.domain_reason}).")
            for note in raster.notes:
                progress(0.0, note)
        read = AlignedSource(estimate, estimate.bands[0], pixel_offset(source, estimate))
        whole = window_in(source, self.extent)
        common = whole.intersection(read.window)
        if common is None:
            raise InvalidInput(
                "The input and the despeckled image have no pixel in common; give two rasters "
                "of the same place."
            )
        if read_reference is not None and common.intersection(read_reference.window) is None:
            raise InvalidInput(
                "The reference and the despeckled image have no pixel in common; give the "
                "reference of that place."
            )
        notes = []
        if common != whole:
            notes.append(
                f"The despeckled image covers {common.area / whole.area:.0%} of the input; only "
                "that part was compared."
            )
        return Images(
            source=source,
            read=AlignedSource(source, self.band),
            read_estimate=read,
            read_reference=read_reference,
            common=common,
            estimate_domain=estimate.domain,
            reference_domain=found[2][1].domain if self.reference else "",
            notes=notes,
        )

    def _looks(self, scene: SceneStatistics, progress: Progress) -> float:
        """Number of looks, given or estimated."""
        if self.looks:
            return self.looks
        if scene.looks is None:
            raise InvalidInput(
                "The number of looks cannot be estimated from so few or such even pixels; give "
                "LOOKS."
            )
        progress(0.0, f"Number of looks, estimated from the scene: {scene.looks.looks:.2f}.")
        return scene.looks.looks

    def _maps(self, stack: ExitStack, images: Images) -> AffineMaps | None:
        if not (self.slope and self.bias):
            return None
        maps = AffineMaps(images.source, self.slope, self.bias)
        stack.callback(maps.close)
        return maps

    def _ends(self, images: Images, is_cancelled: IsCancelled) -> tuple[float, float] | None:
        """Least and greatest intensity of the reference, which PSNR and SSIM refer to."""
        if images.read_reference is None:
            return None
        low, high = np.inf, -np.inf
        common = images.common
        block_height = images.source.block_size(self.band)[1]
        for strip in row_windows(common.width, common.height, block_height, _STRIP_PIXELS):
            if is_cancelled():
                raise Cancelled("The assessment was cancelled.")
            values, valid = images.read_reference(strip.shifted(common.x, common.y))
            if valid.any():
                low = min(low, float(values[valid].min()))
                high = max(high, float(values[valid].max()))
        if not high > 0:
            raise InvalidInput(
                "The reference holds no valid pixel above zero where the images lie; check it "
                "and its nodata value."
            )
        return low, high


class _Sums:
    """The figures that all pixels add to."""

    def __init__(
        self, looks: float, design: float, pixels: int, peak: float | None, spread: float | None
    ) -> None:
        self.radiometry = Radiometry()
        self.ratios = EdgeRatios()
        self.contrast = EdgeContrast(looks, design)
        self.targets = PointTargets(looks, pixels)
        self.fidelity = Fidelity(peak, spread) if peak and spread is not None else None
        self.maps: AffineMaps | None = None

    def _parts(self) -> list[Any]:
        parts = [self.radiometry, self.ratios, self.contrast, self.targets]
        return parts if self.fidelity is None else [*parts, self.fidelity]

    def add(self, block: Block) -> None:
        for part in self._parts():
            part.add(block)

    def merge(self, other: _Sums) -> None:
        for part, more in zip(self._parts(), other._parts()):
            part.merge(more)

    def figures(self, looks: float) -> dict[str, Figure]:
        found = {
            "PIXELS": Figure(float(self.radiometry.pixels)),
            **self.radiometry.figures(looks),
            **self.ratios.figures(),
            **self.contrast.figures(),
            **self.targets.figures(),
        }
        if self.fidelity is None:
            found.update(no_reference("There is no clean reference to compare with."))
        else:
            found.update(self.fidelity.figures())
        if self.maps is None:
            why = "There are no maps a and b of an affine model: give SLOPE and BIAS."
            found.update(dict.fromkeys(("RISK", "RISK_ERROR", "RISK_GAIN_DB"), Figure(None, why)))
        else:
            found.update(self.maps.figures(looks))
        return found


@dataclass(frozen=True)
class _Piece:
    """A tile's images as read, and its maps a and b."""

    block: Block
    maps: tuple[Array, Array, Array] | None


class _Run:
    """The pass over all pixels."""

    def __init__(
        self,
        job: AssessJob,
        images: Images,
        looks: float,
        design: float,
        maps: AffineMaps | None,
        ends: tuple[float, float] | None,
        writer: RasterWriter | None,
    ) -> None:
        self.job, self.images, self.looks, self.maps = job, images, looks, maps
        self.writer = writer
        peak = None if ends is None else job.peak or ends[1]
        spread = None if ends is None else ends[1] - ends[0]
        self._make: Callable[[], _Sums] = lambda: _Sums(
            looks, design, images.common.area, peak, spread
        )

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> _Sums:
        images = self.images
        whole = Window(0, 0, images.source.width, images.source.height)
        tiles = plan_tiles(whole, images.common, _TILE, MARGIN)
        total = self._make()
        total.maps = self.maps
        done = 0

        def write(tile: Tile, made: tuple[Block, _Sums]) -> None:
            block, sums = made
            total.merge(sums)
            if self.writer is not None:
                place = tile.core.shifted(-images.common.x, -images.common.y)
                self.writer.write(0, place, *_ratio(block))

        def written(tile: Tile) -> None:
            nonlocal done
            done += tile.core.area
            progress(0.9 * done / images.common.area, "")

        threads = self.job.threads or usable_cores()
        stream(tiles, self._read, self._compute, write, written, is_cancelled, threads)
        return total

    def _read(self, tile: Tile) -> _Piece:
        images = self.images
        noisy, valid = images.read(tile.source)
        estimate, there = images.read_estimate(tile.source)
        valid = valid & there
        reference = reference_valid = None
        if images.read_reference is not None:
            reference, reference_valid = images.read_reference(tile.source)
            reference_valid = reference_valid & valid
        origin = (tile.source.x, tile.source.y)
        block = Block(noisy, estimate, valid, tile.inner, origin, reference, reference_valid)
        maps = None if self.maps is None else self.maps.read(tile.core)
        return _Piece(block, maps)

    def _compute(self, tile: Tile, piece: _Piece) -> tuple[Block, _Sums]:
        sums = self._make()
        sums.add(piece.block)
        if self.maps is not None and piece.maps is not None:
            inner = piece.block.inner
            self.maps.add(
                tile.core,
                piece.block.noisy[inner],
                piece.block.valid[inner],
                piece.maps,
                self.looks,
            )
        return piece.block, sums


def _ratio_writer(job: AssessJob, images: Images) -> RasterWriter:
    assert job.ratio is not None
    return RasterWriter(
        job.ratio,
        images.source,
        images.common,
        [job.band],
        domain=PLAIN,
        creation_options=job.creation_options,
        tags={"SPECKLESS_VERSION": VERSION, "SPECKLESS_CONTENT": "input / despeckled"},
    )


def _ratio(block: Block) -> tuple[Array, Array]:
    """Ratio of a block's core, and where there is one."""
    estimate = block.estimate[block.inner]
    valid = block.valid[block.inner] & (estimate > 0)
    quotient = np.ones(estimate.shape, np.float32)
    np.divide(block.noisy[block.inner], estimate, out=quotient, where=valid)
    return quotient, valid

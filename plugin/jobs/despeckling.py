"""Despeckling a raster: tiles from GDAL through the engine and back, overlapped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..core.errors import Cancelled, InvalidInput
from ..core.models.card import ModelCard
from ..core.models.registry import DEFAULT_MODEL, find
from ..core.moments import StreamingMoments
from ..core.noise_fit import NoiseFit, NoiseMoments
from ..core.tiling import Tile, Window, plan_tiles
from ..engine.client import Engine, Loaded, TileRequest, TileResult
from ..engine.shared import shared_engine
from ..raster.sampling import SceneStatistics
from ..raster.source import RasterSource
from ..raster.writer import PLAIN, RasterWriter, check_output
from ..version import VERSION
from .checks import EXTRA_MAPS, check_maps, check_model, check_stages
from .doubts import correlation_warnings, looks_warnings, ratio_warnings
from .knob import choose_knob
from .limits import check_positive, check_tile_size
from .maps import ReadMap, map_on
from .messages import Caution
from .scene_model import scene_model
from .scenes import IsCancelled, Progress, measure_bands, output_domain, settle_looks, window_in

_TILE = 512
_IN_FLIGHT = 3


@dataclass(frozen=True)
class DespeckleJob:
    """Despeckle the bands of a raster with one model.

    Attributes
    ----------
    input, output : str
        Rasters; the output's folder must exist.
    bands : sequence of int, optional
        Numbered from 1; all by default.
    model, model_file : str
        Id of an installed model, or the path of a weights file, which wins.
    domain : str
        "auto", "intensity", "amplitude", "db" or "complex".
    looks : float, optional
        Equivalent number of looks; estimated from the whole scene by default.
    knob : float, optional
        L the estimate is made for, ``looks`` by default: lower is smoother.
    knob_auto : bool
        Choose the knob of least estimated risk (affine models).
    extent : Window, optional
        Part of the raster, in pixels; its pixels equal those of a run on the whole.
    device, precision : str
        See `engine.client.Engine.load`.
    tile_size : int
        Side of a tile without halo; 0 chooses.
    creation_options : sequence of str
        "NAME=VALUE" of the output's driver.
    looks_map : str, optional
        Raster on the input's pixel grid whose first band holds the looks of every pixel, for
        models of `registry.LOOKS_MAPS`; where it has none, ``looks`` holds.
    class_map : str, optional
        The same, its first band the number of every pixel's class, from 1 in the order of the
        card's classes, for models of `registry.CLASS_MAPS`; elsewhere their classifier decides.
    ratio, slope, bias : str, optional
        More rasters to write: input/estimate; a and b of an affine model (intensity).
    python : str, optional
        Interpreter of the engine.
    ensemble : bool
        Mean over the 8 flips and rotations: 8 times the cost, less error.
    noise, noise_level : str, optional
        More rasters to write: the speckle, and its relative standard deviation, as the model
        estimates them (see `ModelCard.maps`).
    stages : int
        Stages of an unrolled network to run (ScaoedNet); 0 for all.
    """

    input: str
    output: str
    bands: Sequence[int] | None = None
    model: str = DEFAULT_MODEL
    model_file: str | None = None
    domain: str = "auto"
    looks: float | None = None
    knob: float | None = None
    extent: Window | None = None
    device: str = "auto"
    precision: str = "auto"
    tile_size: int = 0
    creation_options: Sequence[str] = ()
    ratio: str | None = None
    slope: str | None = None
    bias: str | None = None
    python: str | None = None
    model_folders: Sequence[str] = ()
    knob_auto: bool = False
    ensemble: bool = False
    noise: str | None = None
    noise_level: str | None = None
    stages: int = 0
    looks_map: str | None = None
    class_map: str | None = None

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> DespeckleResult:
        """Do the work; on any error or cancel no output is left and old ones are untouched.

        Parameters
        ----------
        progress : callable
            Takes the part done (0 to 1) and a message, often empty; a warning is a `Caution`.
        is_cancelled : callable

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError, RasterError
        """
        self.check()
        path = self._model_path()
        card = ModelCard.read(path)
        started = time.perf_counter()
        with RasterSource(self.input, self.bands, self.domain) as source:
            progress(0.0, f"Domain: {source.domain} ({source.domain_reason}).")
            for note in source.notes:
                progress(0.0, note)
            window = window_in(source, self.extent)
            scene = measure_bands(source, is_cancelled)
            looks = settle_looks(self.looks, scene, progress)
            with ExitStack() as stack:
                engine = stack.enter_context(shared_engine(self.python, is_cancelled))
                if card.per_scene:
                    progress(0.0, "Measuring what the model normalises by, on the whole scene.")
                own = stack.enter_context(
                    scene_model(engine, path, card, source, scene, looks, self.device, is_cancelled)
                )
                loaded = engine.load(own, self.device, self.precision, is_cancelled)
                loaded = replace(loaded, card=card)
                progress(0.0, f"Model {card.id}: {loaded.reason}.")
                doubts = self._doubts(card, scene, looks)
                try:
                    knob = self.knob
                    if self.knob_auto:
                        progress(0.0, "Choosing the knob from a sample of the scene.")
                        chosen = choose_knob(source, engine, loaded, scene, looks, is_cancelled)
                        knob = chosen.knob
                        if chosen.at_edge:
                            doubts.append(chosen.describe())
                        else:
                            progress(0.0, chosen.describe())
                    run = _Run(self, source, window, engine, loaded, scene, looks, knob)
                    run.warn(doubts, 0.0, progress)
                    run.run(progress, is_cancelled)
                    run.warn(ratio_warnings(card, run.ratio.mean), 1.0, progress)
                except BaseException:
                    engine.cancel()
                    raise
        return DespeckleResult(
            paths=self._outputs(),
            model=card.id,
            domain=source.domain,
            looks_used=looks,
            knob_used=knob or looks,
            correlation=_correlation(scene.values()),
            device=loaded.device,
            precision=loaded.precision,
            mean_ratio=run.ratio.mean,
            variance_ratio=run.ratio.variance,
            pixels=window.area * len(source.bands),
            seconds=time.perf_counter() - started,
            warnings=run.warnings,
            noise=run.noise_fit(progress),
        )

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything runs.

        Raises
        ------
        InvalidInput, ModelError, RasterError
        """
        check_positive("LOOKS", self.looks)
        check_positive("KNOB", self.knob)
        check_tile_size(self.tile_size)
        card = ModelCard.read(self._model_path())
        maps = {
            "SLOPE": self.slope, "BIAS": self.bias,
            "NOISE": self.noise, "NOISE_LEVEL": self.noise_level,
        }  # fmt: skip
        wanted = [name for name, path in maps.items() if path]
        check_model(card, self.knob, wanted, self.knob_auto)
        check_stages(card, self.stages)
        check_maps(card, self.looks_map, self.class_map)
        inputs = [path for path in (self.input, self.looks_map, self.class_map) if path]
        for output in self._outputs().values():
            check_output(output, inputs)

    def _doubts(
        self, card: ModelCard, scene: dict[int, SceneStatistics], looks: float
    ) -> list[str]:
        told = looks if card.affine or self.knob is None else self.knob
        doubts = looks_warnings(card, told)
        found = _correlation(band for band in scene.values() if band.correlated)
        if found is not None and card.affine:
            doubts += correlation_warnings(card.id, found, looks, self.knob, self.knob_auto)
        return doubts

    def _model_path(self) -> Path:
        if self.model_file:
            return Path(self.model_file)
        return find(self.model, [Path(folder) for folder in self.model_folders])

    def _outputs(self) -> dict[str, str]:
        named = {
            "OUTPUT": self.output, "RATIO": self.ratio, "SLOPE": self.slope, "BIAS": self.bias,
            "NOISE": self.noise, "NOISE_LEVEL": self.noise_level,
        }  # fmt: skip
        outputs = {name: path for name, path in named.items() if path}
        if len(set(outputs.values())) < len(outputs):
            raise InvalidInput("Two outputs have the same path; give each its own.")
        return outputs


@dataclass(frozen=True)
class DespeckleResult:
    """What a `DespeckleJob` did; ratio statistics are of input / estimate in intensity.

    ``correlation`` is that of neighbouring speckle, None where it could not be measured;
    ``noise`` are the densities fitted to the speckle estimated, where that is an output.
    """

    paths: dict[str, str]
    model: str
    domain: str
    looks_used: float
    knob_used: float
    correlation: float | None
    device: str
    precision: str
    mean_ratio: float
    variance_ratio: float
    pixels: int
    seconds: float
    warnings: list[str] = field(default_factory=list)
    noise: NoiseFit | None = None


def _correlation(bands: Iterable[SceneStatistics]) -> float | None:
    """Correlation of neighbouring speckle, of the band where it is largest."""
    return max((s.correlation for s in bands if s.correlation is not None), default=None)


class _Pending(NamedTuple):
    """A tile in the engine, and its input without halo."""

    ticket: Any
    place: int
    tile: Tile
    intensity: Any
    valid: Any


class _Run:
    """The loop over tiles: while one is computed, the next is read and the last written."""

    def __init__(
        self, job: DespeckleJob, source: RasterSource, window: Window, engine: Engine,
        loaded: Loaded, scene: dict[int, SceneStatistics], looks: float,
        knob: float | None,
    ) -> None:  # fmt: skip
        self.job, self.source, self.window, self.engine = job, source, window, engine
        self.card, self.scene, self.looks = loaded.card, scene, looks
        self.loaded, self.knob = loaded, knob
        self.maps: dict[str, ReadMap] = {}
        self.ratio = StreamingMoments()
        self.noise = NoiseMoments()
        self.warnings: list[str] = []

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> None:
        whole = Window(0, 0, self.source.width, self.source.height)
        tiles = plan_tiles(
            whole, self.window, self.job.tile_size or _TILE, self.card.halo,
            self.card.divisor,
        )  # fmt: skip
        work = [(n, band, tile) for tile in tiles for n, band in enumerate(self.source.bands)]
        total = self.window.area * len(self.source.bands)
        done = 0
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(self._writer(name, path))
                for name, path in self.job._outputs().items()
            }
            for name, path in (
                ("looks_map", self.job.looks_map), ("class_map", self.job.class_map),
            ):  # fmt: skip
                if path:
                    self.maps[name] = stack.enter_context(map_on(self.source, path, name.upper()))
            waiting: deque[_Pending] = deque()
            todo = iter(work)
            while True:
                while len(waiting) < _IN_FLIGHT and (item := next(todo, None)) is not None:
                    if is_cancelled():
                        raise Cancelled("Despeckling was cancelled.")
                    waiting.append(self._submit(*item))
                if not waiting:
                    break
                pending = waiting.popleft()
                result = self.engine.result(pending.ticket, is_cancelled)
                self._take(result, writers, pending)
                done += pending.tile.core.area
                self.warn(result.warnings, done / total, progress)
                progress(done / total, "")
            for writer in writers.values():
                writer.commit(is_cancelled)
                self.warn(writer.warnings, 1.0, progress)

    def warn(self, warnings: Sequence[str], part: float, progress: Progress) -> None:
        """Tell each warning once."""
        for warning in warnings:
            if warning not in self.warnings:
                self.warnings.append(warning)
                progress(part, Caution(warning))

    def noise_fit(self, progress: Progress) -> NoiseFit | None:
        """Densities of the estimated speckle, where it was asked for and is not constant."""
        if not self.job.noise:
            return None
        try:
            fit = self.noise.fit()
        except InvalidInput:
            return None
        progress(1.0, fit.describe())
        return fit

    def _submit(self, index: int, band: int, tile: Tile) -> _Pending:
        intensity, valid = self.source.read(band, tile.source)
        scene = self.scene[band]
        scale = self.card.scene_scale(scene.mean, scene.geometric_mean)
        maps = ["a", "b"] if self.job.slope or self.job.bias else []
        maps += [EXTRA_MAPS[name] for name in self.job._outputs() if name in EXTRA_MAPS]
        ticket = self.engine.submit(
            TileRequest(
                intensity, valid, tile.inner, scale, self.looks, self.knob, ("x", *maps),
                ensemble=self.job.ensemble, stages=self.job.stages,
                maps={name: read(tile.source) for name, read in self.maps.items()},
            )
        )  # fmt: skip
        inner = tile.inner
        rows, columns = slice(inner.y, inner.bottom), slice(inner.x, inner.right)
        return _Pending(ticket, index, tile, intensity[rows, columns], valid[rows, columns])

    def _take(
        self, result: TileResult, writers: dict[str, RasterWriter], pending: _Pending
    ) -> None:
        intensity, valid = pending.intensity, pending.valid
        place = pending.tile.core.shifted(-self.window.x, -self.window.y)
        arrays = dict(result.arrays)
        arrays["ratio"] = intensity / arrays["x"]
        self.ratio.add(arrays["ratio"][valid])
        names = {"OUTPUT": "x", "RATIO": "ratio", "SLOPE": "a", "BIAS": "b", **EXTRA_MAPS}
        if self.job.noise:
            self.noise.add(arrays["noise"])
        for name, writer in writers.items():
            writer.write(pending.place, place, arrays[names[name]], valid)

    def _writer(self, name: str, path: str) -> RasterWriter:
        tags = {
            "SPECKLESS_VERSION": VERSION,
            "SPECKLESS_MODEL": self.card.id,
            "SPECKLESS_MODEL_SHA256": self.card.tensors_sha256,
            "SPECKLESS_LOOKS": f"{self.looks:.6g}",
            "SPECKLESS_KNOB": f"{self.knob or self.looks:.6g}",
            "SPECKLESS_CONTENT": {
                "OUTPUT": "despeckled", "RATIO": "input / despeckled", "SLOPE": "a", "BIAS": "b",
                "NOISE": "estimated speckle",
                "NOISE_LEVEL": "estimated relative standard deviation of the speckle",
            }[name],
            "SPECKLESS_DOMAIN": self.source.domain,
            "SPECKLESS_PRECISION": self.loaded.precision,
            **({"SPECKLESS_STAGES": str(self.job.stages or self.card.stages)}
               if self.card.stages else {}),
            "SPECKLESS_SELF_ENSEMBLE": "yes" if self.job.ensemble else "no",
        }  # fmt: skip
        for map_name, given in (("LOOKS", self.job.looks_map), ("CLASS", self.job.class_map)):
            if given:
                tags[f"SPECKLESS_{map_name}_MAP"] = Path(given).name
        return RasterWriter(
            path,
            self.source,
            self.window,
            self.source.bands,
            domain=output_domain(self.source.domain) if name == "OUTPUT" else PLAIN,
            creation_options=self.job.creation_options,
            tags=tags,
        )

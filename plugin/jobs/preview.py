"""Despeckling what is on the screen: a window of a raster, tile by tile, kept for the next look."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import Cancelled, InvalidInput
from ..core.knob_stack import KnobStack, anchors_for
from ..core.models.card import ModelCard
from ..core.models.registry import DEFAULT_MODEL, find
from ..core.tiling import Tile, Window, plan_tiles
from ..engine.client import Engine, TileRequest
from ..engine.shared import shared_engine
from ..raster.source import RasterSource
from .giving_way import give_way, stop_between
from .preview_image import Preview
from .scene_cache import SceneCache, file_stamp
from .scene_model import scene_model
from .tile_cache import Arrays, TileCache

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IsCancelled = Callable[[], bool]
Report = Callable[[Preview, float], None]
Put = Callable[[Window, Arrays], None]

# Of every n-th pixel at most: farther out a preview says little and reads much.
MAX_STEP = 8
# Side of a tile. A grid of fixed tiles is what makes them worth keeping.
TILE = 256

_IN_FLIGHT = 3
_CACHE_BYTES = 384 * 2**20


@dataclass(frozen=True)
class PreviewRequest:
    """What to look at, and how.

    Attributes
    ----------
    path : str
    band : int
    window : Window
        Wanted pixels of the raster; the preview may hold more.
    step : int
        1 for full resolution; n for every n-th pixel of every n-th row, which keeps the
        statistics of speckle (a mean of pixels would not).
    domain, model, model_file, looks, device, precision, python, model_folders
        As for `DespeckleJob`.
    knob : float, optional
        L the estimate is made for; affine models are turned to it afterwards.
    """

    path: str
    band: int
    window: Window
    step: int = 1
    domain: str = "auto"
    model: str = DEFAULT_MODEL
    model_file: str | None = None
    looks: float | None = None
    knob: float | None = None
    device: str = "auto"
    precision: str = "auto"
    python: str | None = None
    model_folders: Sequence[str] = ()

    def model_path(self) -> Path:
        """Weights file."""
        if self.model_file:
            return Path(self.model_file)
        return find(self.model, [Path(folder) for folder in self.model_folders])


class PreviewMaker:
    """Computes previews, and keeps scenes and tiles for the next one. To be used by one thread.

    Parameters
    ----------
    scenes : SceneCache
    cache_bytes : int
        Memory for tiles.
    """

    def __init__(self, scenes: SceneCache, cache_bytes: int = _CACHE_BYTES) -> None:
        self._scenes = scenes
        self._tiles = TileCache(cache_bytes)
        self._stack: _Stack | None = None  # of the last preview

    def make(self, request: PreviewRequest, report: Report, is_cancelled: IsCancelled) -> Preview:
        """Compute a preview.

        Parameters
        ----------
        request : PreviewRequest
        report : callable
            Called with the preview, filled so far, and the part done (0 to 1), in this thread.
        is_cancelled : callable

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError, RasterError
        """
        if not 1 <= request.step <= MAX_STEP:
            raise InvalidInput(f"A preview takes every 1st to {MAX_STEP}th pixel: zoom in.")
        path = request.model_path()
        card = ModelCard.read(path)
        scene = self._scenes.get(request.path, request.band, request.domain, is_cancelled)
        looks = scene.looks_or(request.looks)
        knob = looks if request.knob is None else request.knob
        told = looks if card.affine else knob
        with RasterSource(request.path, [request.band], scene.domain) as source:
            pixels = _Thinned(source, request.step)
            preview = Preview(
                pixels.snapped(request.window), request.step, scene, card, looks, told
            )
            if self._stack is not None and self._stack.key == _stack_key(request, path, preview):
                preview.stack = self._stack.ready
            run = _Run(request, path, preview, pixels, self._tiles, told)
            report(preview, run.take_known(preview.put))
            if run.part < 1:
                with shared_engine(request.python, is_cancelled) as engine:
                    run.compute(preview.put, partial(report, preview), is_cancelled, engine)
        return preview

    def fill(
        self,
        request: PreviewRequest,
        preview: Preview,
        report: Callable[[float], None],
        is_cancelled: IsCancelled,
    ) -> None:
        """Let a whole preview turn at once: of a network told L, by running it at anchors.

        Other jobs that want the engine get it in between. What was computed stays known when this
        is cancelled, so that the next call goes on.

        Parameters
        ----------
        request : PreviewRequest
            The preview was made by.
        preview : Preview
        report : callable
            Called with the part done, in this thread; with 1 when the knob turns at once, and
            not at all where there is nothing to be done.
        is_cancelled : callable

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError, RasterError
        """
        if preview.card.affine or not preview.has_knob:
            return
        path = request.model_path()
        key = _stack_key(request, path, preview)
        if self._stack is None or self._stack.key != key:
            self._stack = _Stack(key, preview)
        stack = self._stack

        def tell(part: float) -> None:
            report(stack.part(part))

        if stack.ready is None:
            with RasterSource(request.path, [request.band], preview.scene.domain) as source:
                pixels = _Thinned(source, request.step)
                # What the user turns to first lies around the present L.
                for anchor in sorted(stack.missing, key=lambda x: abs(math.log(x / preview.knob))):
                    run = _Run(request, path, preview, pixels, self._tiles, anchor)

                    def put(core: Window, arrays: Arrays, anchor: float = anchor) -> None:
                        stack.estimates.put(anchor, arrays["x"], preview.part(core))

                    tell(run.take_known(put))
                    if run.part < 1:
                        give_way(
                            partial(run.compute, put, tell, is_cancelled, gives_way=True),
                            request.python,
                            is_cancelled,
                        )
                    if is_cancelled():
                        raise Cancelled("The preview was superseded.")
                    stack.missing.remove(anchor)
        preview.stack = stack.ready
        report(1.0)

    def forget(self) -> None:
        """Give the memory of tiles back."""
        self._tiles.clear()
        self._stack = None


class _Run:
    """One L of a preview: its tiles that are known, and the loop over those that are not.

    Attributes
    ----------
    key : tuple
        What the tiles depend on.
    knob : float
        L an affine model's maps, or the estimate of another, are made for.
    part : float
        Of the tiles that are done.
    """

    def __init__(
        self, request: PreviewRequest, path: Path, preview: Preview, pixels: _Thinned,
        known: TileCache, knob: float,
    ) -> None:  # fmt: skip
        self.request, self.path, self.preview = request, path, preview
        self.pixels, self.knob = pixels, knob
        self._known = known
        card = preview.card
        self._input = _input_key(request, preview)
        self.key = _model_key(request, path, preview, knob)
        self._tiles = plan_tiles(pixels.whole, preview.window, TILE, card.halo, card.divisor)
        self._tiles.sort(key=lambda tile: _distance(tile.core, request.window, request.step))
        self._missing = self._tiles

    @property
    def part(self) -> float:
        return 1 - len(self._missing) / len(self._tiles)

    def take_known(self, put: Put) -> float:
        """Put the tiles that need no engine; return the part they are."""
        missing = []
        for tile in self._tiles:
            z = self._known.get((self._input, tile.core))
            estimate = self._known.get((self.key, tile.core))
            if z is None or estimate is None:
                missing.append(tile)
            else:
                put(tile.core, {**z, **estimate})
        self._missing = missing
        return self.part

    def compute(
        self,
        put: Put,
        report: Callable[[float], None],
        is_cancelled: IsCancelled,
        engine: Engine,
        gives_way: bool = False,
    ) -> None:
        """Put all others, telling the part done after each; after a cancelled call, the rest."""
        for tile, arrays in self._computed(is_cancelled, engine, gives_way):
            put(tile.core, arrays)
            report(self.part)

    def _computed(
        self, is_cancelled: IsCancelled, engine: Engine, gives_way: bool
    ) -> Iterator[tuple[Tile, Arrays]]:
        request, preview = self.request, self.preview
        affine = preview.card.affine
        # Of a raster with several bands, a run takes the statistics of all those it is given.
        with scene_model(
            engine, self.path, preview.card, self.pixels.source,
            {request.band: preview.scene.statistics}, preview.looks, request.device, is_cancelled,
        ) as own:  # fmt: skip
            loaded = engine.load(own, request.device, request.precision, is_cancelled)
            preview.device, preview.device_reason = loaded.device, loaded.reason
            template = TileRequest(
                np.zeros((1, 1), np.float32), np.ones((1, 1), bool), Window(0, 0, 1, 1),
                preview.scene.scale_for(preview.card), preview.looks,
                None if affine else self.knob, ("x", "a", "b") if affine else ("x",), loaded,
            )  # fmt: skip
            todo = iter(self._missing)
            in_flight = 1 if gives_way else _IN_FLIGHT
            waiting: deque[tuple[int, Tile, FloatArray, BoolArray]] = deque()
            while True:
                while len(waiting) < in_flight and (tile := next(todo, None)) is not None:
                    stop_between(engine, is_cancelled, gives_way)
                    z, valid = self.pixels.read(request.band, tile.source)
                    inner = tile.inner
                    ticket = engine.submit(
                        replace(template, intensity=z, valid=valid, inner=inner), is_cancelled
                    )
                    box = np.s_[inner.y : inner.bottom, inner.x : inner.right]
                    waiting.append((ticket, tile, z[box], valid[box]))
                if not waiting:
                    return
                ticket, tile, z, valid = waiting.popleft()
                result = engine.result(ticket, is_cancelled)
                preview.warn(result.warnings)
                z = np.where(valid, z, np.float32(np.nan))
                self._known.put((self._input, tile.core), {"z": z})
                self._known.put((self.key, tile.core), result.arrays)
                self._missing = [other for other in self._missing if other is not tile]
                yield tile, {"z": z, **result.arrays}


class _Stack:
    """Estimates at the anchors of a preview's knob, filled one after the other.

    Attributes
    ----------
    key : tuple
        What they depend on.
    estimates : KnobStack
    missing : list of float
        Anchors that are not in.
    """

    def __init__(self, key: tuple[Any, ...], preview: Preview) -> None:
        self.key = key
        self.missing = anchors_for(preview.looks)
        shape = (preview.window.height, preview.window.width)
        self.estimates = KnobStack.empty(self.missing, shape)

    @property
    def ready(self) -> KnobStack | None:
        """The stack, once it is whole."""
        return None if self.missing else self.estimates

    def part(self, of_anchor: float) -> float:
        """What is done; below 1 until it can be used."""
        total = len(self.estimates.anchors)
        return (total - len(self.missing) + min(of_anchor, 0.99)) / total


class _Thinned:
    """A raster of which only every n-th pixel is there."""

    def __init__(self, source: RasterSource, step: int) -> None:
        self.source, self._step = source, step
        self.whole = Window(0, 0, -(-source.width // step), -(-source.height // step))

    def snapped(self, wanted: Window) -> Window:
        """Smallest window of whole tiles, in thinned pixels, that holds pixels of the raster.

        Raises
        ------
        InvalidInput
            When it lies outside the raster.
        """
        side = TILE * self._step
        x, y = wanted.x // side * TILE, wanted.y // side * TILE
        right, bottom = -(-wanted.right // side) * TILE, -(-wanted.bottom // side) * TILE
        window = self.whole.intersection(Window(x, y, right - x, bottom - y))
        if window is None:
            raise InvalidInput("The raster is not in view; zoom to it.")
        return window

    def read(self, band: int, window: Window) -> tuple[FloatArray, BoolArray]:
        step = self._step
        right = min(window.right * step, self.source.width)
        bottom = min(window.bottom * step, self.source.height)
        x, y = window.x * step, window.y * step
        z, valid = self.source.read(band, Window(x, y, right - x, bottom - y))
        if step == 1:
            return z, valid
        return np.ascontiguousarray(z[::step, ::step]), np.ascontiguousarray(valid[::step, ::step])


def _input_key(request: PreviewRequest, preview: Preview) -> tuple[Any, ...]:
    """What the pixels read depend on, besides their place."""
    return (
        request.path, file_stamp(request.path), request.band, preview.scene.domain, request.step,
    )  # fmt: skip


def _model_key(
    request: PreviewRequest, path: Path, preview: Preview, knob: float
) -> tuple[Any, ...]:
    """What the estimates depend on, besides their place."""
    return (
        *_input_key(request, preview), str(path), file_stamp(str(path)), preview.looks, knob,
        request.device, request.precision,
    )  # fmt: skip


def _stack_key(request: PreviewRequest, path: Path, preview: Preview) -> tuple[Any, ...]:
    """What a stack depends on: the middle of its anchors is L."""
    return (*_model_key(request, path, preview, preview.looks), preview.window)


def _distance(core: Window, wanted: Window, step: int) -> float:
    """Squared distance of a tile from the middle of what is looked at, in thinned pixels."""
    dx = core.x + core.width / 2 - (wanted.x + wanted.width / 2) / step
    dy = core.y + core.height / 2 - (wanted.y + wanted.height / 2) / step
    return dx * dx + dy * dy

"""Despeckling what is on the screen: a window of a raster, tile by tile, kept for the next look."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import Cancelled, InvalidInput
from ..core.models.card import ModelCard
from ..core.models.registry import DEFAULT_MODEL, find
from ..core.tiling import Tile, Window, plan_tiles
from ..engine.client import TileRequest, shared_engine
from ..raster.source import RasterSource
from .preview_image import Preview
from .scene_cache import Scene, SceneCache, file_stamp
from .scene_model import scene_model

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IsCancelled = Callable[[], bool]
Report = Callable[[Preview, float], None]

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
        self._tiles = _TileCache(cache_bytes)

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
            window = pixels.snapped(request.window)
            preview = Preview(window, request.step, scene, card, looks, told)
            tiles = plan_tiles(pixels.whole, window, TILE, card.halo, card.divisor)
            tiles.sort(key=lambda tile: _distance(tile.core, request.window, request.step))
            common = (
                request.path, file_stamp(request.path), request.band, scene.domain, request.step,
                str(path), file_stamp(str(path)), looks, told, request.device, request.precision,
            )  # fmt: skip
            missing = []
            for tile in tiles:
                known = self._tiles.get((common, tile.core))
                if known is None:
                    missing.append(tile)
                else:
                    preview.put(tile.core, known)
            report(preview, 1 - len(missing) / len(tiles))
            if missing:
                run = _Run(request, path, card, preview, pixels, scene)
                for tile, arrays in run.tiles(missing, is_cancelled):
                    self._tiles.put((common, tile.core), arrays)
                    preview.put(tile.core, arrays)
                    done = len(tiles) - len(missing) + run.done
                    report(preview, done / len(tiles))
        return preview

    def forget(self) -> None:
        """Give the memory of tiles back."""
        self._tiles.clear()


class _Run:
    """The loop over the tiles that are not known yet."""

    def __init__(
        self, request: PreviewRequest, path: Path, card: ModelCard, preview: Preview,
        pixels: _Thinned, scene: Scene,
    ) -> None:  # fmt: skip
        self.request, self.path, self.card, self.preview = request, path, card, preview
        self.pixels, self.scene = pixels, scene
        self.done = 0

    def tiles(self, missing: list[Tile], is_cancelled: IsCancelled) -> Any:
        """Yield (tile, arrays by name) in the order given."""
        request = self.request
        with ExitStack() as stack:
            engine = stack.enter_context(shared_engine(request.python, is_cancelled))
            # Of a raster with several bands, a run takes the statistics of all those it is given.
            own = stack.enter_context(
                scene_model(
                    engine, self.path, self.card, self.pixels.source,
                    {request.band: self.scene.statistics}, self.preview.looks, request.device,
                    is_cancelled,
                )
            )  # fmt: skip
            loaded = engine.load(own, request.device, request.precision, is_cancelled)
            self.preview.device, self.preview.device_reason = loaded.device, loaded.reason
            outputs = ("x", "a", "b") if self.card.affine else ("x",)
            knob = None if self.card.affine else self.preview.knob
            template = TileRequest(
                np.zeros((1, 1), np.float32), np.ones((1, 1), bool), Window(0, 0, 1, 1),
                self.scene.scale_for(self.card), self.preview.looks, knob, outputs, loaded,
            )  # fmt: skip
            todo = iter(missing)
            waiting: deque[tuple[int, Tile, FloatArray, BoolArray]] = deque()
            while True:
                while len(waiting) < _IN_FLIGHT and (tile := next(todo, None)) is not None:
                    if is_cancelled():
                        raise Cancelled("The preview was superseded.")
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
                self.preview.warn(result.warnings)
                self.done += 1
                yield tile, {"z": np.where(valid, z, np.float32(np.nan)), **result.arrays}


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


class _TileCache:
    """Arrays of tiles, the least recently used dropped first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[Any, dict[str, FloatArray]] = OrderedDict()

    def get(self, key: Any) -> dict[str, FloatArray] | None:
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: Any, arrays: dict[str, FloatArray]) -> None:
        self._entries[key] = arrays
        self._bytes += _size(arrays)
        while self._bytes > self._most and len(self._entries) > 1:
            self._bytes -= _size(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0


def _size(arrays: dict[str, FloatArray]) -> int:
    return sum(array.nbytes for array in arrays.values())


def _distance(core: Window, wanted: Window, step: int) -> float:
    """Squared distance of a tile from the middle of what is looked at, in thinned pixels."""
    dx = core.x + core.width / 2 - (wanted.x + wanted.width / 2) / step
    dy = core.y + core.height / 2 - (wanted.y + wanted.height / 2) / step
    return dx * dx + dy * dy

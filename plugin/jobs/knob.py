"""The knob chosen by the scene itself: least estimated risk on windows spread over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.affine import moments
from ..core.errors import InvalidInput
from ..core.risk import KnobRisk, best_knob
from ..core.tiling import Tile, Window, plan_tiles
from ..core.tuning import training_windows
from ..engine.client import Engine, Loaded, TileRequest
from ..raster.sampling import SceneStatistics
from ..raster.source import RasterSource
from .giving_way import stop_between

Array = npt.NDArray[Any]
IsCancelled = Callable[[], bool]
# Intensity, mean, relative variance and weight of a window, by band and window.
Part = tuple[Array, Array, Array, Array]
Known = dict[tuple[int, Window], Part]

# Enough to find the knob within a factor of 2 (`./run bench risk`).
_PIXELS = 512 * 512
_WINDOW = 256
_TILE = 512
_LEAST_USABLE = 64
_IN_FLIGHT = 3

# Side of the blocks whose spread gives the risk's error; windows start at multiples of it.
_BLOCK = 16

# As in fine-tuning: least mean over the scene's scale to divide by, and how many times as bright
# as its surroundings a pixel may be before it is a target that nothing around it foretells.
_LEAST_MEAN = 1e-3
_BRIGHTEST = 20.0

_TOO_FEW = "There are too few valid pixels to choose the knob by; give KNOB instead."


@dataclass(frozen=True)
class ChosenKnob:
    """The knob of least estimated risk.

    Attributes
    ----------
    knob : float
    at_edge : bool
        The risk still fell at the end of the range searched: the minimum may lie beyond.
    low, high : float
        The range.
    pixels : int
        The choice rests on.
    curve : KnobRisk or None
        What it was chosen by; squared error over the squared mean of the surroundings, or over
        the squared scale of the scene, by the model's kind.
    """

    knob: float
    at_edge: bool
    low: float
    high: float
    pixels: int
    curve: KnobRisk | None = None

    def describe(self) -> str:
        """What the user is told."""
        text = (
            f"Knob of least estimated risk: {self.knob:.3g} looks (searched from {self.low:.3g} "
            f"to {self.high:.3g} on {self.pixels} pixels)."
        )
        if self.at_edge:
            text += " The risk still fell at the end of that range: look at the result with care."
        return text


def choose_knob(
    source: RasterSource,
    engine: Engine,
    loaded: Loaded,
    scene: dict[int, SceneStatistics],
    looks: float,
    is_cancelled: IsCancelled,
    known: Known | None = None,
    gives_way: bool = False,
) -> ChosenKnob:
    """Find the knob of an affine model at which its estimated risk is least.

    The same for any extent: windows are spread over the whole raster. Errors count as in
    fine-tuning (`TuningRecipe.weighting`): for models made for scenes of wide range, whose scale
    is geometric, relative to the mean of the surroundings, or else the brightest would choose
    for all; for the others alike, which is what those were trained for (``./run bench risk``
    compares the two). Targets that nothing
    around them foretells do not count.

    Parameters
    ----------
    source : RasterSource
    engine : Engine
    loaded : Loaded
        An affine model.
    scene : dict
        Statistics of the source's bands.
    looks : float
    is_cancelled : callable
    known : dict, optional
        Filled with the windows that are computed: given again after a cancelled call with the
        same model, raster and looks, it goes on from there.
    gives_way : bool
        Stop between two windows where another job wants the engine, see `giving_way.give_way`.

    Raises
    ------
    Cancelled, EngineError, InvalidInput, RasterError
    """
    known = {} if known is None else known
    parts = list(_parts(source, engine, loaded, scene, looks, is_cancelled, known, gives_way))
    z, mean, relative, weight = (_mosaic([part[index] for part in parts]) for index in range(4))
    valid = weight > 0
    try:
        found = best_knob(mean, relative, z, looks, valid, weight, block=_BLOCK)
    except InvalidInput as error:
        raise InvalidInput(_TOO_FEW) from error
    low, high = (float(found.curve.knobs[end]) for end in (0, -1))
    return ChosenKnob(found.knob, found.at_edge, low, high, int(valid.sum()), found.curve)


def _parts(
    source: RasterSource,
    engine: Engine,
    loaded: Loaded,
    scene: dict[int, SceneStatistics],
    looks: float,
    is_cancelled: IsCancelled,
    known: Known,
    gives_way: bool,
) -> Iterable[Part]:
    """Intensity, mean, relative variance and weight of each window, 0 where not to be used."""
    relative_error = loaded.card.for_radar
    in_flight = 1 if gives_way else _IN_FLIGHT
    waiting: deque[tuple[tuple[int, Window], int, Array, Array, float]] = deque()

    def fetch() -> Part:
        key, *pending = waiting.popleft()
        known[key] = _part(engine, tuple(pending), relative_error, looks, is_cancelled)
        return known[key]

    def stop() -> None:
        stop_between(engine, is_cancelled, gives_way)

    for band, tile in _tiles(source, loaded, stop):
        stop()
        key = (band, tile.core)
        if key in known:
            while waiting:  # in their order, for the same figures however often it stopped
                yield fetch()
            yield known[key]
            continue
        intensity, valid = source.read(band, tile.source)
        scale = loaded.card.scene_scale(scene[band].mean, scene[band].geometric_mean)
        request = TileRequest(intensity, valid, tile.inner, scale, looks, None, ("a", "b"), loaded)
        ticket = engine.submit(request, is_cancelled)
        inner = tile.inner
        inside = np.s_[inner.y : inner.bottom, inner.x : inner.right]
        waiting.append((key, ticket, intensity[inside], valid[inside], scale))
        if len(waiting) >= in_flight:
            yield fetch()
    while waiting:
        yield fetch()


def _part(
    engine: Engine,
    pending: tuple[Any, ...],
    relative_error: bool,
    looks: float,
    is_cancelled: IsCancelled,
) -> Part:
    ticket, z, valid, scale = pending
    maps = engine.result(ticket, is_cancelled).arrays
    mean, relative = moments(maps["a"], maps["b"], looks)
    mean = np.maximum(mean, _LEAST_MEAN * scale)
    usable = valid & np.isfinite(mean) & (z <= _BRIGHTEST * mean)
    unit = mean if relative_error else np.full_like(mean, scale)
    weight = np.where(usable, 1.0 / np.square(unit, dtype=np.float64), 0.0)
    return np.where(usable, z, 0), np.where(usable, mean, 1), np.where(usable, relative, 0), weight


def _tiles(
    source: RasterSource, loaded: Loaded, stop: Callable[[], None]
) -> Iterable[tuple[int, Tile]]:
    whole = Window(0, 0, source.width, source.height)
    for band in source.bands:

        def fit(window: Window) -> bool:
            stop()
            return int(source.read(band, window)[1].sum()) >= _LEAST_USABLE  # noqa: B023

        share = max(_PIXELS // len(source.bands), 1)
        try:
            windows = training_windows(whole, share, _WINDOW, fit=fit)
        except InvalidInput as error:
            raise InvalidInput(_TOO_FEW) from error
        for window in windows:
            for tile in plan_tiles(whole, window, _TILE, loaded.card.halo, loaded.card.divisor):
                yield band, tile


def _mosaic(parts: list[Array]) -> Array:
    """Stack windows into one image, each starting a row of blocks."""
    width = max(part.shape[1] for part in parts)
    heights = [-(-part.shape[0] // _BLOCK) * _BLOCK for part in parts]
    image = np.zeros((sum(heights), width))
    y = 0
    for part, height in zip(parts, heights):
        image[y : y + part.shape[0], : part.shape[1]] = part
        y += height
    return image

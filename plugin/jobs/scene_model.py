"""The weights file a run loads: the model's, or one that knows the statistics of the scene."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..core.errors import Cancelled, InvalidInput
from ..core.models.card import ModelCard
from ..core.tiling import Window
from ..core.tuning import Scene, training_windows
from ..engine.client import Engine
from ..raster.source import RasterSource
from .scene_cache import file_stamp
from .scenes import IsCancelled

# Four windows of 256 x 256, whatever the number of bands: a network's features of these take
# some hundred megabytes.
_PIXELS = 4 * 256 * 256
_WINDOW = 256

# The last ones are kept: a preview asks again at every move. Jobs hold the engine meanwhile, so
# that there is never more than one here.
_MOST_KEPT = 3
_kept: OrderedDict[tuple[object, ...], tempfile.TemporaryDirectory[str]] = OrderedDict()


class _Means(Protocol):
    @property
    def mean(self) -> float: ...

    @property
    def geometric_mean(self) -> float: ...


@contextmanager
def scene_model(
    engine: Engine,
    path: Path,
    card: ModelCard,
    source: RasterSource,
    scene: Mapping[int, _Means],
    looks: float,
    device: str,
    is_cancelled: IsCancelled,
) -> Iterator[Path]:
    """Weights file to load for a raster; a temporary one where the model is ``per_scene``.

    The statistics are those of windows spread over the whole raster, all bands together, the
    same for any extent: a part of the raster gets the pixels of the whole.

    Parameters
    ----------
    scene : mapping
        Statistics of each band.

    Raises
    ------
    Cancelled, EngineError, InvalidInput, ModelError, RasterError
    """
    if not card.per_scene:
        yield path
        return
    scales = [
        (band, card.scene_scale(figures.mean, figures.geometric_mean))
        for band, figures in scene.items()
    ]
    key = (
        str(path), file_stamp(str(path)), source.path, file_stamp(source.path), source.domain,
        tuple(scales), looks, device,
    )  # fmt: skip
    folder = _kept.pop(key, None)
    if folder is None or not Path(folder.name, path.name).exists():
        windows = list(_windows(source, scales, is_cancelled))
        folder = tempfile.TemporaryDirectory(prefix="speckless-")
        try:
            own = Path(folder.name, path.name)
            engine.freeze(path, own, windows, looks, device, is_cancelled)
        except BaseException:
            folder.cleanup()
            raise
    _kept[key] = folder
    while len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)[1].cleanup()
    yield Path(folder.name, path.name)


def _windows(
    source: RasterSource, scales: Sequence[tuple[int, float]], is_cancelled: IsCancelled
) -> Iterator[Scene]:
    whole = Window(0, 0, source.width, source.height)
    share = max(_PIXELS // len(scales), 1)
    for band, scale in scales:

        def share_of_valid(window: Window) -> float:
            if is_cancelled():
                raise Cancelled("Despeckling was cancelled.")
            return float(source.read(band, window)[1].mean())  # noqa: B023

        try:
            chosen = training_windows(
                whole, share, _WINDOW, fit=lambda window: share_of_valid(window) >= 0.5
            )
        except InvalidInput:  # little of the frame is scene
            chosen = training_windows(
                whole, share, _WINDOW, fit=lambda window: share_of_valid(window) > 0
            )
        for window in chosen:
            yield Scene(*source.read(band, window), scale)

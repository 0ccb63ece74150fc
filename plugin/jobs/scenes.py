"""What is known of a raster band before anything is computed from it, measured once and kept."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ..core.errors import Cancelled, InvalidInput, RasterError
from ..core.models.card import ModelCard
from ..raster.placing import Placement
from ..raster.sampling import SceneStatistics, scene_statistics
from ..raster.source import RasterSource

IsCancelled = Callable[[], bool]

_MOST = 32


@dataclass(frozen=True)
class Scene:
    """One band of a raster, as a whole.

    Attributes
    ----------
    path : str
    band : int
    width, height : int
        In pixels.
    domain, domain_reason : str
        Resolved: never "auto".
    notes : tuple of str
        See `RasterSource.notes`.
    statistics : SceneStatistics
        Frozen for every tile, whatever part of the band is looked at.
    placement : Placement
    """

    path: str
    band: int
    width: int
    height: int
    domain: str
    domain_reason: str
    notes: tuple[str, ...]
    statistics: SceneStatistics
    placement: Placement

    @property
    def looks(self) -> float | None:
        """Number of looks estimated from the whole band; None where it does not tell."""
        estimate = self.statistics.looks
        return None if estimate is None else estimate.looks

    def scale_for(self, card: ModelCard) -> float:
        """Scale that a model's input is divided by."""
        return card.scene_scale(self.statistics.mean, self.statistics.geometric_mean)

    def looks_or(self, given: float | None) -> float:
        """The number of looks given, or else the one estimated.

        Raises
        ------
        InvalidInput
            When there is neither.
        """
        looks = self.looks if given is None else given
        if looks is None:
            raise InvalidInput(
                "The number of looks cannot be estimated from so few valid pixels; enter it."
            )
        return looks


class SceneCache:
    """Scenes by file, band and domain; measured anew when the file has changed.

    May be used by several threads; one measures, the others wait.
    """

    def __init__(self) -> None:
        self._scenes: OrderedDict[tuple[object, ...], Scene] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str, band: int, domain: str, is_cancelled: IsCancelled) -> Scene:
        """Describe a band.

        Parameters
        ----------
        path : str
        band : int
            From 1.
        domain : str
            "auto", or the one to take the values for.
        is_cancelled : callable

        Raises
        ------
        Cancelled, InvalidInput, RasterError
        """
        with self._lock:
            key = (path, file_stamp(path), band, domain)
            if key in self._scenes:
                self._scenes.move_to_end(key)
                return self._scenes[key]
            if is_cancelled():
                raise Cancelled("Measuring the scene was cancelled.")
            scene = _measure(path, band, domain)
            self._scenes[key] = scene
            while len(self._scenes) > _MOST:
                self._scenes.popitem(last=False)
            return scene


def file_stamp(path: str) -> tuple[int, int]:
    """Time and size of a file, which change with its content; zeros where it is no plain file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _measure(path: str, band: int, domain: str) -> Scene:
    with RasterSource(path, [band], domain) as source:
        statistics = scene_statistics(source, band)
        if statistics.mean <= 0:
            raise RasterError(f"Band {band} of {path} holds nothing above zero.")
        return Scene(
            path=path,
            band=band,
            width=source.width,
            height=source.height,
            domain=source.domain,
            domain_reason=source.domain_reason,
            notes=tuple(source.notes),
            statistics=statistics,
            placement=Placement(path),
        )

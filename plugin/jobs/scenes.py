"""What every job over a raster settles first: its window, its speckle, its outputs' domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import Cancelled, InvalidInput, RasterError
from ..core.tiling import Window
from ..raster.source import RasterSource

if TYPE_CHECKING:
    from ..raster.sampling import SceneStatistics

Progress = Callable[[float, str], None]
IsCancelled = Callable[[], bool]


def window_in(source: RasterSource, extent: Window | None) -> Window:
    """Return the part of an extent that lies in the raster; the whole raster for None.

    Raises
    ------
    InvalidInput
        If they have no pixel in common.
    """
    whole = Window(0, 0, source.width, source.height)
    if extent is None:
        return whole
    window = whole.intersection(extent)
    if window is None:
        raise InvalidInput("The extent lies outside the raster; choose one that overlaps it.")
    return window


def measure_bands(source: RasterSource, is_cancelled: IsCancelled) -> dict[int, SceneStatistics]:
    """Return the statistics of each band, of the whole raster whatever part of it is asked for.

    Raises
    ------
    Cancelled
    RasterError
        If a band holds no valid pixel, or none above zero.
    """
    # Not needed where the number of looks is given.
    from ..raster.sampling import scene_statistics

    scene = {}
    for band in source.bands:
        if is_cancelled():
            raise Cancelled("Despeckling was cancelled.")
        scene[band] = scene_statistics(source, band)
        if scene[band].mean <= 0:
            raise RasterError(f"Band {band} of {source.path} holds nothing above zero.")
    return scene


def settle_looks(
    given: float | None, scene: dict[int, SceneStatistics], progress: Progress
) -> float:
    """Return the number of looks given, else the median of the bands' estimates.

    Raises
    ------
    InvalidInput
        If no band's pixels tell.
    """
    if given is not None:
        return given
    estimates = [s.looks.looks for s in scene.values() if s.looks is not None]
    if not estimates:
        raise InvalidInput(
            "The number of looks cannot be estimated from so few valid pixels; give LOOKS."
        )
    looks = float(np.median(estimates))
    progress(0.0, f"Number of looks, estimated from the scene: {looks:.2f}.")
    return looks


def output_domain(domain: str) -> str:
    """Return the domain a despeckled raster is written in: the input's, intensity for complex."""
    return {"complex": "intensity"}.get(domain, domain)

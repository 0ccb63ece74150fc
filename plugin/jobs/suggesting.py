"""Where in the part of a scene that is looked at areas of pure speckle may lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..core.errors import Cancelled, InvalidInput
from ..core.homogeneous_windows import HomogeneousWindow, homogeneous_windows
from ..core.tiling import Window
from ..raster.placing import Placement
from ..raster.source import RasterSource

IsCancelled = Callable[[], bool]

_BLOCK = 1024
# In more blocks than this, evenly spread ones are looked through.
_MOST_BLOCKS = 64


@dataclass(frozen=True)
class Suggestions:
    """What was found.

    Attributes
    ----------
    windows : list of HomogeneousWindow
        From the most homogeneous on, in pixels of the raster.
    outlines : list of list of (x, y)
        Their corners in the CRS of the raster, in the same order.
    share : float
        Part of the window that was looked through.
    """

    windows: list[HomogeneousWindow]
    outlines: list[list[tuple[float, float]]]
    share: float


def suggest_areas(
    path: str,
    band: int,
    domain: str,
    window: Window,
    size: int,
    count: int,
    is_cancelled: IsCancelled,
) -> Suggestions:
    """Find the most homogeneous windows of a part of a raster, at full resolution.

    Parameters
    ----------
    path : str
    band : int
    domain : str
        "auto", or what the values are.
    window : Window
        Part of the raster to look through.
    size : int
        Side of the windows.
    count : int
        Most windows to find; fewer where there are no more.
    is_cancelled : callable

    Raises
    ------
    Cancelled
    InvalidInput
        When the part is smaller than a window.
    RasterError
    """
    if min(window.width, window.height) < size:
        raise InvalidInput(
            f"The part of the layer in view is {window.width} x {window.height} pixels, too small "
            f"for areas of {size} x {size}: zoom out, or look for smaller ones."
        )
    blocks = list(_blocks(window, size))
    chosen = blocks[:: -(-len(blocks) // _MOST_BLOCKS)]
    found: list[HomogeneousWindow] = []
    with RasterSource(path, [band], domain) as source:
        for block in chosen:
            if is_cancelled():
                raise Cancelled("The search was stopped.")
            intensity, valid = source.read(band, block)
            found += [
                HomogeneousWindow(each.window.shifted(block.x, block.y), each.cx)
                for each in homogeneous_windows(intensity, valid, size, count)
            ]
    best: list[HomogeneousWindow] = []
    for each in sorted(found, key=lambda one: (one.cx, one.window.y, one.window.x)):
        # Blocks overlap by a window, so that none is missed at their edges.
        if all(each.window.intersection(other.window) is None for other in best):
            best.append(each)
    best = best[:count]
    place = Placement(path)
    outlines = [place.to_map(_corners(each.window)) for each in best]
    return Suggestions(best, outlines, len(chosen) / len(blocks))


def _blocks(window: Window, size: int) -> Iterator[Window]:
    step = max(_BLOCK - size, size)
    for y in _starts(window.y, window.height, size, step):
        for x in _starts(window.x, window.width, size, step):
            block = Window(x, y, step + size, step + size).intersection(window)
            assert block is not None
            yield block


def _starts(first: int, length: int, size: int, step: int) -> range:
    """Starts of blocks, each of which holds at least one window more than the one before."""
    return range(first, first + max(length - size, 1), step)


def _corners(window: Window) -> list[tuple[float, float]]:
    return [
        (window.x, window.y), (window.right, window.y), (window.right, window.bottom),
        (window.x, window.bottom), (window.x, window.y),
    ]  # fmt: skip

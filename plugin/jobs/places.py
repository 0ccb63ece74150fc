"""Which part of a scene to show: the one with the most edges that are not speckle."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.tiling import Window

Array = npt.NDArray[Any]

SIDE = 160  # of the part shown
# Places looked at along each side of the scene.
_PLACES = 5
_BLOCK = 4


def most_detailed(
    read: Callable[[Window], tuple[Array, Array]], extent: Window, side: int = SIDE
) -> Window:
    """Return the window with the most detail, of some spread over the extent.

    Parameters
    ----------
    read : callable
        Window to intensity and validity.
    extent : Window
    side : int
        Of the window, less in smaller extents.
    """
    best, most = None, -math.inf
    for window in _candidates(extent, side):
        found = detail(*read(window))
        if best is None or found > most:
            best, most = window, found
    assert best is not None
    return best


def detail(intensity: Array, valid: Array) -> float:
    """How much an image changes from place to place, of what is not speckle; 0 at least.

    Mean absolute step of the log of 4×4 means to their neighbours, each counted to a factor
    of 4 at most so that single bright targets do not decide; less where pixels are invalid.
    """
    height, width = (length // _BLOCK * _BLOCK for length in intensity.shape)
    if not height or not width:
        return 0.0
    shape = (height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    kept = valid[:height, :width]
    sums = np.where(kept, intensity[:height, :width], 0.0).reshape(shape).sum(axis=(1, 3))
    counts = kept.reshape(shape).sum(axis=(1, 3))
    usable = (counts == _BLOCK**2) & (sums > 0)
    logs = np.log(np.where(usable, sums, 1.0))
    total = 0.0
    for axis in (0, 1):
        steps = np.minimum(np.abs(np.diff(logs, axis=axis)), math.log(4))
        both = usable[1:] & usable[:-1] if axis == 0 else usable[:, 1:] & usable[:, :-1]
        total += float(steps[both].sum())
    return total / (2 * usable.size)


def _candidates(extent: Window, side: int) -> Iterator[Window]:
    width, height = min(side, extent.width), min(side, extent.height)

    def starts(first: int, length: int, size: int) -> list[int]:
        count = min(_PLACES, -(-length // size))
        return [int(first + place) for place in np.linspace(0, length - size, count)]

    for y in starts(extent.y, extent.height, height):
        for x in starts(extent.x, extent.width, width):
            yield Window(x, y, width, height)

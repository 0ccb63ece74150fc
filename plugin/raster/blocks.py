"""Which pixels to look at where a raster is too large to look at all."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..core.tiling import Window

# Sides are multiples of this, which the estimators' cells and blocks divide.
UNIT = 16
_SIDE = 256


def sample_windows(
    width: int, height: int, block: tuple[int, int], max_pixels: int, side: int = _SIDE
) -> list[Window]:
    """Spread windows over a raster, the same ones for the same raster always.

    Parameters
    ----------
    width, height : int
        Size of the raster.
    block : (int, int)
        Width and height of the file's blocks. Windows start at a block's corner where that
        costs no spread; in files of long strips they share strips, which are read as a whole.
    max_pixels : int
        Most pixels in all windows together, but for one window at least.
    side : int, default 256
        Width and height of a window (less at the raster's edge).

    Returns
    -------
    list of Window
        Disjoint, row by row. One window of the whole raster if `max_pixels` allows.
    """
    if width * height <= max_pixels:
        return [Window(0, 0, width, height)]
    count = max(1, max_pixels // (side * side))
    # As square as the raster; strips are dear to open, so fewer rows and more columns there.
    shape = math.sqrt(height / width) * (0.5 if block[0] > 4 * side else 1.0)
    rows = min(max(1, int(math.sqrt(count) * shape)), math.ceil(height / side), count)
    columns = min(max(1, count // rows), math.ceil(width / side))
    rows = min(max(1, count // columns), math.ceil(height / side))
    return [
        Window(x, y, min(side, width - x), min(side, height - y))
        for y in _starts(height, rows, side, block[1])
        for x in _starts(width, columns, side, block[0])
    ]


def _starts(length: int, count: int, side: int, block: int) -> list[int]:
    """Place `count` windows in the middle of equal parts of one axis, at blocks' starts."""
    starts: list[int] = []
    for index in range(count):
        part = (index + 0.5) * length / count
        start = max(0, int(part - side / 2))
        aligned = start // block * block
        if block <= side and (not starts or aligned >= starts[-1] + side):
            start = aligned
        starts.append(max(start, starts[-1] + side) if starts else start)
    return [start for start in starts if start < length]


def row_windows(width: int, height: int, block_height: int, max_pixels: int) -> Iterator[Window]:
    """Cover a raster with full-width windows of whole block rows, about `max_pixels` each."""
    rows = max(1, max_pixels // width)
    rows = max(1, rows // block_height) * block_height if rows > block_height else rows
    for y in range(0, height, rows):
        yield Window(0, y, width, min(rows, height - y))

"""Gathering tiles until whole rows of a file's blocks can be written at once.

Tiles of a run rarely end where the blocks of a compressed file do. Written as they come, a block
may leave GDAL's cache half done, to be decompressed, completed and appended again, the first
copy lying dead in the file. Gathered, each block is compressed exactly once, and GDAL's cache
never holds more than one row of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.tiling import Window

Array = npt.NDArray[Any]

# Thin strips are gathered to about as many rows as tiled files have.
_LEAST_ROWS = 128


class StripBuffer:
    """Rows of one band that wait to be complete.

    Parameters
    ----------
    width, height : int
        Of the band, in pixels.
    block_height : int
        Of the file's blocks.
    fill : float
        For pixels nobody writes.
    dtype : numpy type
    """

    def __init__(self, width: int, height: int, block_height: int, fill: float, dtype: Any) -> None:
        self._width, self._height = width, height
        self.rows = -(-max(block_height, _LEAST_ROWS) // block_height) * block_height
        self._fill, self._dtype = fill, dtype
        self._waiting: dict[int, tuple[Array, npt.NDArray[np.bool_]]] = {}
        self._left: dict[int, int] = {}
        self._done: set[int] = set()

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return sum(values.nbytes + seen.nbytes for values, seen in self._waiting.values())

    def add(self, window: Window, values: Array) -> Iterator[tuple[Window, Array]]:
        """Take a window's pixels; yield what can be written now, as (window, values).

        Pixels of strips already written come back at once, as they are: rewriting is slower but
        not wrong.
        """
        for index in range(window.y // self.rows, (window.bottom - 1) // self.rows + 1):
            first = max(window.y, index * self.rows)
            last = min(window.bottom, (index + 1) * self.rows)
            part = values[first - window.y : last - window.y]
            if index in self._done:
                yield Window(window.x, first, window.width, last - first), part
                continue
            if index not in self._waiting and part.shape == self._shape(index):
                self._done.add(index)
                yield Window(0, first, self._width, last - first), part
                continue
            strip, seen = self._strip(index)
            place = np.s_[
                first - index * self.rows : last - index * self.rows, window.x : window.right
            ]
            strip[place] = part
            self._left[index] -= part.size - int(np.count_nonzero(seen[place]))
            seen[place] = True
            if self._left[index] == 0:
                yield self._take(index)

    def oldest(self) -> Iterator[tuple[Window, Array]]:
        """Yield the longest waiting strip, complete or not, if there is one."""
        if self._waiting:
            yield self._take(next(iter(self._waiting)))

    def rest(self) -> Iterator[tuple[Window, Array]]:
        """Yield what is left of the band, from top to bottom, pixels nobody wrote as fill."""
        for index in range(-(-self._height // self.rows)):
            if index not in self._done:
                self._strip(index)
                yield self._take(index)

    def _strip(self, index: int) -> tuple[Array, npt.NDArray[np.bool_]]:
        if index not in self._waiting:
            shape = self._shape(index)
            self._waiting[index] = np.full(shape, self._fill, self._dtype), np.zeros(shape, bool)
            self._left[index] = shape[0] * shape[1]
        return self._waiting[index]

    def _shape(self, index: int) -> tuple[int, int]:
        return min(self.rows, self._height - index * self.rows), self._width

    def _take(self, index: int) -> tuple[Window, Array]:
        strip, _ = self._waiting.pop(index)
        self._done.add(index)
        return Window(0, index * self.rows, self._width, len(strip)), strip

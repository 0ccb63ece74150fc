"""Memory for computed tiles, of limited size."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[np.float32]]


class TileCache:
    """Arrays of tiles, the least recently used dropped first.

    Parameters
    ----------
    most_bytes : int
        The newest tile is kept even if it alone is larger.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[Any, Arrays] = OrderedDict()

    def get(self, key: Any) -> Arrays | None:
        """Arrays put under a key; None where there are none any more."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: Any, arrays: Arrays) -> None:
        """Keep arrays, in place of any other under this key."""
        self._bytes -= _size(self._entries.pop(key, {}))
        self._entries[key] = arrays
        self._bytes += _size(arrays)
        while self._bytes > self._most and len(self._entries) > 1:
            self._bytes -= _size(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        """Give the memory back."""
        self._entries.clear()
        self._bytes = 0


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())

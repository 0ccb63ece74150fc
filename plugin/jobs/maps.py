"""What is known of every pixel, read from a raster on the grid of the one to despeckle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from ..core.errors import InvalidInput, RasterError
from ..core.tiling import Window
from ..raster.alignment import AlignedSource, pixel_offset
from ..raster.source import RasterSource

ReadMap = Callable[[Window], npt.NDArray[np.float32]]


@contextmanager
def map_on(source: RasterSource, path: str, name: str) -> Iterator[ReadMap]:
    """Open a map of positive numbers; what it yields reads a window of the source's grid.

    Where the map has no value, or none above zero, what is read is 0.

    Parameters
    ----------
    source : RasterSource
    path : str
        Of which the first band is read.
    name : str
        What the user knows it by.

    Raises
    ------
    InvalidInput
        When the map lies elsewhere.
    RasterError
        When it cannot be read, or its pixels do not coincide with the source's.
    """
    with RasterSource(path, [1], "intensity") as given:
        try:
            offset = pixel_offset(source, given)
        except RasterError as error:
            raise RasterError(
                f"The pixels of {name} ({path}) do not coincide with those of {source.path}; "
                "resample it to the grid of the input first."
            ) from error
        there = Window(*offset, given.width, given.height)
        if there.intersection(Window(0, 0, source.width, source.height)) is None:
            raise InvalidInput(f"{name} ({path}) covers no part of {source.path}.")
        read = AlignedSource(given, 1, offset)

        def read_positive(window: Window) -> npt.NDArray[np.float32]:
            values, valid = read(window)
            return np.where(valid & (values > 0), values, np.float32(0))

        yield read_positive

"""The estimated risk of an affine estimate whose maps a and b lie in rasters."""

from __future__ import annotations

import math
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import InvalidInput
from ..core.metrics.figure import Figure
from ..core.risk import RiskEstimate, estimated_risk, pooled
from ..core.tiling import Window
from ..raster.alignment import pixel_offset
from ..raster.source import RasterSource
from .pairs import same_band

Array = npt.NDArray[Any]


class AffineMaps:
    """Maps of an affine model on the grid of its input, and the risk they tell.

    Parameters
    ----------
    source : RasterSource
        The input, of one band.
    slope, bias : str
        Rasters as ``speckless:despeckle`` writes them.

    Raises
    ------
    RasterError
        If one cannot be read, or lies on other pixels.
    """

    def __init__(self, source: RasterSource, slope: str, bias: str) -> None:
        self._sources: list[RasterSource] = []
        self._offsets: list[tuple[int, int]] = []
        self._found: dict[tuple[int, int], RiskEstimate] = {}
        self._squares = 0.0
        self._lock = Lock()
        try:
            for path in (slope, bias):
                band = same_band(path, source.bands[0])
                # The values are read as they are, whatever quantity they look like.
                opened = RasterSource(path, [band], "intensity")
                self._sources.append(opened)
                self._offsets.append(pixel_offset(source, opened))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close both rasters."""
        for source in self._sources:
            source.close()

    def read(self, window: Window) -> tuple[Array, Array, Array]:
        """Return a, b and where both are valid, in a window of the input."""
        images = []
        valid = np.ones((window.height, window.width), bool)
        for source, (x, y) in zip(self._sources, self._offsets):
            values = np.zeros(valid.shape)
            moved = window.shifted(-x, -y)
            there = moved.intersection(Window(0, 0, source.width, source.height))
            known = np.zeros(valid.shape, bool)
            if there is not None:
                top, left = there.y - moved.y, there.x - moved.x
                place = np.s_[top : top + there.height, left : left + there.width]
                values[place], known[place] = source.read_values(source.bands[0], there)
            valid &= known
            images.append(values)
        return images[0], images[1], valid

    def add(
        self,
        window: Window,
        noisy: Array,
        valid: Array,
        maps: tuple[Array, Array, Array],
        looks: float,
    ) -> None:
        """Take in a window; may be called by several threads."""
        a, b, known = maps
        usable = valid & known
        try:
            found = estimated_risk(noisy, a, b, looks, usable)
        except InvalidInput:
            return  # a handful of pixels at an edge
        squares = float(np.sum(np.square(noisy[usable], dtype=np.float64)))
        with self._lock:
            self._found[window.y, window.x] = found
            self._squares += squares

    def figures(self, looks: float) -> dict[str, Figure]:
        """Risk, its standard error, and the despeckling gain it implies.

        The input's own squared error is known too: ``E Z² σ² / (1 + σ²)``.
        """
        if not self._found:
            why = "The maps a and b hold too few valid pixels where the images do."
            return dict.fromkeys(("RISK", "RISK_ERROR", "RISK_GAIN_DB"), Figure(None, why))
        # In the order of places, so that the sum does not depend on threads.
        found = pooled([self._found[place] for place in sorted(self._found)])
        before = self._squares / found.n / (1 + looks)
        gain = Figure(
            None,
            "The estimated risk is not positive: correlated speckle or too high a number of "
            "looks makes it come out too low.",
        )
        if found.value > 0 and before > 0:
            gain = Figure(10 * math.log10(before / found.value))
        return {
            "RISK": Figure(found.value),
            "RISK_ERROR": Figure(found.standard_error),
            "RISK_GAIN_DB": gain,
        }

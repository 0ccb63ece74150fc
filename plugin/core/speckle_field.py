"""Simulated speckle of a whole scene, drawn window by window: the same whatever the windows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput
from .special import check_positive
from .speckle import psf_kernel
from .tiling import Window

FloatArray = npt.NDArray[np.float32]

CELL = 64
MAX_CORRELATION = 0.9
_MAX_LOOKS = 100  # of correlated speckle, which is drawn look by look


class SpeckleField:
    """Multiplicative speckle of mean 1 and variance 1 / L, endless in all directions.

    The plane is cut into cells of 64 x 64 pixels, each with a random generator of its own, seeded
    by the seed, the band and the place of the cell. Correlated speckle is the mean power of
    complex Gaussian fields, one a look, filtered by a Gaussian point spread function.

    Parameters
    ----------
    looks : float
        Any positive number for white speckle, a whole one up to 100 for correlated.
    seed : int
        Not negative. The same seed gives the same speckle.
    correlation : (float, float), default white
        Of the intensity of neighbours in a row, and in a column, 0 to 0.9. It falls off with the
        distance d as ``r**(d**2)``.

    Raises
    ------
    InvalidInput
        If a parameter is out of range.
    """

    def __init__(
        self, looks: float, seed: int = 0, correlation: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        self.looks = check_positive(looks, "number of looks")
        if seed < 0:
            raise InvalidInput(f"The seed must not be negative, got {seed}.")
        if not all(0 <= r <= MAX_CORRELATION for r in correlation):
            raise InvalidInput(
                f"The correlation of neighbours must lie between 0 and {MAX_CORRELATION}, got "
                f"{correlation[0]} and {correlation[1]}."
            )
        self.white = not any(correlation)
        if not self.white and (looks != int(looks) or looks > _MAX_LOOKS):
            raise InvalidInput(
                "Correlated speckle averages whole looks, "
                f"up to {_MAX_LOOKS}; got {looks}. Round it, or leave the correlation out."
            )
        self._seed = int(seed)
        self._kernels = [_kernel(r) for r in correlation]  # along x, along y

    def __call__(self, band: int, window: Window) -> FloatArray:
        """Return the speckle of a window, (height, width); windows may begin below zero.

        Parameters
        ----------
        band : int
            Bands are independent of each other.
        window : Window
        """
        if self.white:
            return self._drawn(band, 0, window)
        x_margin, y_margin = (len(kernel) // 2 for kernel in self._kernels)
        wide = Window(
            window.x - x_margin,
            window.y - y_margin,
            window.width + 2 * x_margin,
            window.height + 2 * y_margin,
        )
        total = np.zeros((window.height, window.width), np.float32)
        # Real and imaginary parts of each look are so many fields of variance 1/2.
        for field in range(2 * int(self.looks)):
            values = self._drawn(band, field, wide)
            rows = _sum([k * values[i : i + window.height] for i, k in enumerate(self._kernels[1])])
            total += np.square(
                _sum([k * rows[:, i : i + window.width] for i, k in enumerate(self._kernels[0])])
            )
        total /= np.float32(2 * int(self.looks))
        return total

    def _drawn(self, band: int, field: int, window: Window) -> FloatArray:
        """Put the cells of a window together."""
        values = np.empty((window.height, window.width), np.float32)
        for row in range(window.y // CELL, -(-window.bottom // CELL)):
            for column in range(window.x // CELL, -(-window.right // CELL)):
                cell = Window(column * CELL, row * CELL, CELL, CELL)
                common = cell.intersection(window)
                assert common is not None
                there = common.shifted(-window.x, -window.y)
                part = common.shifted(-cell.x, -cell.y)
                values[there.y : there.bottom, there.x : there.right] = self._cell(
                    band, field, row, column
                )[part.y : part.bottom, part.x : part.right]
        return values

    def _cell(self, band: int, field: int, row: int, column: int) -> FloatArray:
        # Seeds must not be negative; cells may lie left of and above the raster.
        place = (2**31 + row, 2**31 + column)
        rng = np.random.default_rng([self._seed, band, field, *place])
        if self.white:
            return rng.gamma(self.looks, 1 / self.looks, (CELL, CELL)).astype(np.float32)
        return rng.standard_normal((CELL, CELL), dtype=np.float32)


@lru_cache(maxsize=32)
def _kernel(correlation: float) -> Any:
    """Return a point spread whose speckle has that correlation of neighbouring intensities."""
    if correlation == 0:
        return np.ones(1, np.float32)
    low, high = 0.2, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        if _intensity_correlation(middle) < correlation:
            low = middle
        else:
            high = middle
    return psf_kernel(high)


def _intensity_correlation(psf_sigma: float) -> float:
    """Square of the field's correlation over one pixel."""
    taps = psf_kernel(psf_sigma).astype(np.float64)
    return float(np.dot(taps[1:], taps[:-1]) / np.dot(taps, taps)) ** 2


def _sum(parts: list[Any]) -> Any:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total

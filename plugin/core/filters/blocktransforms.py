"""Orthonormal and redundant transforms of groups of 8 x 8 blocks, as matrices."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from .base import Array
from .blockmatching import BLOCK

_PIXELS = BLOCK * BLOCK

# Daubechies' orthonormal low-pass filter with eight taps.
_DB4 = np.array([
    0.2303778133088965, 0.7148465705529156, 0.6308807679298589, -0.0279837694168599,
    -0.1870348117190931, 0.0308413818355607, 0.0328830116668852, -0.0105974017850690,
])  # fmt: skip


class Frame(NamedTuple):
    """A redundant transform of a block, in bands of 64 coefficients.

    Attributes
    ----------
    analysis : ndarray of float32, (64, 64 bands)
        A block, as a row, times this gives its coefficients, band by band.
    synthesis : ndarray of float32, (64 bands, 64)
        Undoes it.
    gains : ndarray of float32, (bands,)
        Variance of a band's coefficients where that of white noise is 1.
    """

    analysis: Array
    synthesis: Array
    gains: Array


@functools.lru_cache(maxsize=4)
def undecimated_wavelet(levels: int = 3) -> Frame:
    """Return the undecimated wavelet transform, periodic, the smooth band last."""
    low, high = _DB4, _DB4[::-1] * (-1.0) ** np.arange(len(_DB4))
    bands = []
    smooth = np.eye(_PIXELS)
    for level in range(levels):
        lower = _circulant(low / np.sqrt(2.0), 2**level)
        upper = _circulant(high / np.sqrt(2.0), 2**level)
        for vertical, horizontal in ((lower, upper), (upper, lower), (upper, upper)):
            bands.append(np.kron(vertical, horizontal) @ smooth)
        smooth = np.kron(lower, lower) @ smooth
    bands.append(smooth)
    analysis = np.concatenate(bands, 0)  # a tight frame: its transpose undoes it
    gains = [np.square(band).sum() / _PIXELS for band in bands]
    return Frame(
        np.ascontiguousarray(analysis.T, np.float32),
        np.ascontiguousarray(analysis, np.float32),
        np.array(gains, np.float32),
    )


def _circulant(taps: Array, spacing: int) -> Array:
    matrix = np.zeros((BLOCK, BLOCK))
    for row in range(BLOCK):
        for place, tap in enumerate(taps):
            matrix[row, (row + (place - 3) * spacing) % BLOCK] += tap
    return matrix


@functools.lru_cache(maxsize=4)
def cosine() -> Array:
    """Return the orthonormal two-dimensional cosine transform, (64, 64), a row a coefficient."""
    index = np.arange(BLOCK)
    one = np.cos(np.pi * (2 * index[None, :] + 1) * index[:, None] / (2 * BLOCK))
    one *= np.sqrt(2.0 / BLOCK)
    one[0] /= np.sqrt(2.0)
    return np.ascontiguousarray(np.kron(one, one), np.float32)


@functools.lru_cache(maxsize=8)
def haar(size: int) -> Array:
    """Return the orthonormal Haar transform, a row a coefficient, the mean first."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        half = len(matrix)
        matrix = np.concatenate(
            [np.kron(matrix, [1.0, 1.0]), np.kron(np.eye(half), [1.0, -1.0])]
        ) / np.sqrt(2.0)
    return np.ascontiguousarray(matrix, np.float32)


def haar_bands(size: int) -> list[slice]:
    """Return the rows of each scale of `haar`, the mean's first."""
    edges = [0, *(2**power for power in range(size.bit_length()))]
    return [slice(first, last) for first, last in zip(edges, edges[1:])]

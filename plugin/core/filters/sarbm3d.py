"""SAR-BM3D: non-local groups of blocks, shrunk in a transform domain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable, ClassVar, NamedTuple

import numpy as np

from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .blockmatching import BLOCK, LATTICE, Likeness, most_alike, reference_corners
from .blocktransforms import cosine, haar, haar_bands, undecimated_wavelet
from .local import local_mean, run_sums
from .logarithm import LogIntensity, log_intensity

_FIRST_GROUP, _SECOND_GROUP = 16, 32
_PIXELS = BLOCK * BLOCK
# Blocks hold no pixel further than this from their valid ones.
_FILL_RADIUS = BLOCK - 1
# Groups transformed at once, padded to this number so that matrix products round alike whatever
# the tile.
_BATCH = 64
_LEAST = np.float32(1e-30)  # of the power of groups whose largest value is 1
_FLOOR = 0.03  # of the mean around: no estimate is lower


@dataclass(frozen=True)
class SarBm3d(SpeckleFilter):
    """Groups of similar blocks, filtered together, in two steps [1]_.

    1. For each reference block of 8 x 8 pixels, every third along rows and columns, the 16
       blocks around that are most like it, by the likelihood ratio of speckle, form a group. An
       undecimated Daubechies-8 wavelet transform of three levels, and Haar's across the blocks,
       split it into bands. With z = x n, the noise n
       of mean 1 and variance σ², coefficients of a band
       are multiplied by the local linear minimum mean square error estimator's
       ``max(0, 1 - σ²/(1 + σ²) <z²> / <Z²>)``: the mean of the noise's power in the group over
       that of the band. Inverted, blocks are averaged where they overlap, weighted by the
       inverse of the noise left in them.
    2. Groups of 32 blocks, sought anew by the likelihood ratio and, of the first step's estimate
       p, by ``(2L - 1) Σ ln((a/b + b/a)/2) + L Σ (p - q)² / (p q)``, a and b amplitudes; a
       cosine transform, Haar's across; and Wiener's weights ``P² / (P² + σ² <p²>)``.

    z, x and p are amplitudes, as in the paper's experiments: their speckle is less skewed than
    that of intensities, and transforms ring less beside strong targets. So that the mean
    intensity is kept, whatever the number of looks told, each group of the second step is scaled
    to the sum of squares it had before. Blocks that are valid by less than half are references
    only, their holes filled by the mean around.

    Attributes
    ----------
    radius : int
        Of the square that blocks are sought in, 14 by default; the paper's is 19.

    References
    ----------
    .. [1] S. Parrilli, M. Poderico, C. V. Angelino, L. Verdoliva, "A nonlocal SAR image
       denoising algorithm based on LLMMSE wavelet shrinkage", IEEE TGRS 50(2), 606-616, 2012.
    """

    radius: int = 14

    id: ClassVar[str] = "sarbm3d"
    title: ClassVar[str] = "SAR-BM3D"
    max_radius: ClassVar[int] = 30
    tile_size: ClassVar[int] = 384
    strip_pixels: ClassVar[int] = 2**20  # a tile: strips would read each other's wide halos
    lattice: ClassVar[int] = LATTICE

    @property
    def halo(self) -> int:
        # A step reaches from a pixel to a reference, to a block of its group, to its far end.
        step = 2 * (self.radius + BLOCK - 1)
        return 2 * step + _FILL_RADIUS + LogIntensity.halo()

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        looks = scene.looks
        image = log_intensity(values, valid)
        amplitudes = np.sqrt(values)
        noise = 1.0 / amplitude_mean(looks) ** 2 - 1.0
        blocks = _Blocks(amplitudes, valid, self.radius)
        likeness = Likeness(blocks.padded(np.sqrt(image.values)))

        def first(group: Array, _: Array) -> _Shrunk:
            return _linear_shrinkage(group, noise)

        pilot = blocks.filtered(likeness, _FIRST_GROUP, first)
        floor = _FLOOR * local_mean(amplitudes, valid, LogIntensity.halo())
        pilot = np.where(image.dark | ~valid, 1.0, np.maximum(pilot, floor))
        # The paper's 2L - 1, which fewer than one look would turn negative.
        likeness = Likeness(
            likeness.amplitude, blocks.padded(pilot), max(2.0 * looks - 1.0, looks), looks
        )

        def second(group: Array, guide: Array) -> _Shrunk:
            return _powerful(group, _wiener(group, guide, noise))

        pilot[image.dark] = 0.0
        found = blocks.filtered(likeness, _SECOND_GROUP, second, pilot)
        return np.where(image.dark, 0.0, np.square(np.maximum(found, floor)))


def amplitude_mean(looks: float) -> float:
    """Return the mean of the square root of speckle of unit mean intensity."""
    return math.exp(math.lgamma(looks + 0.5) - math.lgamma(looks)) / math.sqrt(looks)


class _Shrunk(NamedTuple):
    """Filtered groups, (blocks, groups, 64), and their weights, (groups,)."""

    blocks: Array
    weights: Array


class _Blocks:
    """The blocks of an image, with enough around it that every one has all its neighbours."""

    def __init__(self, values: Array, valid: BoolArray, radius: int) -> None:
        self._valid, self._radius = valid, radius
        before = -(-(radius + BLOCK - 1) // LATTICE) * LATTICE
        after = radius + BLOCK + LATTICE
        self._around = ((before, after), (before, after))
        self._there = np.pad(valid, self._around)
        rows, columns = valid.shape
        self._image = np.s_[before : before + rows, before : before + columns]
        self._values = self.padded(values)
        counts = run_sums(run_sums(self._there.astype(np.uint8), BLOCK, 0), BLOCK, 1)
        self._allowed = 2 * counts >= _PIXELS
        self._tops = reference_corners(rows, before)
        self._lefts = reference_corners(columns, before)
        self._useful = counts[np.ix_(self._tops, self._lefts)] > 0

    def padded(self, image: Array) -> Array:
        """Return an image with holes and surroundings filled by the mean around, single precision.

        1 beyond the reach of blocks that hold valid pixels.
        """
        inside = np.pad(np.where(self._valid, image, 0.0), self._around)
        filled = local_mean(inside, self._there, _FILL_RADIUS)
        far = run_sums(run_sums(np.pad(self._there, _FILL_RADIUS).astype(np.uint8), 15, 0), 15, 1)
        filled = np.where(far == 0, 1.0, filled)
        return np.where(self._there, inside, filled).astype(np.float32)

    def filtered(
        self,
        likeness: Likeness,
        size: int,
        shrink: Callable[[Array, Array], _Shrunk],
        guide: Array | None = None,
    ) -> Array:
        """Return the weighted mean, at each pixel, of what became of the blocks that hold it.

        Parameters
        ----------
        likeness : Likeness
        size : int
            Blocks of a group.
        shrink : callable
            Takes groups of the image and of the guide, each (size, groups, 64), scaled.
        guide : ndarray, (rows, columns), optional
            The image itself by default.
        """
        values = self._values.ravel()
        guided = values if guide is None else self.padded(guide).ravel()
        total, weights = np.zeros(values.size), np.zeros(values.size)
        found = most_alike(likeness, self._allowed, self._tops, self._lefts, self._radius, size)[
            self._useful
        ]
        for places, number in self._batches(found):
            group, other = values[places], guided[places]
            # Scaled, so that squares stay within single precision.
            scale = np.maximum(group.max((0, 2)), other.max((0, 2)))
            scale = np.where(scale > 0, scale, np.float32(1.0))[:, None]
            made = shrink(group / scale, other / scale)
            weight = made.weights
            blocks = made.blocks * (scale * weight[:, None])
            # Sums of a few rows: the references of a batch lie side by side.
            low = int(places[:, :number].min())
            _add(total, low, places[:, :number], blocks[:, :number])
            corners = places[:, :number, 0]
            _add(weights, low, corners, np.broadcast_to(weight[:number], corners.shape))
        total = total.reshape(self._values.shape)
        total /= np.maximum(self._over_blocks(weights), 1e-300)
        return np.asarray(total[self._image])

    def _over_blocks(self, at_corners: Array) -> Array:
        """Return at each pixel the sum over the blocks that hold it of what their corners have."""
        before = ((BLOCK - 1, 0), (BLOCK - 1, 0))
        padded = np.pad(at_corners.reshape(self._values.shape), before)
        return run_sums(run_sums(padded, BLOCK, 0), BLOCK, 1)

    def _batches(self, corners: Array) -> Iterator[tuple[Array, int]]:
        """Yield places of pixels, (size, _BATCH, 64), and how many groups of them count."""
        width = self._values.shape[1]
        inner = (np.arange(BLOCK)[:, None] * width + np.arange(BLOCK)).ravel()
        for first in range(0, len(corners), _BATCH):
            part = corners[first : first + _BATCH].T
            number = part.shape[1]
            part = np.pad(part, ((0, 0), (0, _BATCH - number)), mode="edge")
            yield part[:, :, None].astype(np.int64) + inner, number


def _add(sums: Array, low: int, places: Array, values: Array) -> None:
    """Add values at places, none before `low`; one after the other."""
    part = np.bincount((places - low).ravel(), values.ravel())
    sums[low : low + len(part)] += part


def _powerful(group: Array, made: _Shrunk) -> _Shrunk:
    """Return filtered groups with the power, the sum of squares, that they had."""
    before, after = np.square(group).sum((0, 2)), np.square(made.blocks).sum((0, 2))
    gain = np.sqrt(before / np.maximum(after, _LEAST))
    return made._replace(blocks=made.blocks * gain[:, None])


def _linear_shrinkage(group: Array, noise: float) -> _Shrunk:
    """Return groups shrunk band by band for multiplicative noise of a variance."""
    size, groups, _ = group.shape
    frame, across = undecimated_wavelet(), haar(size)
    bands = len(frame.gains)
    # Of the noise, were it the same in all of the group: E (z - x)² = σ²/(1 + σ²) E z².
    power = np.square(group).mean((0, 2)) * np.float32(noise / (1.0 + noise))
    turned = (across @ group.reshape(size, -1)).reshape(size * groups, _PIXELS)
    coefficients = (turned @ frame.analysis).reshape(size, groups, bands, _PIXELS)
    energy = np.einsum("sgbk,sgbk->sgb", coefficients, coefficients)
    energy /= _PIXELS
    kept = np.empty_like(energy)
    for rows in haar_bands(size):
        share = power[:, None] * frame.gains / np.maximum(energy[rows].mean(0), _LEAST)
        kept[rows] = 1.0 - np.minimum(share, 1.0)
    kept[0, :, -1] = 1.0  # the smooth band of the mean
    coefficients *= kept[..., None]
    left = np.einsum("sgb,sgb,b->g", kept, kept, frame.gains) * _PIXELS
    blocks = coefficients.reshape(size * groups, -1) @ frame.synthesis
    blocks = across.T @ blocks.reshape(size, -1)
    return _Shrunk(blocks.reshape(group.shape), 1.0 / left)


def _wiener(group: Array, guide: Array, noise: float) -> _Shrunk:
    """Return groups weighted, coefficient by coefficient, by what a guide says is signal."""
    size, groups, _ = group.shape
    along, across = cosine(), haar(size)

    def transformed(blocks: Array) -> Array:
        turned = (across @ blocks.reshape(size, -1)).reshape(size * groups, _PIXELS)
        return np.asarray((turned @ along.T).reshape(size, groups, _PIXELS))

    power = np.square(guide).mean((0, 2)) * np.float32(noise)
    kept = np.square(transformed(guide))
    kept /= np.maximum(kept + power[:, None], _LEAST)
    kept[0, :, 0] = 1.0  # the mean
    coefficients = transformed(group)
    coefficients *= kept
    left = np.einsum("sgk,sgk->g", kept, kept)
    blocks = coefficients.reshape(size * groups, -1) @ along
    blocks = across.T @ blocks.reshape(size, -1)
    return _Shrunk(blocks.reshape(group.shape), 1.0 / left)

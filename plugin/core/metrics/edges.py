"""What despeckling does to edges, told without a clean image.

EPD-ROA, the edge preservation degree by the ratio of averages, compares neighbours of the
filtered image with those of the original, where speckle outdoes any edge: leaving the speckle in
scores best. `EdgeContrast` asks the same of edges alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput
from ..special import check_positive
from .block import Block
from .figure import Figure, quotient

Array = npt.NDArray[Any]

ALONG = 9  # pixels along an edge that are averaged
_NEAR = 2  # columns at either side of an edge that show its sharpness
_FAR = 5  # columns beyond them that tell whether there is an edge
REACH = _NEAR + _FAR
_LEAST_CONTRAST = math.log(2.0)
_APART = 4  # places between two edges
_LEAST_PLACES = 20


class EdgeRatios:
    """EPD-ROA: sums of the ratios of neighbours, in rows and in columns.

    ``sum |x1 / x2| over sum |z1 / z2|`` over pairs of neighbours of the filtered image x and the
    original z; 1 for the original itself. Pairs with a pixel of 0 are left out. The ratio of two
    single-look pixels has no finite mean: there a few dark pixels make the figure, and it varies
    from scene to scene.
    """

    def __init__(self) -> None:
        self._filtered = np.zeros(2)
        self._original = np.zeros(2)

    def add(self, block: Block) -> None:
        """Take in the pairs whose first pixel lies in the core of a block."""
        rows, columns = block.inner
        usable = block.valid & (block.noisy > 0) & (block.estimate > 0)
        for axis, (down, right) in enumerate(((0, 1), (1, 0))):
            first = (
                slice(rows.start, min(rows.stop, usable.shape[0] - down)),
                slice(columns.start, min(columns.stop, usable.shape[1] - right)),
            )
            second = (
                slice(first[0].start + down, first[0].stop + down),
                slice(first[1].start + right, first[1].stop + right),
            )
            both = usable[first] & usable[second]
            for image, sums in ((block.estimate, self._filtered), (block.noisy, self._original)):
                one = image[first][both].astype(np.float64)
                sums[axis] += float(np.sum(one / image[second][both]))

    def merge(self, other: EdgeRatios) -> None:
        """Take in what `other` has seen."""
        self._filtered += other._filtered
        self._original += other._original

    def figures(self) -> dict[str, Figure]:
        """EPD-ROA of neighbours in a row (X) and in a column (Y)."""
        why = "No two neighbours are valid and above zero in both images."
        return {
            name: quotient(float(filtered), float(original), why)
            for name, filtered, original in zip(
                ("EPD_ROA_X", "EPD_ROA_Y"), self._filtered, self._original
            )
        }


class EdgeContrast:
    """How much of the contrast right beside edges is kept: 1 is all of it, less is blur.

    Edges are looked for where the original's means of 9 x 5 pixels at either side differ by 3 dB
    or more, and by far more than speckle makes them; the edge itself lies, of the places around,
    where the means of 9 x 7 pixels differ most. The contrast is that of the 9 x 2 pixels right
    beside it: ``sum ln(right / left)`` after over the same before, each with the sign of the
    edge. So the original has 1, speckle or not; blur takes contrast away from there.

    Speckle has a say in where the edge is found to be, so that even the clean image comes out
    somewhat below 1. Measured on squares of 32 x 32 pixels (``./run bench assessment``): at edges
    of 10 dB 0.95 to 0.98 at one look, 0.99 to 1.00 from four looks on; of 5 dB 0.77 to 0.88 and
    0.98 to 1.00. A mean of 3 x 3 pixels of it 0.54 to 0.63, one of 7 x 7 pixels 0.21 to 0.28.

    Parameters
    ----------
    looks : float
        Of the original.
    design : float, default 1
        By how much correlation divides the number of pixels a mean is worth, see
        `enl_interval.design_effects`.
    """

    def __init__(self, looks: float, design: float = 1.0) -> None:
        self._threshold = contrast_threshold(looks, design)
        self.places = 0
        self._before = 0.0
        self._after = 0.0

    def add(self, block: Block) -> None:
        """Take in the core of a block."""
        for noisy, estimate, valid, start, length, offset, across in _turned(block):
            bands = _Bands.of(noisy, estimate, valid, start, length, offset)
            if bands is None:
                continue
            far, before, after, both = bands.contrasts()
            with np.errstate(invalid="ignore"):
                edge = (np.abs(far) >= self._threshold) & _peaks(np.abs(both))
            # Places are counted from the first column with a full surrounding.
            column = np.arange(far.shape[1]) + REACH - 1
            edge &= (column >= across[0]) & (column < across[1]) & np.isfinite(after)
            sign = np.sign(far[edge])
            self.places += int(np.count_nonzero(edge))
            self._before += float(np.sum(sign * before[edge]))
            self._after += float(np.sum(sign * after[edge]))

    def merge(self, other: EdgeContrast) -> None:
        """Take in what `other` has seen."""
        self.places += other.places
        self._before += other._before
        self._after += other._after

    def figures(self) -> dict[str, Figure]:
        """The contrast kept, and the number of places it was measured at."""
        decibels = 10 * self._threshold / math.log(10)
        why = (
            f"{self.places} places lie at edges of {decibels:.1f} dB or more, too few to "
            "tell from: the scene has hardly any, or its speckle hides them."
        )
        kept = Figure(None, why)
        if self.places >= _LEAST_PLACES:
            kept = quotient(self._after, self._before, why)
        return {"EDGE_CONTRAST": kept, "EDGE_PLACES": Figure(float(self.places))}


def contrast_threshold(looks: float, design: float = 1.0) -> float:
    """Return the least ln contrast of the far means taken for an edge: 3 dB, and 4 deviations."""
    check_positive(looks, "number of looks")
    return max(_LEAST_CONTRAST, 4 * math.sqrt(2 * design / (ALONG * _FAR * looks)))


@dataclass(frozen=True)
class Profile:
    """A cut across an edge, each value the mean of 9 pixels along it.

    Attributes
    ----------
    vertical : bool
        The edge runs down the image, and the cut along a row.
    column, row : int
        Where the cut crosses the edge, from the block's upper left pixel.
    distance : ndarray, (n,)
        Pixels from the edge, from left to right or from top to bottom.
    before, after : ndarray, (n,)
        Mean intensity; NaN where a pixel is not valid.
    """

    vertical: bool
    column: int
    row: int
    distance: Array
    before: Array
    after: Array


def strongest_profiles(
    noisy: Array, estimate: Array, valid: Array, looks: float, length: int = 12
) -> list[Profile]:
    """Cut across the strongest edge of an image in each direction, where there is one.

    Chosen by the original alone, as in `EdgeContrast`.

    Parameters
    ----------
    noisy, estimate, valid : ndarray, (rows, columns)
    looks : float
    length : int
        Pixels shown at either side.
    """
    block = Block.whole(noisy, estimate, valid)
    found = []
    for number, (z, x, usable, start, rows, offset, _) in enumerate(_turned(block)):
        bands = _Bands.of(z, x, usable, start, rows, offset)
        if bands is None:
            continue
        far, _, _, both = bands.contrasts()
        strength = np.where(np.isfinite(both), np.abs(both), 0.0)
        band, place = np.unravel_index(int(np.argmax(strength)), strength.shape)
        if not abs(far[band, place]) >= contrast_threshold(looks):
            continue
        centre = int(place) + REACH - 1
        first, last = max(centre + 1 - length, 0), min(centre + 1 + length, z.shape[1])
        full = bands.counts[band, first:last] == ALONG
        before = np.where(full, bands.noisy[band, first:last] / ALONG, np.nan)
        after = np.where(full, bands.estimate[band, first:last] / ALONG, np.nan)
        row = bands.first + int(band) * ALONG + ALONG // 2
        places = (centre, row) if number == 0 else (row, centre)
        found.append(
            Profile(number == 0, *places, np.arange(first, last) - centre - 0.5, before, after)
        )
    return found


class _Bands(NamedTuple):
    """Sums over bands of `ALONG` rows: (bands, columns); ``first`` is the first band's top row."""

    noisy: Array
    estimate: Array
    counts: Array
    first: int

    @classmethod
    def of(
        cls, noisy: Array, estimate: Array, valid: Array, start: int, length: int, offset: int
    ) -> _Bands | None:
        """Sum bands that begin in the rows from `start` on.

        Bands lie on a grid of the raster, whatever the block; `offset` is the raster's row of
        the first row here.
        """
        first = start + (-(start + offset)) % ALONG
        count = -(-(start + length - first) // ALONG)
        count = min(count, (noisy.shape[0] - first) // ALONG)
        if count < 1 or noisy.shape[1] < 2 * REACH:
            return None
        rows = slice(first, first + count * ALONG)
        shape = (count, ALONG, noisy.shape[1])
        before, after = (
            np.where(valid[rows], image[rows], 0.0).reshape(shape).sum(1, dtype=np.float64)
            for image in (noisy, estimate)
        )
        return cls(before, after, valid[rows].reshape(shape).sum(1, dtype=np.int64), first)

    def contrasts(self) -> tuple[Array, Array, Array, Array]:
        """ln of right over left: far, near, near after despeckling, and far and near together.

        NaN where not to be had.

        (bands, columns - 2 REACH + 1): place k is the edge between columns k + REACH - 1 and
        k + REACH.
        """
        places = self.noisy.shape[1] - 2 * REACH + 1

        def sums(image: Array, first: int, width: int) -> Array:
            total = sum(image[:, first + i : first + i + places] for i in range(width))
            return np.asarray(total, np.float64)

        full = sums(self.counts, 0, 2 * REACH) == ALONG * 2 * REACH
        near, right = REACH - _NEAR, REACH + _NEAR
        with np.errstate(divide="ignore", invalid="ignore"):
            found = [
                np.log(sums(self.noisy, REACH, REACH) / sums(self.noisy, 0, REACH)),
                np.log(sums(self.noisy, right, _FAR) / sums(self.noisy, 0, _FAR)),
                np.log(sums(self.noisy, REACH, _NEAR) / sums(self.noisy, near, _NEAR)),
                np.log(sums(self.estimate, REACH, _NEAR) / sums(self.estimate, near, _NEAR)),
            ]
        usable = full & np.all([np.isfinite(one) for one in found], axis=0)
        both, far, before, after = (np.where(usable, one, np.nan) for one in found)
        return far, before, after, both


def _peaks(strength: Array) -> Array:
    """Tell which places are the greatest of those at most `_APART` away, the first of equals."""
    values = np.where(np.isfinite(strength), strength, -np.inf)
    padded = np.pad(values, ((0, 0), (_APART, _APART)), constant_values=-np.inf)
    width = values.shape[1]
    peak = np.isfinite(values)
    for shift in range(1, _APART + 1):
        peak &= values > padded[:, _APART - shift : _APART - shift + width]
        peak &= values >= padded[:, _APART + shift : _APART + shift + width]
    return peak


def _turned(block: Block) -> list[tuple[Array, Array, Array, int, int, int, tuple[int, int]]]:
    """The block for edges that run down the image, and turned for those that run across.

    Each with first row and rows of the core, the raster's row of the arrays' first row, and the
    core's columns.
    """
    if block.noisy.ndim != 2:
        raise InvalidInput(f"Expected one band (rows, columns), got shape {block.noisy.shape}.")
    core, (x, y) = block.core, block.origin
    return [
        (
            block.noisy, block.estimate, block.valid,
            core.y, core.height, y, (core.x, core.right),
        ),
        (
            block.noisy.T, block.estimate.T, block.valid.T,
            core.x, core.width, x, (core.y, core.bottom),
        ),
    ]  # fmt: skip

"""Statistics of a homogeneous area: what its pixels tell about speckle, and how surely."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .enl_interval import Correlation, design_effects, enl_interval
from .errors import InvalidInput
from .gamma_fit import Histogram, fit_looks, histogram, is_single_look, ks_distance, parts

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

MAX_PIXELS = 2**20
CELL = 64  # side of the blocks that large areas are sampled by

_CONFIDENCE = 0.95
# The interval of the ENL should not reach farther than this either way, in ln L.
_WIDEST = 0.25
# Relative variance that float rounding alone gives a constant area.
_CONSTANT = 1e-12


@dataclass(frozen=True)
class SpeckleStatistics:
    """What the pixels of one image in an area tell. None where `notes` says why.

    Attributes
    ----------
    n_pixels : int
        Valid pixels measured.
    mean, std : float or None
        Of linear intensity; variance unbiased.
    cx : float or None
        Coefficient of variation, std / mean.
    enl, enl_low, enl_high : float or None
        Equivalent number of looks, ``1 / cx**2``, and its 95 % interval (`enl_interval`).
    effective_pixels : float or None
        Independent pixels that would give an ENL as certain; fewer where speckle is correlated.
    correlation_x, correlation_y : float or None
        Of the intensities of neighbours in a row, and in a column.
    gamma_looks : float or None
        L of the Gamma law fitted by maximum likelihood; that of the pixels above zero.
    ks_distance : float or None
        Kolmogorov-Smirnov distance from that law.
    histogram : Histogram or None
    too_small : str
        Why the ENL is too uncertain to rely on, and what would do; "" where it is not.
    notes : tuple of str
    """

    n_pixels: int
    mean: float | None = None
    std: float | None = None
    cx: float | None = None
    enl: float | None = None
    enl_low: float | None = None
    enl_high: float | None = None
    effective_pixels: float | None = None
    correlation_x: float | None = None
    correlation_y: float | None = None
    gamma_looks: float | None = None
    ks_distance: float | None = None
    histogram: Histogram | None = None
    too_small: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AreaStatistics:
    """Statistics of an area before and, where there is one, after despeckling.

    Attributes
    ----------
    n_valid : int
        Valid pixels in the area; more than were measured where it was sampled.
    original : SpeckleStatistics
    despeckled : SpeckleStatistics or None
        Of the pixels valid in both images.
    mean_ratio, variance_ratio : float or None
        Of original / despeckled: 1 and 1 / L where speckle, and nothing else, was taken away.
    enl_gain : float or None
        ENL after over ENL before, of the pixels valid in both.
    notes : tuple of str
        Why a figure is None.
    """

    n_valid: int
    original: SpeckleStatistics
    despeckled: SpeckleStatistics | None = None
    mean_ratio: float | None = None
    variance_ratio: float | None = None
    enl_gain: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_sampled(self) -> bool:
        """Tell whether only part of the area was measured."""
        return self.original.n_pixels < self.n_valid


def area_statistics(
    intensity: Array,
    mask: Array | None = None,
    despeckled: Array | None = None,
    despeckled_mask: Array | None = None,
    domain: str = "intensity",
    max_pixels: int = MAX_PIXELS,
    seed: int = 0,
) -> AreaStatistics:
    """Measure a homogeneous area.

    Parameters
    ----------
    intensity : ndarray, (rows, columns) or (blocks, rows, columns)
        Linear intensity, around the area; blocks are apart from each other.
    mask : ndarray of bool, optional
        Valid pixels of the area; all by default. NaN and infinite pixels are never used.
    despeckled : ndarray, optional
        The same pixels after despeckling.
    despeckled_mask : ndarray of bool, optional
        Those of it that are valid.
    domain : str, default "intensity"
        The layer's, for the histogram's values.
    max_pixels : int, default 2**20
        In a larger area so many pixels, in blocks of 64 x 64 drawn at random, are measured.
        Areas given as blocks are measured whole.
    seed : int, default 0
        Of that draw.

    Returns
    -------
    AreaStatistics

    Raises
    ------
    InvalidInput
        If shapes differ or an intensity in the area is negative.
    """
    first = np.asarray(intensity)
    usable = _usable(first, mask)
    n_valid = int(np.count_nonzero(usable))
    second = None if despeckled is None else np.asarray(despeckled)
    second_usable = None if second is None else _usable(second, despeckled_mask)
    if second_usable is not None and second_usable.shape != usable.shape:
        raise InvalidInput(
            f"Both images must have one shape, got {usable.shape} and {second_usable.shape}."
        )
    if first.ndim == 2 and n_valid > max_pixels:
        chosen = choose_cells(cell_counts(usable), max_pixels, seed)
        usable = cut_cells(usable, chosen)
        first = cut_cells(first, chosen)
        if second is not None and second_usable is not None:
            second, second_usable = cut_cells(second, chosen), cut_cells(second_usable, chosen)
    values = _chosen(first, usable)
    original = _measured(values, usable, domain)
    if second is None or second_usable is None:
        return AreaStatistics(n_valid, original)
    both = usable & second_usable
    estimate = _chosen(second, both)
    after = _measured(estimate, both, domain)
    before = values if len(values) == len(estimate) else _chosen(first, both)
    return _compared(n_valid, original, before, after, estimate)


def _measured(values: Array, usable: BoolArray, domain: str) -> SpeckleStatistics:
    """Measure the values of one image's usable pixels."""
    n = len(values)
    if n == 0:
        nothing = "There is no valid pixel in the area."
        return SpeckleStatistics(0, too_small=nothing, notes=(nothing,))
    if float(values.min()) < 0:
        raise InvalidInput("Intensities must not be negative; check the domain of the input.")
    mean = float(values.mean(dtype=np.float64))
    if n == 1 or mean == 0:
        why = "A single pixel shows no variation." if n == 1 else "All pixels are 0."
        spread = None if n == 1 else 0.0
        return SpeckleStatistics(n, mean, spread, too_small=why, notes=(why,))
    scaled, relative = _scaled(values, mean)
    if relative <= _CONSTANT:
        why = "The area is constant: its ENL would be infinite."
        return SpeckleStatistics(n, mean, 0.0, 0.0, too_small=why, notes=(why,))
    enl = 1.0 / relative
    notes: list[str] = []
    correlation = _correlation(usable, scaled, relative)
    for name, found in zip(("in a row", "in a column"), correlation):
        if found is None:
            notes.append(f"Correlation: no two valid pixels side by side {name}.")
    known: Correlation = (correlation[0] or 0.0, correlation[1] or 0.0)
    low, high, too_small = _interval(enl, n, known, notes)
    effective = n / design_effects(known, n).enl
    looks, distance, shown = _fit(scaled, mean, effective, domain, notes)
    return SpeckleStatistics(
        n_pixels=n,
        mean=mean,
        std=math.sqrt(relative) * mean,
        cx=math.sqrt(relative),
        enl=enl,
        enl_low=low,
        enl_high=high,
        effective_pixels=effective,
        correlation_x=correlation[0],
        correlation_y=correlation[1],
        gamma_looks=looks,
        ks_distance=distance,
        histogram=shown,
        too_small=too_small,
        notes=tuple(notes),
    )


def cell_counts(mask: BoolArray) -> npt.NDArray[np.int64]:
    """Count the pixels of a mask in each cell of 64 x 64."""
    rows = np.add.reduceat(mask, np.arange(0, mask.shape[0], CELL), axis=0, dtype=np.int64)
    return np.add.reduceat(rows, np.arange(0, mask.shape[1], CELL), axis=1)


def choose_cells(counts: Array, max_pixels: int, seed: int = 0) -> list[tuple[int, int]]:
    """Draw cells that hold pixels until they hold `max_pixels`.

    Returns
    -------
    list of (row, column)
        In order; the same ones for the same counts and seed. At most ``4 * max_pixels`` pixels
        of memory: of areas thinly spread over very many cells, fewer pixels.
    """
    places = np.argwhere(counts > 0)
    order = np.random.default_rng(seed).permutation(len(places))
    drawn = places[order]
    held = np.cumsum(counts[drawn[:, 0], drawn[:, 1]])
    enough = int(np.searchsorted(held, max_pixels)) + 1
    kept = np.sort(order[: min(enough, max(4 * max_pixels // CELL**2, 1))])
    return [(int(row), int(column)) for row, column in places[kept]]


def cut_cells(image: Array, cells: Sequence[tuple[int, int]]) -> Array:
    """Stack cells of an image as (cells, 64, 64), zeros beyond its edge."""
    stack = np.zeros((len(cells), CELL, CELL), image.dtype)
    for cell, (row, column) in zip(stack, cells):
        part = image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        cell[: part.shape[0], : part.shape[1]] = part
    return stack


def _compared(
    n_valid: int,
    original: SpeckleStatistics,
    before: Array,
    after: SpeckleStatistics,
    estimate: Array,
) -> AreaStatistics:
    """Put both images' statistics together, with the ratio's; values of the same pixels."""
    notes: list[str] = []
    enl = original.enl
    if after.n_pixels < original.n_pixels:
        notes.append(
            f"Only {after.n_pixels} of {original.n_pixels} pixels are valid in the despeckled "
            "image."
        )
        enl = _enl(before)
    positive = estimate > 0
    if not positive.all():
        notes.append(f"Ratio: {np.count_nonzero(~positive)} despeckled pixels of 0 are left out.")
        before, estimate = before[positive], estimate[positive]
    mean_ratio = variance = gain = None
    if len(estimate) == 0:
        notes.append("Ratio: no pixel is valid in both images and above zero in the despeckled.")
    else:
        quotient = np.divide(before, estimate, dtype=np.float64)
        mean_ratio = float(quotient.mean())
        if len(quotient) > 1:
            quotient -= mean_ratio
            variance = float(np.dot(quotient, quotient)) / (len(quotient) - 1)
        else:
            notes.append("Ratio: a single pixel has no variance.")
    if enl is None or after.enl is None:
        notes.append("ENL gain: one of the images has no ENL there.")
    else:
        gain = after.enl / enl
    return AreaStatistics(n_valid, original, after, mean_ratio, variance, gain, tuple(notes))


def _enl(values: Array) -> float | None:
    if len(values) < 2:
        return None
    mean = float(values.mean(dtype=np.float64))
    variance = float(values.var(ddof=1, dtype=np.float64))
    return mean**2 / variance if variance > _CONSTANT * mean**2 else None


def _usable(image: Array, mask: Array | None) -> BoolArray:
    if image.ndim not in (2, 3):
        raise InvalidInput(f"Expected (rows, columns) or blocks of them, got shape {image.shape}.")
    if mask is None:
        return np.isfinite(image)
    if np.shape(mask) != image.shape:
        raise InvalidInput(f"The mask {np.shape(mask)} does not fit the image {image.shape}.")
    return np.asarray(np.isfinite(image) & np.asarray(mask, dtype=bool))


def _chosen(image: Array, usable: BoolArray) -> Array:
    return image.ravel() if usable.all() else image[usable]


def _scaled(values: Array, mean: float) -> tuple[FloatArray, float]:
    """Return values / mean, and its variance summed in float64."""
    scaled = np.empty(len(values), np.float32)
    squares = 0.0
    for part in parts(len(values)):
        deviations = np.divide(values[part], mean, dtype=np.float64)
        scaled[part] = deviations
        deviations -= 1.0
        squares += float(np.dot(deviations, deviations))
    return scaled, squares / (len(values) - 1)


def _correlation(
    usable: BoolArray, scaled: FloatArray, variance: float
) -> tuple[float | None, float | None]:
    """Correlation of neighbours along x and y, the bias of the area's own mean taken out."""
    if usable.ndim == 2:
        usable = usable[None]
    field = np.zeros(usable.shape, np.float32)
    field[usable] = scaled - np.float32(1.0)
    row_ends = field[:, :, -1].ravel()[:-1], field[:, :, 0].ravel()[1:]
    block_ends = field[:-1, -1].ravel(), field[1:, 0].ravel()
    raw: list[float | None] = []
    for shift, ends, one, other in (
        (1, row_ends, np.s_[:, :, :-1], np.s_[:, :, 1:]),
        (usable.shape[2], block_ends, np.s_[:, :-1], np.s_[:, 1:]),
    ):
        pairs = int(np.count_nonzero(usable[one] & usable[other]))
        # All neighbours in memory, less those that are none in the image.
        products = _shifted_product(field.ravel(), shift) - float(np.dot(*ends))
        raw.append(products / pairs / variance if pairs else None)
    n = len(scaled)
    x, y = raw
    # What the mean takes away is known only through the correlation itself: two rounds.
    for _ in range(2):
        lost = design_effects((x or 0.0, y or 0.0), n).mean / n
        lost = min(lost, 0.5)
        x, y = (None if r is None else r + lost * (1.0 - r) for r in raw)
    return x, y


def _shifted_product(field: FloatArray, shift: int) -> float:
    """Sum the products of values `shift` apart."""
    total = 0.0
    for part in parts(len(field) - shift):
        total += float(np.dot(field[part], field[part.start + shift : part.stop + shift]))
    return total


def _interval(
    enl: float, n: int, correlation: Correlation, notes: list[str]
) -> tuple[float | None, float | None, str]:
    """Interval of the ENL, and what is wrong with the area if that is too wide."""
    try:
        low, high = enl_interval(enl, n, _CONFIDENCE, correlation)
    except InvalidInput as error:
        notes.append(f"Interval of the ENL: {error}")
        return None, None, str(error)
    reach = math.log(high / low) / 2
    if reach <= _WIDEST:
        return low, high, ""
    needed = math.ceil(n * (reach / _WIDEST) ** 2 / 10) * 10
    return low, high, (
        f"The number of looks is known only to lie between {low:.3g} and {high:.3g}; "
        f"draw an area of about {needed} pixels or more."
    )  # fmt: skip


def _fit(
    scaled: FloatArray, mean: float, effective: float, domain: str, notes: list[str]
) -> tuple[float | None, float | None, Histogram | None]:
    """Fitted L, distance from it, and histogram, of the values over their mean."""
    positive = scaled
    if float(scaled.min()) <= 0:
        positive = scaled[scaled > 0]
        zeros = len(scaled) - len(positive)
        notes.append(f"Fit: {zeros} pixels of 0 are left out of the Gamma law.")
        positive = positive * np.float32(len(positive) / len(scaled))
    logs = np.log(positive)
    try:
        looks = fit_looks(-float(logs.mean(dtype=np.float64)))
    except InvalidInput:
        notes.append("Fit: the pixels above zero are all equal; no Gamma law fits them.")
        return None, None, None
    single = is_single_look(looks, effective)
    shown = histogram(scaled, logs, mean, looks, domain, single)
    return looks, ks_distance(logs, looks), shown

"""What an assessment looks at in places or samples rather than pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.enl_interval import design_effects
from ..core.errors import Cancelled, InvalidInput
from ..core.gamma_fit import Histogram
from ..core.homogeneous_windows import HomogeneousWindow, homogeneous_windows
from ..core.looks import CORRELATED, speckle_correlation
from ..core.metrics.edges import ALONG, strongest_profiles
from ..core.metrics.figure import Figure
from ..core.metrics.structure import structure_test
from ..core.special import gamma_cdf
from ..core.tiling import Window
from ..raster.blocks import sample_windows
from ..raster.polygons import PolygonMask
from ..raster.sampling import SceneStatistics
from ..raster.source import RasterSource
from .assessment import Crop
from .places import most_detailed
from .scenes import IsCancelled
from .statistics import AreaRecord, Reader, measure_area

Array = npt.NDArray[Any]

WINDOWS = 5
_SIDES = (32, 16, 8)
_SEARCHED = 4_000_000  # pixels looked through for homogeneous windows
_TESTED = 2**18  # pixels tested for structure
_SIDE = 256
_MAX_LAG = 8


@dataclass(frozen=True)
class Images:
    """The rasters of an assessment, read by windows of the input.

    Attributes
    ----------
    source : RasterSource
        The input.
    read, read_estimate, read_reference : callable
        Window to intensity and validity.
    common : Window
        What input and despeckled image share.
    estimate_domain, reference_domain : str
    notes : list of str
        For the report; grows.
    """

    source: RasterSource
    read: Reader
    read_estimate: Reader
    read_reference: Reader | None
    common: Window
    estimate_domain: str
    reference_domain: str
    notes: list[str] = field(default_factory=list)

    def both(self, window: Window) -> tuple[Array, Array, Array]:
        """Input, despeckled image, and where both are valid."""
        noisy, valid = self.read(window)
        estimate, there = self.read_estimate(window)
        return noisy, estimate, valid & there


def correlation_design(scene: SceneStatistics, notes: list[str]) -> float:
    """By how much correlated speckle divides the number of pixels along an edge; adds a note."""
    correlation = scene.looks.correlation if scene.looks is not None else None
    if not scene.correlated or correlation is None:
        return 1.0
    notes.append(
        f"The speckle of neighbouring pixels is correlated ({max(correlation):.2f}): "
        "intervals are widened, and structure is looked for beyond its reach."
    )
    return design_effects(correlation, 5 * ALONG).mean


def given_areas(
    images: Images, areas: Sequence[bytes], is_cancelled: IsCancelled
) -> list[AreaRecord]:
    """Measure polygons, well-known binary in the CRS of the input."""
    found = []
    for area in areas:
        try:
            mask = PolygonMask(images.source.path, [area])
        except InvalidInput as error:
            found.append(AreaRecord(0, problem=str(error)))
            continue
        found.append(_measured(images, mask, mask.bounds, is_cancelled))
    return found


def found_areas(
    images: Images, is_cancelled: IsCancelled
) -> tuple[tuple[Window, ...], list[AreaRecord]]:
    """Find the most homogeneous windows of the input, and measure them.

    By the input alone: chosen by the despeckled image, its ENL would be too high.
    """
    common = images.common
    block = images.source.block_size(images.source.bands[0])
    parts = sample_windows(common.width, common.height, block, _SEARCHED, _SIDE)
    share = sum(part.area for part in parts) / common.area
    if share < 1:
        images.notes.append(
            f"Homogeneous windows were sought in {len(parts)} sample windows, {share:.0%} of the "
            "pixels."
        )
    side = next((s for s in _SIDES if min(common.width, common.height) >= 4 * s), None)
    if side is None:
        images.notes.append("The images are too small to look for homogeneous windows.")
        return (), []
    best: list[HomogeneousWindow] = []
    for part in parts:
        if is_cancelled():
            raise Cancelled("The assessment was cancelled.")
        window = part.shifted(common.x, common.y)
        if min(window.width, window.height) < side:
            continue
        noisy, _, valid = images.both(window)
        for place, cx in homogeneous_windows(noisy, valid, side, WINDOWS):
            best.append(HomogeneousWindow(place.shifted(window.x, window.y), cx))
    best.sort(key=lambda found: (found.cx, found.window.y, found.window.x))
    windows = tuple(found.window for found in best[:WINDOWS])
    if not windows:
        images.notes.append(
            "No homogeneous window was found: too few pixels in one place are valid."
        )
        return (), []
    images.notes.append(
        f"No homogeneous areas were given: the {len(windows)} most homogeneous windows of "
        f"{side} x {side} pixels of the input were taken. Owing to that choice the ENL of the "
        "input comes out somewhat high."
    )

    def all_of(window: Window) -> Array:
        return np.ones((window.height, window.width), bool)

    return windows, [_measured(images, all_of, window, is_cancelled) for window in windows]


def _measured(
    images: Images,
    mask: Callable[[Window], Array],
    bounds: Window | None,
    is_cancelled: IsCancelled,
) -> AreaRecord:
    return measure_area(
        mask,
        bounds,
        images.read,
        images.read_estimate,
        images.source.domain,
        is_cancelled=is_cancelled,
    )


@dataclass(frozen=True)
class RatioSample:
    """Ratio image and input in some windows, (blocks, rows, columns).

    Attributes
    ----------
    ratio, noisy : ndarray
    valid : ndarray of bool
    histogram : Histogram or None
    """

    ratio: Array
    noisy: Array
    valid: Array
    histogram: Histogram | None


def ratio_sample(images: Images, looks: float, is_cancelled: IsCancelled) -> RatioSample:
    """Read windows spread over the images, at most about a quarter of a megapixel."""
    common = images.common
    block = images.source.block_size(images.source.bands[0])
    windows = sample_windows(common.width, common.height, block, _TESTED, _SIDE)
    rows = max(window.height for window in windows)
    columns = max(window.width for window in windows)
    shape = (len(windows), rows, columns)
    ratio, noisy = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    valid = np.zeros(shape, bool)
    for number, window in enumerate(windows):
        if is_cancelled():
            raise Cancelled("The assessment was cancelled.")
        z, x, usable = images.both(window.shifted(common.x, common.y))
        usable &= x > 0
        place = np.s_[number, : window.height, : window.width]
        noisy[place], valid[place] = z, usable
        np.divide(z, x, out=ratio[place], where=usable)
    share = sum(window.area for window in windows) / common.area
    if share < 1:
        images.notes.append(
            f"Structure in the ratio was tested, and its histogram made, in {len(windows)} "
            f"windows, {share:.1%} of the pixels."
        )
    return RatioSample(ratio, noisy, valid, _histogram(ratio[valid], looks))


def structure_figures(images: Images, sample: RatioSample, correlated: bool) -> dict[str, Figure]:
    """Test the ratio for structure, beyond the reach of correlated speckle."""
    lag = 1
    if correlated:
        lag = _free_lag(sample)
    names = ("HOMOGENEITY_EXCESS", "STRUCTURE_P_VALUE", "STRUCTURE_LAG")
    try:
        found = structure_test(sample.ratio, sample.valid, lag)
    except InvalidInput as error:
        return dict.fromkeys(names, Figure(None, str(error)))
    values = (found.excess, found.p_value, float(found.lag))
    return {name: Figure(value) for name, value in zip(names, values)}


def _free_lag(sample: RatioSample) -> int:
    """Least distance at which the speckle of the input is hardly correlated."""
    intensity = sample.noisy.reshape(-1, sample.noisy.shape[2])
    valid = sample.valid.reshape(intensity.shape)
    for lag in range(1, _MAX_LAG + 1):
        try:
            if max(speckle_correlation(intensity, valid, lag)) < CORRELATED:
                return lag
        except InvalidInput:
            return 1
    return _MAX_LAG


def _histogram(ratio: Array, looks: float) -> Histogram | None:
    """Ratio in 60 bins up to five standard deviations of speckle, beside the law of speckle."""
    if not len(ratio):
        return None
    edges = np.linspace(0, 1 + 5 / np.sqrt(looks), 61)
    counts = np.histogram(ratio, edges)[0].astype(np.int64)
    width = edges[1]
    return Histogram(
        domain="intensity",
        law="Gamma",
        edges=edges,
        counts=counts,
        density=counts / (len(ratio) * width),
        fitted=np.diff(gamma_cdf(looks * edges, looks)) / width,
        outside=int(len(ratio) - counts.sum()),
    )


def cut_crop(images: Images, looks: float) -> Crop | None:
    """Read the part with the most detail."""

    def read(window: Window) -> tuple[Array, Array]:
        noisy, _, valid = images.both(window)
        return noisy, valid

    window = most_detailed(read, images.common)
    noisy, estimate, valid = images.both(window)
    if not valid.any():
        return None
    reference = None
    if images.read_reference is not None:
        values, there = images.read_reference(window)
        reference = np.where(there, values, np.nan)
    return Crop(
        window=window,
        noisy=np.where(valid, noisy, np.nan),
        estimate=np.where(valid, estimate, np.nan),
        reference=reference,
        profiles=tuple(strongest_profiles(noisy, estimate, valid, looks)),
    )

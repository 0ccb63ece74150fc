"""What an assessment found: its figures, in words too, and what there is to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

import numpy.typing as npt

from ..core.gamma_fit import Histogram
from ..core.metrics.edges import Profile
from ..core.metrics.figure import Figure
from ..core.metrics.radiometry import Level
from ..core.metrics.structure import RatioArea
from ..core.metrics.targets import Target
from ..core.tiling import Window
from .statistics import AreaRecord

Array = npt.NDArray[Any]


class Kind(NamedTuple):
    """A figure: its name, what it is, and its ideal value in words ("" where there is none)."""

    name: str
    title: str
    ideal: str


# In the order they are shown; names are those of the outputs of the algorithm.
KINDS: dict[str, tuple[Kind, ...]] = {
    "Radiometry": (
        Kind("PIXELS", "Pixels valid in both images", ""),
        Kind("MEAN_RATIO", "Mean of the ratio (MoR)", "1"),
        Kind("VARIANCE_RATIO", "Variance of the ratio (VoR)", "1/L"),
        Kind("VARIANCE_RATIO_LOOKS", "VoR · L", "1"),
        Kind("BIAS_DB", "Change of the mean level (dB)", "0"),
    ),
    "Smoothing, in the homogeneous areas": (
        Kind("AREAS", "Areas", ""),
        Kind("ENL_INPUT", "ENL of the input", "L"),
        Kind("ENL_DESPECKLED", "ENL of the despeckled image", "high"),
        Kind("ENL_GAIN", "Gain of ENL", "high"),
        Kind("CX_INPUT", "Coefficient of variation of the input", "1/√L"),
        Kind("CX_DESPECKLED", "Coefficient of variation of the despeckled image", "low"),
        Kind("AREA_MEAN_RATIO", "Mean of the ratio", "1"),
        Kind("AREA_VARIANCE_RATIO_LOOKS", "VoR · L", "1"),
    ),
    "Edges and point targets": (
        Kind("EDGE_CONTRAST", "Contrast kept at edges", "1"),
        Kind("EDGE_PLACES", "Places at edges", ""),
        Kind("EPD_ROA_X", "EPD-ROA in rows", "below 1, see below"),
        Kind("EPD_ROA_Y", "EPD-ROA in columns", "below 1, see below"),
        Kind("TARGETS", "Point targets", ""),
        Kind("CNN_INPUT", "C_NN of the input (dB)", ""),
        Kind("CNN_DESPECKLED", "C_NN of the despeckled image (dB)", "that of the input, or more"),
        Kind("PEAK_CHANGE_DB", "Change of the targets' peaks (dB)", "0"),
    ),
    "Structure left in the ratio": (
        Kind("HOMOGENEITY_EXCESS", "Homogeneity beyond chance (%)", "0"),
        Kind("STRUCTURE_P_VALUE", "Chance of as much without structure", "not small"),
        Kind("STRUCTURE_LAG", "Distance of the pixels compared", ""),
        Kind("M_INDEX", "M-index", "0"),
    ),
    "Against the clean reference": (
        Kind("PSNR", "PSNR (dB)", "high"),
        Kind("PSNR_INPUT", "PSNR of the input (dB)", ""),
        Kind("SSIM", "SSIM", "1"),
        Kind("SSIM_INPUT", "SSIM of the input", ""),
        Kind("DG", "Despeckling gain (dB)", "high"),
        Kind("EPI", "Edge preservation index", "1"),
        Kind("LOG_RMSE_DB", "RMS difference in decibels", "0"),
    ),
    "Estimated risk, without a reference": (
        Kind("RISK", "Mean squared error, estimated from a and b", "low"),
        Kind("RISK_ERROR", "Its standard error", ""),
        Kind("RISK_GAIN_DB", "Despeckling gain it implies (dB)", "high"),
    ),
}
NAMES = tuple(kind.name for kinds in KINDS.values() for kind in kinds)


@dataclass(frozen=True)
class Crop:
    """A part of the images to look at, linear intensity; NaN where invalid.

    Attributes
    ----------
    window : Window
        In pixels of the input.
    noisy, estimate : ndarray, (height, width)
    reference : ndarray or None
    profiles : tuple of Profile
        Across its strongest edges.
    """

    window: Window
    noisy: Array
    estimate: Array
    reference: Array | None
    profiles: tuple[Profile, ...]


@dataclass(frozen=True)
class Assessment:
    """What an `AssessJob` found.

    Attributes
    ----------
    figures : dict of Figure
        By the names in `KINDS`, all of them.
    looks : float
        Of the input, given or estimated.
    looks_given : bool
    domain, despeckled_domain, reference_domain : str
        What the rasters were taken for; "" without a reference.
    areas : list of AreaRecord
        Homogeneous areas, measured in both images.
    windows : tuple of Window
        Where they were found; empty where they were given as polygons.
    levels : list of Level
    targets : list of Target
    crop : Crop or None
        None where no pixel is valid in the places looked at.
    ratio_histogram : Histogram or None
        Of the pixels looked at for structure, beside the law of pure speckle.
    notes : list of str
        What the reader should know: samples, covered parts, correlation.
    peak, data_range : float or None
        Of PSNR and SSIM.
    seconds : float
    """

    figures: dict[str, Figure]
    looks: float
    looks_given: bool
    domain: str
    despeckled_domain: str
    reference_domain: str
    areas: list[AreaRecord]
    windows: tuple[Window, ...]
    levels: list[Level]
    targets: list[Target]
    crop: Crop | None
    ratio_histogram: Histogram | None
    notes: list[str] = field(default_factory=list)
    peak: float | None = None
    data_range: float | None = None
    seconds: float = 0.0

    def reasons(self) -> dict[str, str]:
        """Why figures are missing, by name."""
        return {name: found.why for name, found in self.figures.items() if found.value is None}


def area_figures(areas: Sequence[AreaRecord], looks: float) -> dict[str, Figure]:
    """Means over homogeneous areas, each counted once."""
    measured = [area.statistics for area in areas if area.statistics is not None]
    pairs = [(found.original, found.despeckled) for found in measured if found.despeckled]
    notes = [area.note for area in areas if area.note]
    why = notes[0] if notes else "There is no homogeneous area."

    def over(values: list[float | None], factor: float = 1.0) -> Figure:
        known = [value for value in values if value is not None]
        return Figure(factor * fmean(known)) if known else Figure(None, why)

    return {
        "AREAS": Figure(float(len(pairs))),
        "ENL_INPUT": over([before.enl for before, _ in pairs]),
        "ENL_DESPECKLED": over([after.enl for _, after in pairs]),
        "ENL_GAIN": over([found.enl_gain for found in measured]),
        "CX_INPUT": over([before.cx for before, _ in pairs]),
        "CX_DESPECKLED": over([after.cx for _, after in pairs]),
        "AREA_MEAN_RATIO": over([found.mean_ratio for found in measured]),
        "AREA_VARIANCE_RATIO_LOOKS": over([found.variance_ratio for found in measured], looks),
    }


def ratio_areas(areas: Sequence[AreaRecord]) -> list[RatioArea]:
    """ENL of input and ratio, and the ratio's mean, of each area that has them."""
    found = []
    for area in areas:
        if area.statistics is None or area.statistics.original.enl is None:
            continue
        mean, variance = area.statistics.mean_ratio, area.statistics.variance_ratio
        if mean is not None and variance:
            found.append(RatioArea(area.statistics.original.enl, mean**2 / variance, mean))
    return found

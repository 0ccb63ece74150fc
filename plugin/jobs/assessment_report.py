"""The report of an assessment: figures, what they mean, and what one sees."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.metrics.figure import Figure
from ..reports.charts import Series, line_chart
from ..reports.page import Markup, Page
from ..reports.pictures import colour_bar, decibels, picture, stretch
from ..reports.plots import histogram_chart
from ..version import VERSION
from .assessing import AssessJob
from .assessment import KINDS, Assessment, Crop

Array = npt.NDArray[Any]

_SHOWN = 320
_DB = {"intensity": "intensity", "amplitude": "amplitude", "db": "dB"}

EXPLANATIONS = {
    "Radiometry": (
        "The ratio, input over despeckled, is what was taken away. Of pure speckle of L looks it "
        "has mean 1 and variance 1/L. A variance far below that means speckle was left in; far "
        "above, that parts of the scene were taken out."
    ),
    "Smoothing, in the homogeneous areas": (
        "ENL, mean² / variance, rises with smoothing, and with blur just as well: read it beside "
        "the edges and the ratio. Each area counts once."
    ),
    "Edges and point targets": (
        "Contrast kept: how much of the contrast right beside the input's clear edges is still "
        "there; 1 is all, a mean of 7×7 pixels keeps 0.2 to 0.3. EPD-ROA compares all neighbours "
        "with the input's, whose ratios are mostly speckle: it is 1 for the input itself, falls "
        "as speckle goes, and serves to compare methods that smooth alike; of single-look data it "
        "rests on a few dark pixels. C_NN: a point target "
        "over its eight neighbours."
    ),
    "Structure left in the ratio": (
        "Haralick's homogeneity of the ratio image against the same pixels at random places, as "
        "Gomez, Ospina and Frery (2017) proposed: traces of the scene, or of the filter, set it "
        "apart. In large images even faint traces are beyond chance; what counts is the "
        "percentage. The M-index adds how far the ratio's areas are from speckle. Levels, "
        "permutations and areas are this program's own: compare values with each other, not with "
        "published ones."
    ),
    "Against the clean reference": (
        "Of linear intensity, nothing clipped. PSNR with the peak {peak:.4g}, SSIM with Gaussian "
        "windows of 11×11 pixels and the range {range:.4g}. Bright targets weigh heavily in both; "
        "the difference in decibels counts dark and bright alike."
    ),
    "Estimated risk, without a reference": (
        "From the maps a and b of an affine model (Joo, Cha and Moon 2019, equation 5). Unbiased "
        "where the speckle of neighbouring pixels is independent, too low where it is correlated."
    ),
}


def assessment_page(job: AssessJob, found: Assessment) -> Page:
    """Write the report of an assessment.

    Parameters
    ----------
    job : AssessJob
    found : Assessment
    """
    page = Page(
        f"Assessment of {Path(job.despeckled).name}",
        f"Against {Path(job.input).name}, {time.strftime('%Y-%m-%d %H:%M')}",
    )
    for text in verdicts(found):
        page.text(text)
    for note in found.notes:
        page.warning(note)
    if found.crop is not None:
        page.section("What is seen")
        crop_pictures(page, found.crop, [("Despeckled", found.crop.estimate)], found.looks)
    for title, kinds in KINDS.items():
        missing = {found.figures[kind.name].why for kind in kinds if not _known(found, kind.name)}
        if all(not _known(found, kind.name) for kind in kinds):
            page.section(title)
            for why in sorted(missing):
                page.text(f"Not measured: {why}")
            continue
        page.section(title)
        rows = [(kind.title, shown(found.figures[kind.name]), kind.ideal) for kind in kinds]
        page.table(("figure", "value", "ideal"), rows)
        for why in sorted(missing):
            page.text(f"n/a: {why}")
        page.text(EXPLANATIONS[title].format(peak=found.peak or 0.0, range=found.data_range or 0.0))
        _extras(page, title, found)
    page.section("Images and settings")
    page.pairs(_settings(job, found))
    page.footer(f"Speckless {VERSION}.")
    return page


def shown(found: Figure) -> str:
    """A figure to four digits, with a true minus sign; "n/a" where there is none."""
    if found.value is None:
        return "n/a"
    value = found.value
    text = f"{value:.0f}" if value == round(value) and abs(value) < 1e9 else f"{value:.4g}"
    return text.replace("-", "−")


def verdicts(found: Assessment) -> list[str]:
    """What the figures say, in a few plain sentences."""
    value = {name: figure.value for name, figure in found.figures.items()}
    texts = []
    before, after = value["ENL_INPUT"], value["ENL_DESPECKLED"]
    if before and after:
        texts.append(
            f"In homogeneous areas the equivalent number of looks went from {before:.3g} to "
            f"{after:.3g}."
        )
    bias = value["BIAS_DB"]
    if bias is not None and abs(bias) >= 0.2:
        way = "darker" if bias < 0 else "brighter"
        texts.append(f"The image came out {way} by {abs(bias):.2g} dB on the whole: it is biased.")
    ratio = value["VARIANCE_RATIO_LOOKS"]
    if ratio is not None and ratio < 0.6:
        texts.append(f"Much speckle was left in: the ratio has {ratio:.0%} of its variance.")
    elif ratio is not None and ratio > 1.5:
        texts.append(
            f"More than speckle was taken out: the ratio has {ratio:.2g} times its variance."
        )
    kept = value["EDGE_CONTRAST"]
    if kept is not None:
        word = "nearly all" if kept >= 0.85 else "most" if kept >= 0.6 else "only part"
        texts.append(f"Edges kept {word} of their contrast ({kept:.0%}).")
    peak = value["PEAK_CHANGE_DB"]
    if peak is not None and peak < -1:
        texts.append(f"Point targets lost {-peak:.2g} dB of their peaks.")
    return [" ".join(texts)] if texts else []


def crop_pictures(
    page: Page,
    crop: Crop,
    estimates: Sequence[tuple[str, Array]],
    looks: float,
    with_profiles: bool = True,
) -> None:
    """Show a part before and after, all in one stretch, with the ratios and cuts across edges."""
    window = crop.window
    page.text(
        f"Columns {window.x} to {window.right - 1}, rows {window.y} to {window.bottom - 1} of the "
        "input: of the places looked at, the one with the most detail."
    )
    after = [(name, decibels(image)) for name, image in estimates]
    known = [image for _, image in after if np.isfinite(image).any()]
    low, high = stretch(
        np.concatenate([image.ravel() for image in known]) if known else after[0][1]
    )
    images = [("Input", decibels(crop.noisy)), *after]
    if crop.reference is not None:
        images.append(("Clean reference", decibels(crop.reference)))
    page.figures(
        (picture(image, low, high, width=_SHOWN, title=name), f"{name}.") for name, image in images
    )
    page.text(
        f"Black is {low:.1f} dB and less, white {high:.1f} dB and more, in all of them.".replace(
            "-", "−"
        )
    )
    reach = min(2 / math.sqrt(looks), 1.0)
    ratios = []
    for name, image in estimates:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(image > 0, crop.noisy / image, np.nan)
        caption = f"{name}: ratio, input over estimate."
        ratios.append((picture(ratio, 1 - reach, 1 + reach, "gray", _SHOWN, caption), caption))
    bar = colour_bar(1 - reach, 1 + reach, "gray", "ratio", _SHOWN)
    page.figures([*ratios, (bar, "Ratio. Pure speckle shows no trace of the scene.")])
    if with_profiles and crop.profiles:
        page.figures(_profiles(crop))


def _profiles(crop: Crop) -> list[tuple[Markup, str]]:
    figures = []
    for profile in crop.profiles:
        lines = [
            Series("input", list(profile.distance), list(decibels(profile.before)), dashed=True),
            Series("despeckled", list(profile.distance), list(decibels(profile.after))),
        ]
        way = "along a row" if profile.vertical else "along a column"
        chart = line_chart(lines, "pixels from the edge", "mean of 9 pixels (dB)", marked_x=0.0)
        column, row = crop.window.x + profile.column, crop.window.y + profile.row
        figures.append(
            (chart, f"Cut {way} across the strongest edge, at column {column}, row {row}.")
        )
    return figures


def _extras(page: Page, title: str, found: Assessment) -> None:
    makers: dict[str, Callable[[Page, Assessment], None]] = {
        "Radiometry": _levels,
        "Smoothing, in the homogeneous areas": _areas,
        "Edges and point targets": _targets,
        "Structure left in the ratio": _ratio_histogram,
    }
    if title in makers:
        makers[title](page, found)


def _levels(page: Page, found: Assessment) -> None:
    if not found.levels:
        return
    rows = [
        (
            f"{level.low:g} to {level.high:g}".replace("-", "−"),
            f"{level.pixels}",
            f"{level.bias_db:+.2f}".replace("-", "−"),
        )
        for level in found.levels
    ]
    page.table(
        ("despeckled intensity (dB)", "pixels", "mean after / before (dB)"),
        rows,
        "By brightness of the despeckled pixel; a filter that leaves speckle in shows a tilt "
        "here, for bright speckle then counts as bright ground.",
    )


def _areas(page: Page, found: Assessment) -> None:
    header = (
        "area",
        "pixels",
        "ENL before",
        "95 % interval",
        "ENL after",
        "gain",
        "MoR",
        "VoR · L",
    )
    rows: list[tuple[str, ...]] = []
    charts: list[tuple[Markup, str]] = []
    for number, area in enumerate(found.areas, 1):
        measured = area.statistics
        if measured is None or measured.despeckled is None:
            rows.append((f"{number}: {area.problem}", *[""] * 7))
            continue
        before, after = measured.original, measured.despeckled
        interval = ""
        if before.enl_low is not None and before.enl_high is not None:
            interval = f"{before.enl_low:.3g} to {before.enl_high:.3g}"
        name = str(number)
        if found.windows:
            window = found.windows[number - 1]
            name += f" (column {window.x}, row {window.y})"
        variance = measured.variance_ratio
        rows.append(
            (
                name,
                str(before.n_pixels),
                _number(before.enl),
                interval,
                _number(after.enl),
                _number(measured.enl_gain),
                _number(measured.mean_ratio),
                _number(None if variance is None else variance * found.looks),
            )
        )
        if not charts:
            for what, image in (("before", before), ("after", after)):
                if image.histogram is not None:
                    drawn = image.histogram
                    chart = histogram_chart(
                        drawn.edges, drawn.density, drawn.fitted,
                        f"{_DB.get(drawn.domain, drawn.domain)}", ("pixels", drawn.law),
                    )  # fmt: skip
                    charts.append(
                        (
                            chart,
                            f"Area {number} {what}: {drawn.law} law of "
                            f"{_number(image.gamma_looks)} looks fitted, Kolmogorov-Smirnov "
                            f"distance {_number(image.ks_distance)}.",
                        )
                    )
    page.table(header, rows)
    if charts:
        page.figures(charts)


def _targets(page: Page, found: Assessment) -> None:
    if not found.targets:
        return

    def db(one: float, other: float) -> str:
        if not (one > 0 and other > 0):
            return "n/a"
        return f"{10 * math.log10(one / other):.2f}".replace("-", "−")

    rows = [
        (
            f"{target.column}, {target.row}",
            db(target.before, target.around_before),
            db(target.after, target.around_after),
            db(target.after, target.before),
        )
        for target in found.targets[:10]
    ]
    more = len(found.targets) - len(rows)
    page.table(
        ("target (column, row)", "C_NN before (dB)", "C_NN after (dB)", "peak (dB)"),
        rows,
        f"The strongest; {more} more." if more else "",
    )


def _ratio_histogram(page: Page, found: Assessment) -> None:
    drawn = found.ratio_histogram
    if drawn is None:
        return
    chart = histogram_chart(
        drawn.edges, drawn.density, drawn.fitted, "ratio, input / despeckled",
        ("pixels", f"speckle of {found.looks:.3g} looks"),
    )  # fmt: skip
    page.figures([(chart, "Ratio image beside the Gamma law it should follow.")])


def _number(value: float | None) -> str:
    return "n/a" if value is None else shown(Figure(value))


def _known(found: Assessment, name: str) -> bool:
    return found.figures[name].value is not None


def _settings(job: AssessJob, found: Assessment) -> list[tuple[str, str]]:
    given = "given" if found.looks_given else "estimated"
    rows = [
        ("Input", f"{job.input}, band {job.band}, {found.domain}"),
        ("Despeckled image", f"{job.despeckled}, {found.despeckled_domain}"),
    ]
    if job.reference:
        rows.append(("Clean reference", f"{job.reference}, {found.reference_domain}"))
    return [
        *rows,
        ("Number of looks", f"{found.looks:.3g} ({given})"),
        ("All figures are of", "linear intensity"),
        ("Time", f"{found.seconds:.1f} s"),
    ]

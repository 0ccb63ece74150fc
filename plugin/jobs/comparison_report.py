"""What a comparison found, as a table and as a report that answers "which filter?"."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..reports.charts import Series, line_chart
from ..reports.page import Page
from ..reports.pictures import decibels
from ..reports.plots import Point, point_chart
from ..version import VERSION
from .assessment import NAMES, Crop
from .assessment_report import EXPLANATIONS, crop_pictures
from .comparing import FILTER, NETWORK, RASTER, CompareJob, Comparison, MethodResult
from .statistics_table import write_table

_GROUPS = (FILTER, NETWORK, RASTER, "input as it is")

# Measures of edges, the first that any method has; with what they are called on the axis.
_EDGES = (
    ("EDGE_CONTRAST", "contrast kept at edges (1: all)"),
    ("EPI", "edge preservation index (1: all)"),
    ("EPD_ROA_X", "EPD-ROA in rows"),
)
# Beyond this change of the mean level (dB) a method is no candidate.
_BIASED = 0.5
# Methods in the charts of cuts, which could not be told apart if there were many.
_CUTS = 4
# Share of the speckle's variance below which a method is said to leave much of it in.
_RAW = 0.5

_COLUMNS = (
    ("ENL_DESPECKLED", "ENL"),
    ("EDGE_CONTRAST", "edges kept"),
    ("PEAK_CHANGE_DB", "targets (dB)"),
    ("BIAS_DB", "level (dB)"),
    ("MEAN_RATIO", "MoR"),
    ("VARIANCE_RATIO_LOOKS", "VoR · L"),
    ("HOMOGENEITY_EXCESS", "structure (%)"),
    ("PSNR", "PSNR (dB)"),
    ("SSIM", "SSIM"),
    ("LOG_RMSE_DB", "RMS diff. (dB)"),
)


def edge_measure(found: Comparison) -> tuple[str, str]:
    """Name and title of the measure of edges that the trade-off is drawn by."""
    for name, title in _EDGES:
        if any(method.value(name) is not None for method in found.assessed):
            return name, title
    return _EDGES[0]


def efficient(found: Comparison) -> list[MethodResult]:
    """Methods that no other beats in both ENL and edges, the smoothest first.

    Those that change the mean level by more than half a decibel do not compete.
    """
    edges = edge_measure(found)[0]
    candidates = []
    for method in found.assessed:
        enl, kept, bias = (method.value(n) for n in ("ENL_DESPECKLED", edges, "BIAS_DB"))
        if enl is not None and kept is not None and abs(bias or 0.0) <= _BIASED:
            candidates.append((enl, kept, method))
    best = [
        (enl, method)
        for enl, kept, method in candidates
        if not any(
            (other >= enl and more >= kept) and (other > enl or more > kept)
            for other, more, _ in candidates
        )
    ]
    return [method for _, method in sorted(best, key=lambda pair: -pair[0])]


def comparison_page(job: CompareJob, found: Comparison) -> Page:
    """Write the report of a comparison.

    Parameters
    ----------
    job : CompareJob
    found : Comparison
    """
    page = Page(
        f"Despeckling of {Path(job.input).name} compared",
        f"{len(found.assessed)} methods, {time.strftime('%Y-%m-%d %H:%M')}",
    )
    page.text(answer(found))
    for method in found.methods:
        if method.problem:
            page.warning(f"{method.name} gave no result: {method.problem}")
    first = found.assessed[0].assessment
    assert first is not None
    for note in first.notes:
        page.warning(note)
    _trade_off(page, found)
    page.section("Figures")
    _table(page, found)
    _contact_sheet(page, found)
    page.section("Image and settings")
    window = found.window
    given = "given" if found.looks_given else "estimated"
    page.pairs(
        [
            ("Input", f"{job.input}, band {job.band}, {found.domain}"),
            (
                "Compared",
                f"columns {window.x} to {window.right - 1}, rows {window.y} to {window.bottom - 1}",
            ),
            ("Clean reference", job.reference or "none"),
            ("Number of looks", f"{found.looks:.3g} ({given})"),
            ("All figures are of", "linear intensity"),
        ]
    )
    page.footer(f"Speckless {VERSION}.")
    return page


def answer(found: Comparison) -> str:
    """Which methods are worth choosing from, in words."""
    best = efficient(found)
    if not best:
        return (
            "No method stands out: ENL or edges could not be measured, or all change the mean "
            "level. Draw homogeneous areas, or choose a part with edges."
        )
    title = edge_measure(found)[1].split(" (")[0]
    if len(best) == 1:
        text = f"{best[0].name} is ahead of all others in smoothing and in {title}."
    else:
        names = ", ".join(method.name for method in best[:-1])
        text = (
            f"No method beats these in both smoothing and {title}, from the smoothest to the "
            f"sharpest: {names} and {best[-1].name}."
        )
    errors = [
        (error, method.name)
        for method in found.assessed
        if (error := method.value("LOG_RMSE_DB")) is not None
    ]
    if errors:
        error, name = min(errors)
        text += f" Nearest to the clean reference, in decibels, is {name} ({error:.3g} dB RMS)."
    biased = [m.name for m in found.assessed if abs(m.value("BIAS_DB") or 0.0) > _BIASED]
    if biased:
        text += f" The mean level was changed by more than {_BIASED} dB by {', '.join(biased)}."
    raw = [m.name for m in found.assessed if (m.value("VARIANCE_RATIO_LOOKS") or 1.0) < _RAW]
    if raw:
        text += f" Much speckle is left in by {', '.join(raw)}: what is not filtered stays sharp."
    return text + " Look at the pictures and their ratios before you choose."


def write_comparison(path: str, found: Comparison) -> None:
    """Write one line a method, with all figures, to a .csv or .html file.

    Raises
    ------
    InvalidInput
        If it cannot be written.
    """
    names = ("method", "kind", "seconds", *NAMES, "problem", "path")
    rows: list[Sequence[Any]] = [
        (
            method.name,
            method.kind,
            method.seconds,
            *(method.value(name) for name in NAMES),
            method.problem,
            method.path,
        )
        for method in found.methods
    ]
    write_table(path, "Comparison of despeckling methods", names, rows)


def _trade_off(page: Page, found: Comparison) -> None:
    edges, title = edge_measure(found)
    points = []
    for method in found.assessed:
        enl, kept = method.value("ENL_DESPECKLED"), method.value(edges)
        if enl is not None and kept is not None:
            points.append(Point(method.name, enl, kept, _GROUPS.index(method.kind)))
    if not points:
        return
    before = found.assessed[0].value("ENL_INPUT")
    if before is not None and edges in ("EDGE_CONTRAST", "EPD_ROA_X"):
        points.append(Point("input", before, 1.0, len(_GROUPS) - 1))
    page.section("Smoothing against edges")
    page.figures(
        [
            (
                point_chart(points, "ENL in homogeneous areas", title, True, _GROUPS),
                "Best is at the top right: smooth where the ground is uniform, sharp at edges.",
            )
        ]
    )
    page.text(EXPLANATIONS["Smoothing, in the homogeneous areas"])
    page.text(EXPLANATIONS["Edges and point targets"])


def _table(page: Page, found: Comparison) -> None:
    kept = [
        (name, title)
        for name, title in _COLUMNS
        if any(method.value(name) is not None for method in found.assessed)
    ]
    best = {id(method) for method in efficient(found)}
    rows = []
    for method in found.assessed:
        figures = [_brief(method.value(name), name) for name, _ in kept]
        seconds = "" if method.seconds is None else f"{method.seconds:.1f}"
        name = f"● {method.name}" if id(method) in best else method.name
        rows.append((name.replace(" ", "\u00a0"), *figures, seconds))
    page.table(
        ("method", *(title for _, title in kept), "time (s)"),
        rows,
        "● no other is better in both smoothing and edges. Ideal: targets and level 0 dB, MoR and "
        "VoR · L 1, structure 0 %, edges 1.",
    )


def _brief(value: float | None, name: str) -> str:
    """As many digits as methods differ by."""
    if value is None:
        return "n/a"
    if name == "ENL_DESPECKLED":
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    places = {"HOMOGENEITY_EXCESS": 1, "PSNR": 2}.get(name, 2 if name.endswith("_DB") else 3)
    # Adding zero makes -0.0 plain.
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", "−")


def _contact_sheet(page: Page, found: Comparison) -> None:
    crops = [
        (method.name, method.assessment.crop)
        for method in found.assessed
        if method.assessment is not None and method.assessment.crop is not None
    ]
    if not crops:
        return
    page.section("What is seen")
    first = crops[0][1]
    # The same part of all, unless nodata moved it.
    same = [(name, crop.estimate) for name, crop in crops if crop.window == first.window]
    crop_pictures(page, first, same, found.looks, with_profiles=False)
    _cuts(page, found, first)


def _cuts(page: Page, found: Comparison, first: Crop) -> None:
    """Show cuts across the strongest edges by the methods to choose from, or the first ones."""
    chosen = efficient(found)
    chosen += [method for method in found.assessed if method not in chosen]
    figures = []
    for number, profile in enumerate(first.profiles):
        across = list(profile.distance)
        lines = [Series("input", across, list(decibels(profile.before)), dashed=True)]
        for method in chosen[:_CUTS]:
            crop = method.assessment.crop if method.assessment is not None else None
            # The place was chosen by the input alone, so it is the same for all of one window.
            if crop is not None and crop.window == first.window:
                after = list(decibels(crop.profiles[number].after))
                lines.append(Series(method.name, across, after))
        way = "along a row" if profile.vertical else "along a column"
        column, row = first.window.x + profile.column, first.window.y + profile.row
        chart = line_chart(
            lines, "pixels from the edge", "mean of 9 pixels (dB)", marked_x=0.0, width=720
        )
        caption = f"Cut {way} across the strongest edge, at column {column}, row {row}."
        figures.append((chart, caption))
    if figures:
        page.figures(figures)

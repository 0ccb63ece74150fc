"""Histograms with a law beside them, and named points (trade-offs), as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from .charts import (
    BOTTOM,
    COLOURS,
    INK,
    LEFT,
    LEGEND,
    RIGHT,
    TOP,
    Axis,
    axis_labels,
    frame,
    mark,
    rule,
    value_range,
)
from .page import Markup

Array = npt.NDArray[Any]

_LETTER = 6.6  # mean width of a character of 12 pixels


def histogram_chart(
    edges: Array,
    density: Array,
    fitted: Array,
    x_label: str,
    names: tuple[str, str],
    width: int = 480,
    height: int = 260,
) -> Markup:
    """Draw a histogram as an area and a law's density as a line.

    Parameters
    ----------
    edges : ndarray, (bins + 1,)
    density, fitted : ndarray, (bins,)
    x_label : str
        With unit.
    names : (str, str)
        Of the histogram and the law.

    Raises
    ------
    ValueError
        When there is no bin.
    """
    if len(density) == 0:
        raise ValueError("There is no bin to draw.")
    bottom, top = height - BOTTOM, TOP + LEGEND
    x_axis = Axis(float(edges[0]), float(edges[-1]), False, LEFT, width - RIGHT)
    highest = max(float(max(density)), float(max(fitted)), 1e-12)
    y_axis = Axis(0.0, 1.06 * highest, False, bottom, top)
    outline = [f"{x_axis.start:.1f},{bottom:.1f}"]
    for index, value in enumerate(density):
        y = y_axis.place(float(value))
        outline += [f"{x_axis.place(float(edges[index + side])):.1f},{y:.1f}" for side in (0, 1)]
    outline.append(f"{x_axis.end:.1f},{bottom:.1f}")
    law = " ".join(
        f"{x_axis.place(float(low + high) / 2):.1f},{y_axis.place(float(value)):.1f}"
        for low, high, value in zip(edges[:-1], edges[1:], fitted)
    )
    parts = [
        frame(x_axis, y_axis),
        axis_labels(x_label, "density", width, height, top),
        f'<polygon points="{" ".join(outline)}" fill="{COLOURS[0]}" fill-opacity="0.35"/>',
        f'<polyline points="{law}" fill="none" stroke="{COLOURS[1]}" stroke-width="2"/>',
        f'<rect x="{LEFT}" y="8" width="22" height="12" fill="{COLOURS[0]}" fill-opacity="0.35"/>',
        f'<text x="{LEFT + 28}" y="18">{html.escape(names[0])}</text>',
    ]
    x = LEFT + 44 + _LETTER * len(names[0])
    parts.append(
        f'<line x1="{x:.1f}" y1="14" x2="{x + 22:.1f}" y2="14" stroke="{COLOURS[1]}" '
        f'stroke-width="2"/><text x="{x + 28:.1f}" y="18">{html.escape(names[1])}</text>'
    )
    return _svg(parts, width, height, f"{names[0]} and {names[1]} over {x_label}")


@dataclass(frozen=True)
class Point:
    """A named point.

    Attributes
    ----------
    name : str
    x, y : float
    group : int
        Points of one group share colour and shape.
    """

    name: str
    x: float
    y: float
    group: int = 0


def point_chart(
    points: Sequence[Point],
    x_label: str,
    y_label: str,
    log_x: bool = False,
    groups: Sequence[str] = (),
    width: int = 720,
    height: int = 460,
) -> Markup:
    """Draw named points, their names beside them where they cover nothing.

    Parameters
    ----------
    points : sequence of Point
    x_label, y_label : str
    log_x : bool
    groups : sequence of str
        Names of the groups, for the legend, which shows those that have points.

    Raises
    ------
    ValueError
        When no point can be drawn.
    """
    shown = [
        point
        for point in points
        if math.isfinite(point.x) and math.isfinite(point.y) and (point.x > 0 or not log_x)
    ]
    if not shown:
        raise ValueError("There is no point to draw.")
    bottom, top = height - BOTTOM, TOP + (LEGEND if groups else 0)
    x_axis = Axis(*value_range([p.x for p in shown], log_x, 0.12), log_x, LEFT, width - RIGHT)
    y_axis = Axis(*value_range([p.y for p in shown], False, 0.08), False, bottom, top)
    parts = [frame(x_axis, y_axis), axis_labels(x_label, y_label, width, height, top)]
    places = [(x_axis.place(point.x), y_axis.place(point.y)) for point in shown]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    for point, (x, y) in zip(shown, places):
        colour = COLOURS[point.group % len(COLOURS)]
        parts.append(mark(x, y, point.group, colour))
        box, anchor, at = _label_place(point.name, x, y, taken, width - RIGHT)
        taken.append(box)
        parts.append(
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}" fill="{INK}">'
            f"{html.escape(point.name)}</text>"
        )
        if math.hypot(at[0] - x, at[1] - 4 - y) > 20:
            parts.append(rule(x, y, at[0], at[1] - 4, colour, ' stroke-width="0.7"'))
    x = float(LEFT)
    for number, name in enumerate(groups):
        if not any(point.group == number for point in shown):
            continue
        parts.append(mark(x + 6, 14, number, COLOURS[number % len(COLOURS)]))
        parts.append(f'<text x="{x + 16}" y="18">{html.escape(name)}</text>')
        x += 34 + _LETTER * len(name)
    return _svg(parts, width, height, f"{y_label} over {x_label}")


_Box = tuple[float, float, float, float]


def _label_place(
    name: str, x: float, y: float, taken: Sequence[_Box], right: float
) -> tuple[_Box, str, tuple[float, float]]:
    """Box, anchor and place of a name: the first place around its point that is free."""
    long = _LETTER * len(name)
    best: tuple[float, _Box, str, tuple[float, float]] | None = None
    for down in (0, -15, 15, -30, 30, -45, 45):
        for anchor, start in (("start", x + 9), ("end", x - 9 - long)):
            box = (start, y + down - 8, start + long, y + down + 6)
            over = sum(_overlap(box, other) for other in taken)
            # Beyond the chart is worse than over a neighbour.
            over += 20 * (max(0.0, box[2] - right) + max(0.0, LEFT - box[0]))
            at = (start if anchor == "start" else start + long, y + down + 4)
            if best is None or over < best[0]:
                best = (over, box, anchor, at)
    assert best is not None
    return best[1:]


def _overlap(one: _Box, other: _Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _svg(parts: Sequence[str], width: int, height: int, title: str) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(title, quote=True)}" font-size="12" '
        f'font-family="system-ui, sans-serif" fill="{INK}">{"".join(parts)}</svg>'
    )

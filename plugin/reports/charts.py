"""Line charts as SVG: axes with round ticks, error bars, legend; linear or logarithmic."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from .page import Markup

# Distinct for the colour-blind too (after Okabe and Ito), and each with a mark of its own.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, FAINT = "#3b4656", "#d5dbe3"
LEFT, RIGHT, TOP, BOTTOM = 68, 14, 14, 46
LEGEND = 20


@dataclass(frozen=True)
class Series:
    """A line of points.

    Attributes
    ----------
    name : str
        In the legend.
    x, y : sequence of float
        Points that are not finite, or not positive on a logarithmic axis, are left out.
    error : sequence of float, optional
        Half the length of the error bars, such as the standard error.
    dashed : bool
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    error: Sequence[float] | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """Places of values between two ends of a chart, in CSS pixels."""

    low: float
    high: float
    log: bool
    start: float
    end: float

    def place(self, value: float) -> float:
        """Return where a value is drawn."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values along the axis."""
        return _log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)


def line_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    zero_line: bool = False,
    marked_x: float | None = None,
    integer_x: bool = False,
    width: int = 480,
    height: int = 300,
    title: str = "",
) -> Markup:
    """Draw lines over common axes.

    Parameters
    ----------
    series : sequence of Series
    x_label, y_label : str
        With units.
    log_x, log_y : bool
    zero_line : bool
        Draw y = 0, and have it in range.
    marked_x : float, optional
        Where to draw a dotted upright.
    integer_x : bool
        No ticks between whole numbers.
    width, height : int
        In CSS pixels.
    title : str
        For those who cannot see it.

    Raises
    ------
    ValueError
        When lengths differ, or no point can be drawn.
    """
    lines = [(one, _points(one, log_x, log_y)) for one in series]
    points = [point for _, found in lines for point in found]
    if not points:
        raise ValueError("There is no point to draw.")
    bottom = height - BOTTOM
    top = TOP + (LEGEND if len(series) > 1 else 0)
    xs = [x for x, _, _ in points] + ([] if marked_x is None else [marked_x])
    ys = [y + sign * e for _, y, e in points for sign in (-1, 1)]
    if log_y:
        ys = [value for value in ys if value > 0] + [y for _, y, _ in points]
    ys += [0.0] if zero_line and not log_y else []
    x_axis = Axis(*value_range(xs, log_x, 0.03), log_x, LEFT, width - RIGHT)
    y_axis = Axis(*value_range(ys, log_y, 0.06), log_y, bottom, top)
    parts = [frame(x_axis, y_axis, integer_x), axis_labels(x_label, y_label, width, height, top)]
    if zero_line and not log_y:
        parts.append(rule(x_axis.start, y_axis.place(0), x_axis.end, y_axis.place(0), INK))
    if marked_x is not None:
        x = x_axis.place(marked_x)
        parts.append(rule(x, top, x, bottom, INK, ' stroke-dasharray="2 3"'))
    for number, (one, found) in enumerate(lines):
        parts.append(_drawn(one, found, number, x_axis, y_axis))
    if len(series) > 1:
        parts.append(_legend([one for one, _ in lines]))
    label = html.escape(title or f"{y_label} over {x_label}", quote=True)
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{label}" font-size="12" font-family="system-ui, sans-serif" '
        f'fill="{INK}">{"".join(parts)}</svg>'
    )


def linear_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(f for f in (1, 2, 5, 10, 20) if (high - low) / (f * step) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between where there are few; linear within less than 3-fold."""
    if high / low < 3:
        return linear_ticks(low, high)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    apart = max(1, math.ceil(len(decades) / 8))
    factors = (1, 2, 5) if len(decades) <= 4 else (1,)
    ticks = [f * 10.0**power for power in decades if power % apart == 0 for f in factors]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]


def _points(one: Series, log_x: bool, log_y: bool) -> list[tuple[float, float, float]]:
    errors = [0.0] * len(one.x) if one.error is None else one.error
    if not len(one.x) == len(one.y) == len(errors):
        raise ValueError(f"The series '{one.name}' has lists of different lengths.")
    found = []
    for x, y, error in zip(one.x, one.y, errors):
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        if (log_x and x <= 0) or (log_y and y <= 0):
            continue
        found.append((float(x), float(y), float(error) if math.isfinite(error) else 0.0))
    return found


def value_range(values: Sequence[float], log: bool, margin: float) -> tuple[float, float]:
    """Ends of an axis that holds all values, with a margin."""
    low, high = min(values), max(values)
    if log:
        factor = (high / low) ** margin if high > low else 2.0
        return low / factor, high * factor
    # A constant would have no extent to draw in.
    space = (high - low) * margin if high > low else abs(high) / 2 or 0.5
    return low - space, high + space


def frame(x_axis: Axis, y_axis: Axis, integer_x: bool = False) -> str:
    """Ticks, grid lines and the line below."""
    parts = []
    x_ticks = [t for t in x_axis.ticks() if not integer_x or abs(t - round(t)) < 1e-9]
    for tick, text in zip(x_ticks, _texts(x_ticks)):
        x = x_axis.place(tick)
        parts.append(rule(x, y_axis.start, x, y_axis.start + 5, INK))
        parts.append(
            f'<text x="{x:.1f}" y="{y_axis.start + 18}" text-anchor="middle">{text}</text>'
        )
    y_ticks = y_axis.ticks()
    for tick, text in zip(y_ticks, _texts(y_ticks)):
        y = y_axis.place(tick)
        parts.append(rule(x_axis.start, y, x_axis.end, y, FAINT))
        parts.append(
            f'<text x="{x_axis.start - 7}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    parts.append(rule(x_axis.start, y_axis.start, x_axis.end, y_axis.start, INK))
    return "".join(parts)


def _texts(ticks: Sequence[float]) -> list[str]:
    """Numbers of a scale, with as many digits as tell them apart."""
    least = 1e-9 * max(map(abs, ticks), default=1.0)
    ticks = [0.0 if abs(tick) <= least else tick for tick in ticks]
    rounded = [f"{tick:.15g}" for tick in ticks]
    for digits in range(1, 15):
        rounded = [f"{tick:.{digits}g}" for tick in ticks]
        if all(abs(float(text) - tick) <= least for text, tick in zip(rounded, ticks)):
            break
    return [_readable(text) for text in rounded]


def _readable(text: str) -> str:
    """A number without "e": written out, or with a power of ten where that is long."""
    number = Decimal(text)
    if not number or 1e-4 <= abs(number) < 1e6:
        text = f"{number:f}"
    else:
        power = number.adjusted()
        mantissa = number.scaleb(-power).normalize()
        raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{mantissa:f}·10{raised}"
    return text.replace("-", "−")


def axis_labels(x_label: str, y_label: str, width: int, height: int, top: float) -> str:
    """What the axes show."""
    across = (LEFT + width - RIGHT) / 2
    down = (top + height - BOTTOM) / 2
    return (
        f'<text x="{across:.1f}" y="{height - 8}" text-anchor="middle">'
        f"{html.escape(x_label)}</text>"
        f'<text transform="translate(14 {down:.1f}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_label)}</text>"
    )


def _drawn(
    one: Series,
    points: Sequence[tuple[float, float, float]],
    number: int,
    x_axis: Axis,
    y_axis: Axis,
) -> str:
    colour = COLOURS[number % len(COLOURS)]
    places = [(x_axis.place(x), y_axis.place(y)) for x, y, _ in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = ' stroke-dasharray="6 4"' if one.dashed else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>']
    for (x, y), (_, value, error) in zip(places, points):
        if error > 0:
            parts.append(_bar(x, value, error, y_axis, colour))
        parts.append(mark(x, y, number, colour))
    return "".join(parts)


def _bar(x: float, value: float, error: float, axis: Axis, colour: str) -> str:
    # On a logarithmic axis the lower end may lie below zero.
    low = value - error if not axis.log or value > error else axis.low
    ends = [axis.place(max(low, axis.low)), axis.place(min(value + error, axis.high))]
    caps = "".join(rule(x - 4, y, x + 4, y, colour) for y in ends)
    return rule(x, ends[0], x, ends[1], colour) + caps


def mark(x: float, y: float, number: int, colour: str) -> str:
    """A point, of a shape that goes with the number of its series."""
    shape = number % 3
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>'
    if shape == 1:
        return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{colour}"/>'
    corners = f"{x:.1f},{y - 4:.1f} {x - 4:.1f},{y + 3:.1f} {x + 4:.1f},{y + 3:.1f}"
    return f'<polygon points="{corners}" fill="{colour}"/>'


def _legend(series: Sequence[Series]) -> str:
    parts, x = [], float(LEFT)
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="6 4"' if one.dashed else ""
        parts.append(
            f'<line x1="{x}" y1="14" x2="{x + 22}" y2="14" stroke="{colour}" '
            f'stroke-width="2"{dash}/>{mark(x + 11, 14, number, colour)}'
            f'<text x="{x + 28}" y="18">{html.escape(one.name)}</text>'
        )
        x += 46 + 7.2 * len(one.name)
    return "".join(parts)


def rule(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    """A straight line."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'
    )

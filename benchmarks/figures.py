"""Figures of the benchmarks. matplotlib is asked for only when one is drawn."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]


def add_figure_option(parser: argparse.ArgumentParser, name: str) -> None:
    """Where the figure goes."""
    parser.add_argument(
        "--figure", default=_ROOT / ".run" / "bench" / name, type=Path, metavar="FILE",
        help=f"PNG, SVG or PDF to write (default: .run/bench/{name} of the checkout)",
    )  # fmt: skip


def draw(
    path: Path,
    paint: Callable[[Any], None],
    columns: int = 1,
    rows: int = 1,
    size: tuple[float, float] = (5.2, 3.8),
) -> None:
    """Write a figure (PNG, SVG or PDF, by the file's ending) and say where.

    Parameters
    ----------
    path : Path
    paint : callable
        Gets the axes, an array (rows, columns).
    columns, rows : int
    size : tuple of float
        Of one panel, in inches.
    """
    try:
        with warnings.catch_warnings():
            # Of a second matplotlib, the distribution's, beside the pinned one.
            warnings.simplefilter("ignore", UserWarning)
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
    except ImportError:
        sys.stderr.write(
            f"No figure {path}: this Python has no matplotlib (see requirements-dev.txt).\n"
        )
        return
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure.subplots(rows, columns, squeeze=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        figure.savefig(part, dpi=150)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    sys.stdout.write(f"figure: {path}\n")


def looks_axis(panel: Any, looks: Sequence[float], label: str = "L") -> None:
    """Logarithmic horizontal axis with a tick at each L."""
    panel.set(xlabel=label, xscale="log")
    panel.set_xticks(list(looks), [f"{value:g}" for value in looks])
    panel.set_xticks([], minor=True)

"""Command line of the classical filters: ``./run filter NAME INPUT OUTPUT``."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import fields
from typing import Any

from ..core.domains import DOMAINS
from ..core.errors import InvalidInput, SpecklessError
from ..core.filters.base import SpeckleFilter
from ..core.filters.registry import FILTERS, find_filter
from .filtering import FilterJob


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run filter", description=__doc__)
    parser.add_argument("name", metavar="NAME", help=", ".join(FILTERS))
    parser.add_argument("input", metavar="INPUT", help="raster")
    parser.add_argument("output", metavar="OUTPUT", help="raster, .tif")
    parser.add_argument("--radius", type=int, help="of the window, in pixels")
    parser.add_argument("--looks", type=float, help="equivalent number (default: estimated)")
    parser.add_argument("--variant", help="where peers mean different filters by the name")
    parser.add_argument("--domain", default="auto", choices=["auto", *DOMAINS])
    parser.add_argument("--bands", type=int, nargs="+", help="from 1 (default: all)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", dest="settings",
        help="a parameter of the filter's own, e.g. damping=1.5",
    )  # fmt: skip
    parser.add_argument(
        "--co", action="append", default=[], metavar="NAME=VALUE", help="creation option of GDAL"
    )
    parser.add_argument("--threads", type=int, default=0, help="that compute (default: all cores)")
    return parser


def make_filter(
    name: str, radius: int | None, variant: str | None, settings: list[str]
) -> SpeckleFilter:
    """Return a filter with the parameters given, its own defaults for the others.

    Raises
    ------
    InvalidInput
        If it has no such parameter, or not of that value.
    """
    kind = find_filter(name)
    own = {field.name: getattr(kind(), field.name) for field in fields(kind)}
    chosen: dict[str, Any] = {}
    if radius is not None:
        chosen["radius"] = radius
    if variant is not None:
        chosen["variant"] = variant
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in own or key in ("radius", "variant"):
            known = ", ".join(key for key in own if key not in ("radius", "variant"))
            raise InvalidInput(
                f"The filter {name} has no parameter '{key}'; it has {known or 'none of its own'}."
            )
        try:
            chosen[key] = int(text) if isinstance(own[key], int) else float(text)
        except ValueError:
            raise InvalidInput(f"'{text}' is no value for {key}; give a number.") from None
    return kind(**chosen)


def main(arguments: list[str] | None = None) -> int:
    """Filter a raster; errors a user can act on come as one line."""
    options = _parser().parse_args(arguments)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: stopped.append(received))
    try:
        job = FilterJob(
            options.input,
            options.output,
            make_filter(options.name, options.radius, options.variant, options.settings),
            bands=options.bands,
            domain=options.domain,
            looks=options.looks,
            creation_options=options.co,
            threads=options.threads,
        )
        result = job.run(_say, lambda: bool(stopped))
    except SpecklessError as error:
        sys.stderr.write(f"{error}\n")
        return 130 if stopped else 1
    sys.stdout.write(
        f"{result.path}: {result.pixels} pixels in {result.seconds:.2f} s; ratio input/output: "
        f"mean {result.mean_ratio:.3f}, variance {result.variance_ratio:.3f}\n"
    )
    return 0


def _say(_part: float, text: str) -> None:
    if text:
        sys.stdout.write(f"{text}\n")

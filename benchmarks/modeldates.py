"""All models on real scenes of several dates, before and after each model's own tuning.

As ``./run bench multidate``: a date is despeckled and compared with the mean intensity of the
other dates. EPI is deSpeckNet's (equations 14 and 15) against the same mean, which is speckled
itself: an EPI of 1 would show that speckle. Each model is tuned on the date itself by its own
method: affine ones by their unbiased risk, deSpeckNet by its phase 2. Those that need a reference
for it, or have none, show their start alone.
Means over the scenes' dates, then over scenes, ± the standard error over scenes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.registry import list_cards
from ..plugin.jobs.checks import settle_method
from .images import add_device_options, load, set_threads
from .multidate import edge_preservation, estimate, read_dates, reference, score
from .results import Store, Values, add_store_options, table, with_error
from .tuned import add_tuning_options, recipe_from, settings, tune

COLUMNS = ("log-RMSE", "ENL", "MoR", "VoR", "EPI")


def main(arguments: list[str]) -> int:
    """Measure what the store does not know yet; print the table."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    store = Store(options.store)
    folders = [Path(folder) for folder in options.folder]
    names = options.models or [card.id for card in list_cards(folders)]
    scenes = list(read_dates(options.data))
    rows = [["model", "", *COLUMNS, "s"]]
    noisy = [
        [_figures(date, date, reference(dates, index)) for index, date in _chosen(options, dates)]
        for _, dates in scenes
    ]
    rows.append(["noisy", "", *_means(noisy)])
    for name in names:
        model = load(name, options.folder, options.device)
        found = [
            [
                values
                for index, _ in _chosen(options, dates)
                if (values := _values(options, store, model, scene, dates, index)) is not None
            ]
            for scene, dates in scenes
        ]
        if not all(found):
            _say(f"skipped, not in the store: {name}")
            continue
        rows.append([model.card.id, "before", *_means([[v["start"] for v in s] for s in found])])
        if "tuned" in found[0][0]:
            tuned = _means([[v["tuned"] for v in scene] for scene in found])
            seconds = np.mean([v["seconds"] for scene in found for v in scene])
            rows.append([model.card.id, "tuned", *tuned, f"{seconds:.0f}"])
    dates = "first date" if options.first else "all dates"
    _say(f"{len(scenes)} scenes, {dates}, L = {options.looks:g}, tuned at L = {_knob(options):g}")
    _say(table(rows))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench modeldates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, type=Path, help="folder of scene folders")
    parser.add_argument(
        "--models", nargs="+", metavar="MODEL", help="ids or weights files (default: all installed)"
    )
    parser.add_argument(
        "--folder", action="append", default=[], metavar="FOLDER", help="of more weights files"
    )
    parser.add_argument("--looks", type=float, default=1.0, help="of the scenes (default: 1)")
    parser.add_argument("--knob", type=float, help="L of the tuning's loss (default: the looks)")
    parser.add_argument("--stride", type=int, default=1, help="of the tuning (default: 1)")
    parser.add_argument("--first", action="store_true", help="only the first date of each scene")
    parser.add_argument("--seed", type=int, default=0, help="of the tuning (default: 0)")
    parser.add_argument("--crop", type=int, default=0, help=argparse.SUPPRESS)
    add_tuning_options(parser)
    add_device_options(parser)
    add_store_options(parser)
    return parser


def _chosen(options: argparse.Namespace, dates: list[np.ndarray]) -> list[tuple[int, np.ndarray]]:
    return list(enumerate(dates))[: 1 if options.first else None]


def _knob(options: argparse.Namespace) -> float:
    return float(options.knob or options.looks)


def _values(
    options: argparse.Namespace,
    store: Store,
    model: Despeckler,
    scene: str,
    dates: list[np.ndarray],
    index: int,
) -> Values | None:
    key = {
        "benchmark": "modeldates",
        "scene": scene,
        "date": index,
        "looks": options.looks,
        "knob": _knob(options),
        "stride": options.stride,
        "weights": model.card.tensors_sha256,
        **settings(options),
    }
    method = _method(model)
    if method != "aft":
        key["method"] = method
    if options.report and store.get(key) is None:
        return None

    def measure() -> Values:
        others = reference(dates, index)
        noisy = dates[index]
        x = estimate(model, noisy, options.looks, precision=options.precision)
        values: Values = {"start": _figures(noisy, x, others)}
        if options.epochs and method:
            own = {"stride": options.stride} if method == "aft" else {"depth": "full"}
            recipe = recipe_from(options, _knob(options), method=method, **own)
            done = tune(model, noisy, recipe, options.device, options.precision)
            x = estimate(done.best, noisy, options.looks, precision=options.precision)
            values["tuned"] = _figures(noisy, x, others)
            values["seconds"] = round(done.seconds, 2)
        if not options.report:
            _say(f"{scene} date {index + 1} {model.card.id}: {values}")
        return values

    return store.need(key, measure)


def _method(model: Despeckler) -> str:
    """How a model is tuned on an image alone; "" where it is not."""
    try:
        return settle_method(model.card, "auto", None)
    except InvalidInput:
        return ""


def _figures(noisy: np.ndarray, x: np.ndarray, others: np.ndarray) -> list[float]:
    """The figures of `COLUMNS`."""
    error, mean, variance, looks, _ = score(noisy, x, others)
    return [error, looks, mean, variance, edge_preservation(x, others)]


def _means(scenes: list[list[list[float]]]) -> list[str]:
    """Means over dates, then over scenes, a cell a figure."""
    means = np.array([np.mean(dates, 0) for dates in scenes])
    return [with_error(column, 3) for column in means.T.tolist()]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

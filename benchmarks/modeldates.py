"""All models on real scenes of several dates, before and after each model's own tuning.

As ``./run bench multidate``: a date is despeckled and compared with the mean intensity of the
other dates. EPI is deSpeckNet's (equations 14 and 15) against the same mean, which is speckled
itself: an EPI of 1 would show that speckle. Each model is tuned by its own method: affine ones on
the date itself by their unbiased risk, deSpeckNet on the date itself by its phase 2, all others on
pairs of the other scenes (a date, and the mean of that scene's others), AINDNet by its transfer
learning, the rest with all weights.
Means over the scenes' dates, then over scenes, ± the standard error over scenes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.registry import list_cards
from ..plugin.jobs.checks import settle_method
from .images import add_device_options, load, set_threads
from .multidate import edge_preservation, estimate, read_dates, reference, score
from .results import Store, Values, add_store_options, table, with_error
from .tuned import (
    add_tuning_options,
    learn_from_pairs,
    recipe_from,
    settings,
    tune,
    whole_scene,
)

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
                if (values := _values(options, store, model, scenes, place, index)) is not None
            ]
            for place, (_, dates) in enumerate(scenes)
        ]
        if not all(found):
            _say(f"skipped, not in the store: {name}")
            continue
        rows.append([model.card.id, "before", *_means([[v["start"] for v in s] for s in found])])
        if "tuned" in found[0][0]:
            tuned = _means([[v["tuned"] for v in scene] for scene in found])
            seconds = np.mean([v["seconds"] for scene in found for v in scene])
            rows.append([model.card.id, _own(model)[1], *tuned, f"{seconds:.0f}"])
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
    scenes: list[tuple[str, list[np.ndarray]]],
    place: int,
    index: int,
) -> Values | None:
    scene, dates = scenes[place]
    method, _ = _own(model)
    key = {
        "benchmark": "modeldates",
        "scene": scene,
        "date": index,
        "looks": options.looks,
        "knob": _knob(options),
        "weights": model.card.tensors_sha256,
        **settings(options),
    }
    if method != "aft":
        key["method"] = method
    if options.report and store.get(key) is None:
        return None

    def measure() -> Values:
        others = reference(dates, index)
        noisy = dates[index]
        x = estimate(model, noisy, options.looks, precision=options.precision)
        values: Values = {"start": _figures(noisy, x, others)}
        if options.epochs:
            start = time.perf_counter()
            tuned = _tuned(options, model, method, noisy, [s for s in scenes if s[0] != scene])
            values["seconds"] = round(time.perf_counter() - start, 2)
            x = estimate(tuned, noisy, options.looks, precision=options.precision)
            values["tuned"] = _figures(noisy, x, others)
        if not options.report:
            _say(f"{scene} date {index + 1} {model.card.id}: {values}")
        return values

    return store.need(key, measure)


def _own(model: Despeckler) -> tuple[str, str]:
    """A model's own method, and the name of its row."""
    try:
        return settle_method(model.card, "auto", None), "tuned alone"
    except InvalidInput:
        return settle_method(model.card, "auto", "pairs"), "tuned by pairs"


def _tuned(
    options: argparse.Namespace,
    model: Despeckler,
    method: str,
    noisy: np.ndarray,
    others: list[tuple[str, list[np.ndarray]]],
) -> Despeckler:
    """The model tuned on a date, or on the other scenes' dates and the means of their others."""
    own = {} if method == "aft" else {"depth": "full"}
    recipe = recipe_from(options, _knob(options), method=method, **own)
    if method in ("aft", "despecknet"):
        return tune(model, noisy, recipe, options.device, options.precision).best
    pairs = [
        whole_scene(model, date, reference(dates, index))
        for _, dates in others
        for index, date in _chosen(options, dates)
    ]
    if not pairs:
        raise InvalidInput("Give two scenes at least: one is measured, the others are learnt from.")
    return learn_from_pairs(model, pairs, recipe, options.device, options.precision)


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

"""AINDNet's transfer learning (its Tables 3 and 4): from simulated speckle to real pairs.

Each real scene is despeckled by weights that learnt from the pairs of all other scenes (a date,
and the mean of the others): S, the weights given, as they are; R, fresh weights; RT, all
weights given; TF, only AIN modules, noise level estimator and last convolution. Starred rows
are the mean over the 8 flips and rotations (self-ensemble).
"""

from __future__ import annotations

import argparse
import copy
import sys

import numpy as np

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler, count_parameters
from ..plugin.core.tuning import TuningRecipe
from .cases import Case, add_case_options, cases, columns, fresh
from .images import add_device_options, estimate, load, set_threads
from .results import Store, add_store_options, table, with_error
from .tuned import learn_from_pairs

_WAYS = {"S": None, "R": "retrain", "RT": "retrain", "TF": "transfer"}


def main(arguments: list[str]) -> int:
    """Print a line a way of learning: means over the images, with standard errors."""
    parser = argparse.ArgumentParser(prog="./run bench transfer", description=__doc__)
    parser.add_argument("--model", required=True, help="AINDNet: id or weights file")
    add_case_options(parser)
    parser.add_argument("--epochs", type=int, default=10, help="default: 10")
    parser.add_argument("--learning-rate", type=float, default=0.0, metavar="RATE")
    parser.add_argument("--ways", nargs="+", default=list(_WAYS), choices=list(_WAYS))
    add_device_options(parser)
    add_store_options(parser)
    options = parser.parse_args(arguments)
    set_threads(options)
    model = load(options.model, device=options.device)
    if model.card.architecture != "aindnet":
        raise InvalidInput(f"The model '{model.card.id}' is no AINDNet.")
    everything = list(cases(options))
    names = sorted({case.name for case in everything})
    if len(names) < 2:
        raise InvalidInput("Give two scenes at least: one is measured, the others are learnt from.")
    store = Store(options.store)
    rows: dict[str, list[list[float]]] = {}
    for way in options.ways:
        method = _WAYS[way]
        recipe = method and TuningRecipe(
            options.looks, method=method, epochs=options.epochs, patience=0,
            learning_rate=options.learning_rate, seed=options.seed,
        )  # fmt: skip
        for name in names:
            key = {
                "model": model.card.tensors_sha256, "way": way, "scene": name, "all": names,
                "dates": options.dates, "crop": options.crop, "looks": options.looks,
                "recipe": recipe.to_mapping() if recipe else {},
            }  # fmt: skip

            def compute(
                name: str = name, way: str = way, recipe: TuningRecipe | None = recipe
            ) -> dict[str, list[list[float]]]:
                others = [case for case in everything if case.name != name]
                learnt = _learn(model, others, way, recipe, options)
                wanted = [case for case in everything if case.name == name]
                return {
                    "plain": [_figures(learnt, case, False, options) for case in wanted],
                    "ensemble": [_figures(learnt, case, True, options) for case in wanted],
                }

            found = store.get(key) if options.report else store.need(key, compute)
            if found is not None:
                rows.setdefault(way, []).extend(found["plain"])
                rows.setdefault(f"{way}*", []).extend(found["ensemble"])
    lines = [["", *columns(options), "images"]]
    for way, figures in rows.items():
        cells = [with_error(list(column)) for column in np.array(figures).T]
        lines.append([way, *cells, str(len(figures))])
    updated = sum(p.numel() for p in model.transfer_parameters())
    sys.stdout.write(
        f"{model.card.id}: {count_parameters(model)} parameters, of which TF updates {updated}\n"
        f"{table(lines)}\n"
    )
    return 0


def _learn(
    model: Despeckler, pairs: list[Case], way: str, recipe: TuningRecipe | None,
    options: argparse.Namespace,
) -> Despeckler:  # fmt: skip
    if recipe is None:
        return copy.deepcopy(model)
    start = fresh(model, recipe.seed) if way == "R" else model
    scenes = [case.scene(model, pairs=True) for case in pairs]
    return learn_from_pairs(start, scenes, recipe, options.device, options.precision)


def _figures(
    model: Despeckler, case: Case, ensemble: bool, options: argparse.Namespace
) -> list[float]:
    x = estimate(
        model, case.noisy, case.looks,
        device=options.device, precision=options.precision, ensemble=ensemble,
    )["x"]  # fmt: skip
    return case.measure(x)

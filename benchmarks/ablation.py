"""deSpeckNet's ablation (its Table VI): phase 1 alone, phase 2 alone, both.

Phase 1 is the weights given; phase 2 alone tunes fresh weights on each image, without a clean
one; both tunes the weights given. Over clean images with simulated speckle (--images), or real
scenes of several dates (--data), where the mean of the other dates is the reference.
"""

from __future__ import annotations

import argparse
import copy
import sys
from dataclasses import replace

import numpy as np

from ..plugin.core.despeckling import PRECISIONS
from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.patch_tuning import PatchTuner
from ..plugin.core.tuning import TuningRecipe
from .cases import Case, add_case_options, cases, columns, fresh
from .images import add_device_options, estimate, load, set_threads
from .results import Store, add_store_options, table, with_error

PHASES = ("phase 1", "phase 2", "both")


def main(arguments: list[str]) -> int:
    """Print a line a phase: means over the images, with standard errors."""
    parser = argparse.ArgumentParser(prog="./run bench ablation", description=__doc__)
    parser.add_argument("--model", required=True, help="deSpeckNet: id or weights file")
    add_case_options(parser)
    group = parser.add_argument_group("phase 2")
    group.add_argument("--epochs", type=int, default=1, help="default: 1, as in the paper")
    group.add_argument("--learning-rate", type=float, default=0.0, metavar="RATE")
    group.add_argument("--clean", type=float, default=0.01, help="μ₂ (default: 0.01)")
    group.add_argument("--noisy", type=float, default=1.0, help="ξ (default: 1)")
    group.add_argument("--variation", type=float, default=0.0, help="λ (default: 0)")
    add_device_options(parser)
    add_store_options(parser)
    options = parser.parse_args(arguments)
    set_threads(options)
    model = load(options.model, device=options.device)
    if model.card.architecture != "despecknet":
        raise InvalidInput(f"The model '{model.card.id}' is no deSpeckNet.")
    recipe = TuningRecipe(
        options.looks, method="despecknet", epochs=options.epochs, patience=0,
        learning_rate=options.learning_rate, clean=options.clean, noisy=options.noisy,
        variation=options.variation, seed=options.seed,
    )  # fmt: skip
    store = Store(options.store)
    rows: dict[str, list[list[float]]] = {phase: [] for phase in PHASES}
    for number, case in enumerate(cases(options)):
        for phase in PHASES:
            key = {
                "model": model.card.tensors_sha256, "phase": phase, "case": case.name,
                "number": number, "looks": options.looks, "crop": options.crop,
                "recipe": {} if phase == "phase 1" else recipe.to_mapping(),
            }  # fmt: skip

            def compute(case: Case = case, phase: str = phase) -> dict[str, list[float]]:
                tuned = _model(model, case, phase, recipe, options)
                x = estimate(
                    tuned, case.noisy, case.looks,
                    device=options.device, precision=options.precision,
                )["x"]  # fmt: skip
                return {"figures": case.measure(x)}

            found = store.get(key) if options.report else store.need(key, compute)
            if found is not None:
                rows[phase].append(found["figures"])
    lines = [["", *columns(options), "images"]]
    for phase, figures in rows.items():
        if figures:
            cells = [with_error(list(column)) for column in np.array(figures).T]
            lines.append([phase, *cells, str(len(figures))])
    sys.stdout.write(f"{model.card.id}, L = {options.looks:g}\n{table(lines)}\n")
    return 0


def _model(
    model: Despeckler, case: Case, phase: str, recipe: TuningRecipe, options: argparse.Namespace
) -> Despeckler:
    if phase == "phase 1":
        return model
    start = fresh(model, recipe.seed) if phase == "phase 2" else copy.deepcopy(model)
    tuner = PatchTuner(
        start, [case.scene(model)], replace(recipe), options.device, PRECISIONS[options.precision]
    )
    while not tuner.finished:
        tuner.step()
    return tuner.finish()

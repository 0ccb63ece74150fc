"""Figure 3d of the paper: estimates of b alone against a·Z + b, before and after fine-tuning.

Both networks are trained from the same seed on the same patches with the same noise, then
fine-tuned (FT, equation 6; --augment for AFT) on each noisy test image.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...plugin.core.models.dopamine import Dopamine
from ...plugin.core.tuning import TuningRecipe
from ..figures import draw
from ..images import samples, set_threads
from ..results import Store, Values, mean_and_error, table, with_error
from ..tuned import tuning_curve
from .ablation import Course, architecture, paint, parser_for, say, settings, train
from .networks import BiasOnly

VARIANTS = {"b": BiasOnly, "a·Z + b": Dopamine}


def main(arguments: list[str]) -> int:
    """Train and fine-tune the two; print and draw PSNR of both phases."""
    parser = parser_for("figure3d", __doc__)
    parser.add_argument("--epochs", type=int, default=10, help="of FT (default: 10)")
    parser.add_argument(
        "--tuning-rate", type=float, default=1.2e-5, help="of FT (default: the paper's, 1.2e-5)"
    )
    parser.add_argument("--augment", action="store_true", help="8 flips and rotations an epoch")
    options = parser.parse_args(arguments)
    set_threads(options)
    store = Store(options.store)
    own = {name: getattr(options, name) for name in ("epochs", "tuning_rate", "augment")}
    results = {}
    for name, network in VARIANTS.items():
        key = {"benchmark": "figure3d", "variant": name, **settings(options), **own}
        if not options.report or store.get(key) is not None:
            results[name] = store.need(key, lambda: _measure(name, network, options))  # noqa: B023
    if len(results) < len(VARIANTS):
        say("The store does not hold both networks yet.")
        return 1
    say(report(results))
    draw(options.figure, lambda axes: _paint(axes[0], results), columns=2)
    return 0


def _measure(name: str, network: Any, options: argparse.Namespace) -> Values:
    model, course = train(network, architecture(options), options, name)
    recipe = TuningRecipe(
        looks=options.looks,
        augment=options.augment,
        epochs=options.epochs,
        learning_rate=options.tuning_rate,
        patience=0,
        seed=options.seed,
    )
    curves = []
    for sample in samples(options):
        curves.append(tuning_curve(model, sample, recipe, options.device, options.precision))
        say(f"{name}: {sample.name} {curves[-1][0]:.3f} dB, after FT {curves[-1][-1]:.3f} dB")
    return {"steps": course.steps, "psnr": course.psnr, "tuning": curves}


def report(results: Mapping[str, Values]) -> str:
    """PSNR before and after fine-tuning, and the paired differences."""
    ends = {name: (_column(v, 0), _column(v, -1)) for name, v in results.items()}
    rows = [["PSNR (dB)", "before FT", "after FT", "gain of FT"]]
    for name, (before, after) in ends.items():
        gain = with_error(list(np.subtract(after, before)), 3, True)
        rows.append([name, with_error(before), with_error(after), gain])
    plain, affine = ends.values()
    differences = [np.subtract(ours, theirs) for ours, theirs in zip(affine, plain)]
    cells = (with_error(list(values), 3, True) for values in differences)
    rows.append([" - ".join(reversed(list(results))), *cells])
    return f"N = {len(plain[0])} test images\n" + table(rows)


def _column(values: Values, epoch: int) -> list[float]:
    return [curve[epoch] for curve in values["tuning"]]


def _paint(panels: Any, results: Mapping[str, Values]) -> None:
    paint(panels[0], {n: Course(v["steps"], v["psnr"]) for n, v in results.items()})
    panels[0].set_title("training")
    for name, values in results.items():
        epochs = range(len(values["tuning"][0]))
        means = [mean_and_error(_column(values, epoch))[0] for epoch in epochs]
        panels[1].plot(epochs, means, "o-", label=name)
    panels[1].set(xlabel="epoch of FT", ylabel="PSNR (dB)", title="fine-tuning")
    panels[1].legend()

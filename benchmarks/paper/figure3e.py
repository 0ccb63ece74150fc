"""Figure 3e of the paper: PSNR over the epochs of FT (equation 6) and AFT (equation 7).

An epoch is one step for FT, and one for each of the 8 flips and rotations for AFT. Nothing stops
early, and no epoch is chosen: the curves show what choosing is worth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..figures import add_figure_option, draw
from ..images import add_device_options, add_image_options, load, samples, set_threads
from ..results import Store, Values, add_store_options, mean_and_error, table, with_error
from ..tuned import recipe_from, tuning_curve
from ..tuned import settings as tuning_settings

METHODS = {"FT": False, "AFT": True}


def main(arguments: list[str]) -> int:
    """Fine-tune each image both ways; print and draw mean PSNR by epoch."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    store = Store(options.store)
    model = load(options.model, options.models, options.device)
    images = samples(options)
    curves: dict[str, list[list[float]]] = {method: [] for method in METHODS}
    for number, sample in enumerate(images, 1):
        found = {}
        for method, augment in METHODS.items():
            key = {
                "benchmark": "figure3e",
                "method": method,
                "image": sample.name,
                "place": sample.place,
                "looks": options.looks,
                "weights": model.card.tensors_sha256,
                **tuning_settings(options),
            }
            recipe = recipe_from(options, options.looks, augment=augment)

            def run() -> Values:
                curve = tuning_curve(model, sample, recipe, options.device, options.precision)  # noqa: B023
                _say(
                    f"{number}/{len(images)} {sample.name} {method}: {curve[0]:.3f} dB, "  # noqa: B023
                    f"highest {max(curve) - curve[0]:+.3f} dB, last {curve[-1] - curve[0]:+.3f} dB"
                )
                return {"psnr": curve}

            if not options.report or store.get(key) is not None:
                found[method] = store.need(key, run)["psnr"]
        if len(found) == len(METHODS):
            for method, curve in found.items():
                curves[method].append(curve)
    if not curves["FT"]:
        _say("The store does not hold an image of both methods yet.")
        return 1
    _say(report(curves))
    draw(options.figure, lambda axes: _paint(axes[0, 0], curves))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench paper figure3e",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_image_options(parser)
    parser.add_argument("--model", default="dopamine-blind", metavar="ID", help="or weights file")
    parser.add_argument(
        "--models", action="append", default=[], metavar="FOLDER", help="of more weights files"
    )
    parser.add_argument("--looks", type=float, default=1.0, metavar="L", help="default: 1")
    parser.add_argument("--depth", default="full", choices=("full", "head"), help="default: full")
    parser.add_argument("--epochs", type=int, default=30, help="default: 30")
    parser.add_argument(
        "--learning-rate", type=float, default=0.0, metavar="RATE", help="default: the depth's own"
    )
    parser.add_argument(
        "--held-out", type=float, default=0.1, metavar="SHARE", help="of the pixels (default: 0.1)"
    )
    add_device_options(parser)
    add_store_options(parser)
    add_figure_option(parser, "figure3e.png")
    parser.set_defaults(stride=1)
    return parser


def report(curves: Mapping[str, list[list[float]]]) -> str:
    """Gain of both methods by epoch, and their difference, with standard errors."""
    tables = {method: np.array(values) for method, values in curves.items()}
    gains = {method: values - values[:, :1] for method, values in tables.items()}
    rows = [["epoch", *(f"gain of {method} (dB)" for method in gains), "AFT - FT"]]
    last = next(iter(gains.values())).shape[1] - 1
    for epoch in sorted({*range(0, last + 1, 5), 1, min(3, last), last} - {0}):
        if epoch <= last:
            apart = gains["AFT"][:, epoch] - gains["FT"][:, epoch]
            columns = [*(values[:, epoch] for values in gains.values()), apart]
            rows.append([f"{epoch}", *(with_error(list(c), 3, True) for c in columns)])
    start = with_error(list(tables["FT"][:, 0]))
    return f"N = {len(tables['FT'])} images, before: {start} dB\n" + table(rows)


def _paint(panel: Any, curves: Mapping[str, list[list[float]]]) -> None:
    for method, values in curves.items():
        means = [mean_and_error(column)[0] for column in zip(*values)]
        panel.plot(range(len(means)), means, "o-", markersize=3, label=method)
    panel.set(xlabel="epoch", ylabel="PSNR (dB)")
    panel.legend()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

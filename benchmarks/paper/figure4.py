"""Figure 4 of the paper: the maps a and b of DoPAMINE trained at L = 1, trained at L = 8, blind,
and blind after AFT (the paper: at L = 0.5 on the 4-look scene Flevoland).

Of a real scene (--scene), or else of the first test image (--images) with speckle of --looks.
Low a leaves b to do the work: smooth; high a lets Z through: sharp.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...plugin.core.errors import InvalidInput, ModelError
from ...plugin.core.quality import best_window_enl, enl
from ..figures import add_figure_option, draw
from ..images import (
    Image,
    add_device_options,
    add_image_options,
    estimate,
    load,
    samples,
    set_threads,
)
from ..results import table
from ..scenes import add_scene_options, read_whole
from ..tuned import recipe_from, tune

_UNIFORM = 32

Maps = dict[str, Image]


def main(arguments: list[str]) -> int:
    """Print figures of the maps; draw a above b for each model there is."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    noisy = _noisy(options)
    maps = all_maps(noisy, options)
    _say(report(noisy, maps))
    draw(options.figure, lambda axes: _paint(axes, noisy, maps), len(maps) + 1, 2, size=(3.4, 3.0))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench paper figure4",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_image_options(parser, required=False)
    add_scene_options(parser)
    parser.add_argument("--looks", type=float, default=4.0, metavar="L", help="default: 4")
    parser.add_argument(
        "--trained", nargs="*", default=["dopamine-l1", "dopamine-l8"], metavar="ID",
        help="supervised models, ids or weights files (default: dopamine-l1 dopamine-l8)",
    )  # fmt: skip
    parser.add_argument("--blind", default="dopamine-blind", metavar="ID", help="or weights file")
    parser.add_argument(
        "--models", action="append", default=[], metavar="FOLDER", help="of more weights files"
    )
    tuning = parser.add_argument_group("AFT of the blind model")
    tuning.add_argument("--knob", type=float, default=0.5, metavar="L", help="default: 0.5")
    tuning.add_argument("--epochs", type=int, default=6, help="default: 6, the paper's")
    tuning.add_argument(
        "--learning-rate",
        type=float,
        default=8e-6,
        metavar="RATE",
        help="default: 8e-6, the paper's",
    )
    parser.set_defaults(depth="full", held_out=0.1, stride=1)
    add_device_options(parser)
    add_figure_option(parser, "figure4.png")
    return parser


def _noisy(options: argparse.Namespace) -> Image:
    if options.scene:
        return read_whole(options.scene, options.domain, options.crop)
    if not options.images:
        raise InvalidInput("Give a real scene (--scene) or a folder of images (--images).")
    return samples(options)[0].pair(options.looks, options.seed)[1]


def all_maps(noisy: Image, options: argparse.Namespace) -> dict[str, Maps]:
    """ "x", "a" and "b" of each model that is installed; those missing are named."""
    where = {"device": options.device, "precision": options.precision}
    found = {}
    for name in options.trained:
        try:
            model = load(name, options.models, options.device)
        except ModelError as error:
            _say(f"skipped: {error}")
            continue
        found[model.card.id] = estimate(model, noisy, options.looks, **where)
    blind = load(options.blind, options.models, options.device)
    found[blind.card.id] = estimate(blind, noisy, options.looks, **where)
    tuned = tune(blind, noisy, recipe_from(options, options.knob), **where)
    # Of the last epoch, as the paper's.
    found[f"AFT at L = {options.knob:g}"] = estimate(tuned.last, noisy, options.looks, **where)
    return found


def report(noisy: Image, maps: Mapping[str, Maps]) -> str:
    """Spread of a, and ENL of b and of the estimate in the input's most uniform window."""
    before, window = best_window_enl(noisy, min(_UNIFORM, *noisy.shape))
    inside = np.s_[window.y : window.bottom, window.x : window.right]
    rows = [["", "mean a", "a, 5 %", "a, 95 %", "ENL of b", "ENL of x"]]
    for name, found in maps.items():
        low, high = np.percentile(found["a"], (5, 95))
        figures = [f"{v:.3f}" for v in (float(found["a"].mean()), low, high)]
        rows.append([name, *figures, *(f"{_enl(found[k][inside]):.1f}" for k in ("b", "x"))])
    return f"ENL of the input {before:.2f}\n" + table(rows)


def _enl(values: Image) -> float:
    try:
        return enl(np.maximum(values, 0))
    except InvalidInput:
        return float("nan")


def _paint(axes: Any, noisy: Image, maps: Mapping[str, Maps]) -> None:
    high = float(np.percentile(noisy, 98))
    axes[0, 0].imshow(noisy, cmap="gray", vmin=0, vmax=high)
    axes[0, 0].set_title("input")
    slopes = np.concatenate([found["a"].ravel() for found in maps.values()])
    bounds = np.percentile(slopes, (2, 98))
    for column, (name, found) in enumerate(maps.items(), 1):
        shown = axes[0, column].imshow(found["a"], cmap="viridis", vmin=bounds[0], vmax=bounds[1])
        axes[0, column].set_title(f"a, {name}")
        axes[1, column].imshow(found["b"], cmap="gray", vmin=0, vmax=high)
        axes[1, column].set_title(f"b, {name}")
    axes[1, 0].figure.colorbar(shown, ax=list(axes[:, -1]))
    for panel in axes.ravel():
        panel.set_axis_off()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

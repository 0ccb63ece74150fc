"""What fine-tuning costs, by ratio in one run, and what its depths bring for it.

First, on speckle of one size: the time of an AFT step over that of a forward pass of the same
pixels, for each depth, the features of a frozen trunk being computed already. Then, on test
images, where there are any: time and gain (dB of PSNR) of each whole fine-tuning, features
included, and the share of the full one's gain that the cheaper ones keep.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any

import numpy as np
import torch

from ..plugin.core.despeckling import PRECISIONS
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.registry import create
from ..plugin.core.tuning import DEPTHS, TuningRecipe
from .figures import add_figure_option, draw
from .images import (
    Sample,
    add_device_options,
    add_image_options,
    estimate,
    load,
    quality,
    samples,
    scene_scale,
    set_threads,
)
from .results import Store, Values, add_store_options, mean_and_error, table, with_error
from .tuned import tune, tuner_for


def main(arguments: list[str]) -> int:
    """Print the ratios of cost; with images, those of gain too."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    if options.side:
        _say(costs(options))
    if options.images:
        results = _measured(options, Store(options.store))
        _say(report(results, options))
        draw(options.figure, lambda axes: _paint(axes, results, options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench finetuning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="", metavar="ID",
                        help="id or weights file (default: fresh weights for the ratios of cost, "
                        "dopamine-blind for the gains)")  # fmt: skip
    parser.add_argument(
        "--side", type=int, default=256, help="of the image whose steps are timed; 0 for none"
    )
    parser.add_argument("--repeats", type=int, default=5, help="steps timed (default: 5)")
    parser.add_argument("--depths", nargs="+", default=list(DEPTHS), choices=DEPTHS)
    parser.add_argument("--epochs", type=int, default=10, help="default: 10")
    parser.add_argument(
        "--rates", nargs="+", type=float, default=[], metavar="RATE",
        help="learning rate of each depth, in their order (default: their own)",
    )  # fmt: skip
    parser.add_argument("--looks", type=float, default=1.0, metavar="L", help="default: 1")
    add_image_options(parser, required=False)
    add_device_options(parser)
    add_store_options(parser)
    add_figure_option(parser, "finetuning.png")
    return parser


def costs(options: argparse.Namespace) -> str:
    """Steps against a forward pass, and whole fine-tunings against the full one."""
    if options.model:
        model = load(options.model, device=options.device)
    else:
        model = create("dopamine", {}).eval().to(torch.device(options.device))
        model.card = model.describe(id="fresh", title="", architecture="dopamine", scale="mean")
    rng = np.random.default_rng(options.seed)
    noisy = rng.gamma(options.looks, 1 / options.looks, (options.side,) * 2).astype(np.float32)
    forward = _forward_seconds(model, noisy, options)
    rows = [["", "step / forward", "whole AFT / forward", "full / this"]]
    whole = {}
    for depth in options.depths:
        tuner = tuner_for(
            model, noisy, recipe(options, depth), options.device, options.precision
        )  # fmt: skip
        if depth == "full":
            preparing = 0.0
            tuner.step()
        else:
            # The features of each of the 8 flips and rotations, once.
            for _ in range(tuner.steps_per_epoch):
                tuner.step()
            preparing = tuner.recipe.turns * forward
        step = statistics.median(
            _timed(tuner.step, options.device)
            for _ in range(min(options.repeats, tuner.steps_per_epoch - 2))
        )
        whole[depth] = preparing + tuner.steps * step
        rows.append([depth, f"{step / forward:.2f}", f"{whole[depth] / forward:.1f}"])
        if "full" in whole:
            rows[-1].append(f"{whole['full'] / whole[depth]:.1f}")
    pixels = options.side**2 / 1e6
    return (
        f"{options.side}x{options.side} pixels, {options.precision}, {options.device}, "
        f"{torch.get_num_threads()} threads: a forward pass takes {forward:.3f} s "
        f"({pixels / forward:.3f} Mpx/s); AFT of {options.epochs} epochs,\n"
        "without the measuring of the held-out risk\n" + table(rows)
    )


def recipe(options: argparse.Namespace, depth: str) -> TuningRecipe:
    """Recipe of a depth."""
    rates = dict(zip(options.depths, options.rates))
    return TuningRecipe(
        looks=options.looks,
        depth=depth,
        epochs=options.epochs,
        learning_rate=rates.get(depth, 0.0),
        patience=0,
        seed=options.seed,
    )


def _forward_seconds(model: Despeckler, noisy: Any, options: argparse.Namespace) -> float:
    z = torch.from_numpy(noisy / np.float32(scene_scale(model, noisy)))[None, None]
    z = z.to(options.device)
    looks = torch.full((1,), options.looks, device=z.device)

    def forward() -> None:
        with torch.inference_mode():
            model(z, looks, PRECISIONS[options.precision])

    forward()
    return statistics.median(_timed(forward, options.device) for _ in range(options.repeats))


def _timed(work: Any, device: str) -> float:
    """Seconds of one call, those the GPU still works on included."""

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def _measured(options: argparse.Namespace, store: Store) -> list[dict[str, Values]]:
    """By image, what each depth costs and gains."""
    model = load(options.model or "dopamine-blind", device=options.device)
    images = samples(options)
    results = []
    for number, sample in enumerate(images, 1):
        found = {}
        for depth in options.depths:
            key = {
                "benchmark": "finetuning",
                "image": sample.name,
                "place": sample.place,
                "crop": options.crop,
                "seed": options.seed,
                "weights": model.card.tensors_sha256,
                "precision": options.precision,
                "device": options.device,
                "threads": torch.get_num_threads(),
                "recipe": recipe(options, depth).to_mapping(),
            }
            values = store.get(key)
            if values is None and options.report:
                continue
            values = store.need(key, lambda: _tuned(options, model, sample, depth))  # noqa: B023
            found[depth] = values
            if not options.report:
                gain = values["after"] - values["before"]
                _say(
                    f"{number}/{len(images)} {sample.name} {depth}: {gain:+.3f} dB, "
                    f"{values['seconds']:.1f} s, epoch {values['best_epoch']}"
                )
        if len(found) == len(options.depths):
            results.append(found)
    return results


def _tuned(options: argparse.Namespace, model: Despeckler, sample: Sample, depth: str) -> Values:
    clean, noisy = sample.pair(options.looks, options.seed)
    where = {"device": options.device, "precision": options.precision}

    def judged(network: Despeckler) -> float:
        return quality(clean, estimate(network, noisy, options.looks, **where)["x"])[0]

    tuned = tune(model, noisy, recipe(options, depth), **where)
    return {
        "before": judged(model),
        "after": judged(tuned.best),
        "last": judged(tuned.last),
        "seconds": tuned.seconds,
        "best_epoch": tuned.best_epoch,
    }


def report(results: list[dict[str, Values]], options: argparse.Namespace) -> str:
    """Gain, time, and both as shares of the full fine-tuning's."""
    if not results:
        return "No image has been measured at every depth yet."
    head = f"N = {len(results)} images, L = {options.looks:g}"
    rows = [[head, "gain (dB)", "of the last epoch", "share of full's", "s", "full's time / this"]]
    full = [found["full"] for found in results] if "full" in results[0] else None
    for depth in options.depths:
        mine = [found[depth] for found in results]
        rows.append(
            [
                depth,
                with_error(_gains(mine), 3, True),
                with_error([v["last"] - v["before"] for v in mine], 3, True),
                _share(mine, full) if full else "",
                with_error([v["seconds"] for v in mine], 1),
                f"{_seconds(full) / _seconds(mine):.1f}" if full else "",
            ]
        )
    return table(rows)


def _gains(values: list[Values]) -> list[float]:
    return [v["after"] - v["before"] for v in values]


def _seconds(values: list[Values]) -> float:
    return sum(v["seconds"] for v in values)


def _share(mine: list[Values], full: list[Values]) -> str:
    """Ratio of the mean gains, with the standard error of a ratio of paired means."""
    ours, theirs = np.array(_gains(mine)), np.array(_gains(full))
    if theirs.mean() <= 0:
        return "full gains nothing"
    share = ours.mean() / theirs.mean()
    _, error = mean_and_error((ours - share * theirs) / theirs.mean())
    return f"{share:.0%}" if np.isnan(error) else f"{share:.0%} ±{error:.0%}"


def _paint(axes: Any, results: list[dict[str, Values]], options: argparse.Namespace) -> None:
    panel = axes[0, 0]
    for depth in options.depths:
        mine = [found[depth] for found in results]
        if not mine:
            continue
        gain, error = mean_and_error(_gains(mine))
        seconds = _seconds(mine) / len(mine)
        panel.errorbar([seconds], [gain], np.nan_to_num(error), fmt="o", label=depth)
    panel.set(xscale="log", xlabel="time of the fine-tuning (s)", ylabel="gain (dB)")
    panel.legend(title="depth")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

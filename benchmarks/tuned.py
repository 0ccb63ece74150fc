"""Fine-tuning of one image, as the benchmarks do it."""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import dataclass

import numpy as np

from ..plugin.core.despeckling import PRECISIONS
from ..plugin.core.finetuning import FineTuner
from ..plugin.core.models.base import Despeckler
from ..plugin.core.patch_tuning import PatchTuner
from ..plugin.core.tuning import DEPTHS, Scene, TuningRecipe
from .images import Image, Sample, estimate, quality, scene_scale


@dataclass(frozen=True)
class Tuned:
    """Outcome of a fine-tuning.

    Attributes
    ----------
    best, last : Despeckler
        With the weights of the epoch of lowest held-out risk, and of the last one. The latter
        is the paper's way; for depth "scale" it is the former.
    best_epoch : int
    seconds : float
        Of the tuning, the measuring of the held-out risk included.
    """

    best: Despeckler
    last: Despeckler
    best_epoch: int
    seconds: float


def add_tuning_options(parser: argparse.ArgumentParser, epochs: int = 10) -> None:
    """How to fine-tune; the defaults are the paper's."""
    parser.add_argument(
        "--depth", default="full", choices=DEPTHS, help="what is tuned (default: full)"
    )
    parser.add_argument("--epochs", type=int, default=epochs, help="default: %(default)s")
    parser.add_argument(
        "--learning-rate", type=float, default=0.0, metavar="RATE", help="default: the depth's own"
    )
    parser.add_argument(
        "--held-out", type=float, default=0.1, metavar="SHARE",
        help="of the pixels, to choose the best epoch by (default: 0.1)",
    )  # fmt: skip
    parser.add_argument(
        "--stride", type=int, default=1,
        help="of AFT, which with more than 1 is cautious, as the plugin is where speckle is "
        "correlated (default: 1)",
    )  # fmt: skip


def recipe_from(options: argparse.Namespace, looks: float, **changes: object) -> TuningRecipe:
    """Recipe of the options, all epochs being run."""
    values = {
        "depth": options.depth,
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "held_out": options.held_out,
        "patience": 0,
        "stride": options.stride,
        "cautious": options.stride > 1,
        "seed": options.seed,
        **changes,
    }
    return TuningRecipe(looks=looks, **values)


def settings(options: argparse.Namespace) -> dict[str, object]:
    """What of the options an outcome depends on, for the key of a `Store`."""
    recipe = recipe_from(options, 1.0, epochs=max(options.epochs, 1))  # 0 is for none at all
    return {
        "crop": options.crop,
        "seed": options.seed,
        "precision": options.precision,
        "depth": recipe.depth,
        "epochs": options.epochs,
        "rate": recipe.rate,
        "held_out": recipe.held_out,
        **({"stride": recipe.stride} if recipe.stride > 1 else {}),
    }


def whole_scene(model: Despeckler, noisy: Image, clean: Image | None = None) -> Scene:
    """A whole image to tune on, with its reference for the methods that learn from pairs."""
    return Scene(noisy, np.ones(noisy.shape, bool), scene_scale(model, noisy), None, clean)


def tuner_for(
    model: Despeckler, noisy: Image, recipe: TuningRecipe, device: str, precision: str
) -> FineTuner | PatchTuner:
    """Fine-tuner of a copy of the model on a whole image, by the recipe's method."""
    kind = FineTuner if recipe.method == "aft" else PatchTuner
    scenes = [whole_scene(model, noisy)]
    return kind(copy.deepcopy(model), scenes, recipe, device, PRECISIONS[precision])


def tune(
    model: Despeckler, noisy: Image, recipe: TuningRecipe, device: str, precision: str
) -> Tuned:
    """Fine-tune a copy of the model to the end."""
    start = time.perf_counter()
    tuner = tuner_for(model, noisy, recipe, device, precision)
    while not tuner.finished:
        tuner.step()
    seconds = time.perf_counter() - start
    last = copy.deepcopy(tuner.model)
    best = tuner.finish()
    return Tuned(best, best if recipe.depth == "scale" else last, tuner.best_epoch, seconds)


def learn_from_pairs(
    model: Despeckler, pairs: list[Scene], recipe: TuningRecipe, device: str, precision: str
) -> Despeckler:
    """A copy of the model that has learnt from pairs, by the recipe's method."""
    tuner = PatchTuner(copy.deepcopy(model), pairs, recipe, device, PRECISIONS[precision])
    while not tuner.finished:
        tuner.step()
    return tuner.finish()


def tuning_curve(
    model: Despeckler, sample: Sample, recipe: TuningRecipe, device: str, precision: str
) -> list[float]:
    """PSNR in dB before the fine-tuning, and after each of its epochs.

    The noise has the recipe's L and seed. For depth "full" and "head".
    """
    clean, noisy = sample.pair(recipe.looks, recipe.seed)
    tuner = tuner_for(model, noisy, recipe, device, precision)
    curve: list[float] = []

    def look() -> None:
        x = estimate(tuner.model, noisy, recipe.looks, device=device, precision=precision)["x"]
        curve.append(quality(clean, x)[0])

    look()
    while not tuner.finished:
        tuner.step()
        if tuner.done == tuner.epoch * tuner.steps_per_epoch:
            look()
    return curve

"""Losses compared on speckle: the same small FFDNet trained with each, by PSNR and SSIM.

All see the same patches under the same speckle. Those that do not minimise the squared error
are calibrated on flat scenes first, as in real training (`Trainer.calibrate`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.registry import create
from ..plugin.core.recipe import LOSSES, Recipe
from ..plugin.core.speckle import simulate_speckle
from ..plugin.core.training import Trainer
from ..plugin.raster.images import list_images, read_all
from .images import estimate, quality, set_threads, spread

Images = Sequence[npt.NDArray[Any]]


def main(arguments: list[str]) -> int:
    """Print a row a loss."""
    parser = argparse.ArgumentParser(prog="./run bench losses", description=__doc__)
    parser.add_argument("--images", required=True, help="folder of clean images")
    parser.add_argument("--list", help="file naming the images to train on")
    parser.add_argument("--validation-list", help="held-out images (default: every tenth)")
    parser.add_argument("--count", type=int, default=12, help="held-out images used (default: 12)")
    parser.add_argument("--steps", type=int, default=1000, help="of each training")
    parser.add_argument("--losses", default=",".join(LOSSES), help="default: all")
    parser.add_argument("--looks", type=float, default=1.0)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument(
        "--domain", default="intensity", choices=["intensity", "amplitude", "log"],
        help="that the network works in (default: intensity)",
    )  # fmt: skip
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tv", type=float, default=0.0, help="weight of the total variation")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    set_threads(options)
    names = options.losses.split(",")
    unknown = sorted(set(names) - set(LOSSES))
    if unknown:
        raise InvalidInput(f"Unknown losses {', '.join(unknown)}; choose from {', '.join(LOSSES)}.")
    train, held_out = _images(options)
    sys.stdout.write(
        f"FFDNet of {options.layers} layers, {options.channels} channels; {options.steps} steps of "
        f"{options.batch} patches of {options.patch} pixels from {len(train)} images; "
        f"L = {options.looks:g}, {len(held_out)} held-out images\n"
        f"{'loss':10} {'PSNR dB':>8} {'SSIM':>7} {'mean kept':>10} {'s a step':>9}\n"
    )
    for name in names:
        model, seconds = train_with(name, train, options)
        psnr, ssim, ratio = measure(model, held_out, options.looks, options.device)
        sys.stdout.write(f"{name:10} {psnr:8.3f} {ssim:7.4f} {ratio:10.4f} {seconds:9.4f}\n")
        sys.stdout.flush()
    return 0


def train_with(loss: str, images: Images, options: argparse.Namespace) -> tuple[Despeckler, float]:
    """The network that a loss makes, calibrated, and the seconds a step took."""
    arguments = {
        "layers": options.layers,
        "channels": options.channels,
        "domain": options.domain,
        "bias_free": options.domain != "log",
    }
    recipe = Recipe(
        id=loss,
        title=loss,
        architecture="ffdnet",
        arguments=arguments,
        looks=(options.looks,),
        patch=options.patch,
        stride=16,
        batch=options.batch,
        learning_rate=2e-3,
        schedule="cosine",
        loss=loss,
        terms={"tv": options.tv} if options.tv else {},
        flips=True,
        ema=0.99,
    )
    torch.manual_seed(recipe.seed)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[options.precision]
    model = create(recipe.architecture, arguments)
    trainer = Trainer(model, recipe, images, options.steps, options.device, dtype)
    start = time.perf_counter()
    for _ in range(options.steps):
        trainer.step()
    seconds = (time.perf_counter() - start) / options.steps
    trainer.calibrate()
    model.card = model.describe(
        id=loss, title=loss, architecture="ffdnet", arguments=arguments, scale="mean"
    )
    return model, seconds


def measure(
    model: Despeckler, images: Images, looks: float, device: str
) -> tuple[float, float, float]:
    """Mean PSNR and SSIM over images, and mean of the estimate over that of the truth."""
    rows = []
    for place, clean in enumerate(images):
        rng = np.random.default_rng((0, place, round(looks * 1000)))
        noisy = (clean * simulate_speckle(clean.shape, looks, rng)).astype(np.float32)
        x = estimate(model, noisy, looks, device=device)["x"]
        rows.append((*quality(clean, x), float(x.mean() / clean.mean())))
    psnr, ssim, ratio = np.mean(rows, axis=0)
    return float(psnr), float(ssim), float(ratio)


def _images(options: argparse.Namespace) -> tuple[Images, Images]:
    paths = list_images(options.images, options.list)
    if options.validation_list:
        held_out = list_images(options.images, options.validation_list)
    else:
        held_out = paths[::10]
        paths = [path for path in paths if path not in set(held_out)]
    chosen = [held_out[place] for place in spread(len(held_out), options.count)]
    return read_all(paths), read_all(chosen)

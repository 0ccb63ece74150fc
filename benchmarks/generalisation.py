"""Networks with and without additive constants, outside the looks they were trained on.

Figure 3 of Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda (ICLR 2020) for speckle: the same
DnCNN (or FFDNet) with and without biases, trained on a narrow range of L, by PSNR at every L.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.registry import create
from ..plugin.core.recipe import Recipe
from ..plugin.core.training import Trainer
from ..plugin.raster.images import list_images, read_all
from .images import set_threads, spread
from .losses import measure

TESTED = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


def main(arguments: list[str]) -> int:
    """Print a row a network, a column an L; trained ones stand in brackets."""
    parser = argparse.ArgumentParser(prog="./run bench generalisation", description=__doc__)
    parser.add_argument("--images", required=True, help="folder of clean images")
    parser.add_argument("--list", help="file naming the images to train on")
    parser.add_argument("--validation-list", required=True, help="file naming held-out images")
    parser.add_argument("--count", type=int, default=12, help="held-out images used (default: 12)")
    parser.add_argument("--architecture", default="dncnn", choices=["dncnn", "ffdnet"])
    parser.add_argument("--range", default="4,8", help="looks trained on (default: 4,8)")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    set_threads(options)
    try:
        low, high = (float(value) for value in options.range.split(","))
    except ValueError:
        raise InvalidInput(f"'{options.range}' is no range of looks; write 4,8.") from None
    train = read_all(list_images(options.images, options.list))
    paths = list_images(options.images, options.validation_list)
    held_out = read_all([paths[place] for place in spread(len(paths), options.count)])
    cells = [f"[{v:g}]" if low <= v <= high else f"{v:g}" for v in TESTED]
    sys.stdout.write(f"{'PSNR dB at L =':16}{''.join(f'{cell:>8}' for cell in cells)}\n")
    for bias_free in (False, True):
        model = _trained(bias_free, (low, high), train, options)
        values = [measure(model, held_out, looks, options.device)[0] for looks in TESTED]
        name = "bias-free" if bias_free else "with biases"
        sys.stdout.write(f"{name:16}{''.join(f'{value:8.3f}' for value in values)}\n")
        sys.stdout.flush()
    return 0


def _trained(
    bias_free: bool,
    looks: tuple[float, float],
    images: list[np.ndarray],
    options: argparse.Namespace,
) -> Despeckler:
    network = {
        "layers": options.layers,
        "channels": options.channels,
        "domain": "intensity",
        "bias_free": bias_free,
    }
    recipe = Recipe(
        id="generalisation", title="", architecture=options.architecture, arguments=network,
        looks=looks, looks_law="log", patch=options.patch, stride=16, batch=options.batch,
        schedule="cosine", flips=True, ema=0.99,
    )  # fmt: skip
    torch.manual_seed(recipe.seed)
    model = create(recipe.architecture, network)
    trainer = Trainer(model, recipe, images, options.steps, options.device, torch.bfloat16)
    for _ in range(options.steps):
        trainer.step()
    model.load_state_dict(trainer.result())
    model.card = model.describe(
        id="generalisation", title="", architecture=options.architecture, scale="mean"
    )
    return model.eval()

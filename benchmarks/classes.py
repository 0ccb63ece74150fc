"""Class-aware despeckling against class-agnostic: PSNR of every class of images.

An FFDNet is trained on all classes. It is trained on, on all (agnostic), and on each class
alone (experts), all for as many steps again. A small classifier learns to tell the classes on
noisy patches. Rows: the agnostic network; the expert of the true class, as a class raster would
choose; the experts as the classifier mixes them; the expert of a wrong class.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..plugin.core.class_training import train_classifier
from ..plugin.core.despeckling import despeckle_tile
from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.classaware import ClassAware, of_experts
from ..plugin.core.models.ffdnet import FFDNet
from ..plugin.core.models.weights import save_model
from ..plugin.core.quality import psnr
from ..plugin.core.recipe import Recipe
from ..plugin.core.speckle import simulate_speckle
from ..plugin.core.training import Trainer
from ..plugin.raster.images import list_images, read_all
from .images import set_threads

Images = list[npt.NDArray[Any]]


def main(arguments: list[str]) -> int:
    """Print a row a way, a column a class."""
    parser = argparse.ArgumentParser(prog="./run bench classes", description=__doc__)
    parser.add_argument("--images", required=True, help="folder with a folder a class")
    parser.add_argument("--classes", required=True, help="folders, e.g. forest,harbor,beach")
    parser.add_argument("--steps", type=int, default=1000, help="before, and again after")
    parser.add_argument("--classifier-steps", type=int, default=500)
    parser.add_argument("--looks", type=float, default=1.0, help="measured at (default: 1)")
    parser.add_argument(
        "--range", nargs=2, type=float, metavar=("FROM", "TO"),
        help="looks trained on (default: --looks alone)",
    )  # fmt: skip
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--count", type=int, default=8, help="held-out images of a class")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument("--save", help="write the class-aware model")
    options = parser.parse_args(arguments)
    set_threads(options)
    classes = options.classes.split(",")
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise InvalidInput("Name two different classes or more with --classes.")
    train, held_out = _split(Path(options.images), classes, options.count)
    agnostic, model = _train(classes, train, options)
    shares = [_accuracy(model, images, number, options) for number, images in enumerate(held_out)]
    _print("", [f"{name[:11]:>11}" for name in classes])
    rows = {
        "agnostic": lambda number: (agnostic, None),
        "expert of the class": lambda number: (model, number),
        "by the classifier": lambda number: (model, None),
        "expert of another": lambda number: (model, (number + 1) % len(classes)),
    }
    for name, way in rows.items():
        values = [_psnr(*way(number), images, options) for number, images in enumerate(held_out)]
        values.append(float(np.mean(values)))
        _print(name, [f"{value:11.3f}" for value in values])
    _print("share of its class", [f"{share:11.3f}" for share in shares])
    if options.save:
        card = save_model(options.save, model, model.card)
        sys.stdout.write(f"{options.save}: {card.id}, {card.parameters} parameters\n")
    return 0


def _split(folder: Path, classes: Sequence[str], count: int) -> tuple[list[Images], list[Images]]:
    """Images of every class to train on, and every fifth, so many at most, held out."""
    train, held_out = [], []
    for name in classes:
        paths = list_images(folder / name)
        kept = paths[::5][:count]
        train.append(read_all([path for path in paths if path not in set(paths[::5])]))
        held_out.append(read_all(kept))
    return train, held_out


def _train(
    classes: list[str], train: list[Images], options: argparse.Namespace
) -> tuple[FFDNet, ClassAware]:
    network = {
        "layers": options.layers,
        "channels": options.channels,
        "domain": "intensity",
        "bias_free": True,
    }
    looks = tuple(options.range or (options.looks,))
    recipe = Recipe(
        id="classes", title="", architecture="ffdnet", arguments=network,
        looks=looks, looks_law="log", patch=options.patch, stride=16, batch=options.batch,
        schedule="cosine", flips=True, ema=0.99,
    )  # fmt: skip
    everything = [image for images in train for image in images]
    torch.manual_seed(0)
    start = _fit(FFDNet(**network), recipe, everything, options)
    again = replace(recipe, seed=1, learning_rate=5e-4)
    agnostic = _fit(copy.deepcopy(start), again, everything, options)
    experts = [_fit(copy.deepcopy(start), again, images, options) for images in train]
    model = of_experts(experts, classes, network).to(options.device)
    train_classifier(model, train, recipe, options.classifier_steps, options.device)
    common: dict[str, Any] = {"scale": "mean", "looks_range": (looks[0], looks[-1])}
    agnostic.card = agnostic.describe(
        id="agnostic", title="", architecture="ffdnet", arguments=network, **common
    )
    model.card = model.describe(
        id="classaware",
        title="Class-aware FFDNet, gray images",
        description="An FFDNet for each class, chosen by a classifier or by a raster of classes.",
        architecture="classaware",
        arguments={"classes": classes, "network": network},
        citation="Remez, Litany, Giryes and Bronstein, IEEE TIP 2018, arXiv:1808.06562",
        training={"recipe": recipe.to_mapping(), "steps": 2 * options.steps},
        **common,
    )
    return agnostic, model


def _fit(model: FFDNet, recipe: Recipe, images: Images, options: argparse.Namespace) -> FFDNet:
    trainer = Trainer(model, recipe, images, options.steps, options.device, torch.bfloat16)
    for _ in range(options.steps):
        trainer.step()
    model.load_state_dict(trainer.result())
    return model.eval()


def _pairs(images: Images, looks: float) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    pairs = []
    for place, clean in enumerate(images):
        rng = np.random.default_rng((0, place, round(looks * 1000)))
        pairs.append((clean, (clean * simulate_speckle(clean.shape, looks, rng)).astype("float32")))
    return pairs


def _psnr(
    model: Despeckler, number: int | None, images: Images, options: argparse.Namespace
) -> float:
    values = []
    for clean, noisy in _pairs(images, options.looks):
        given = {} if number is None else {"class_map": np.full_like(noisy, number + 1)}
        x = despeckle_tile(
            model, noisy, np.ones(noisy.shape, bool), scale=float(noisy.mean()),
            looks=options.looks, device=options.device, **given,
        )["x"]  # fmt: skip
        values.append(psnr(clean, x))
    return float(np.mean(values))


def _accuracy(model: ClassAware, images: Images, number: int, options: argparse.Namespace) -> float:
    """Mean share that the classifier gives the true class."""
    shares = []
    for _, noisy in _pairs(images, options.looks):
        z = torch.from_numpy(noisy / noisy.mean())[None, None].to(options.device)
        with torch.no_grad():
            shares.append(float(model.weights(z)[:, number].mean()))
    return float(np.mean(shares))


def _print(name: str, cells: Sequence[str]) -> None:
    ending = f"{'mean':>11}" if not name else ""
    sys.stdout.write(f"{name:20}{''.join(cells)}{ending}\n")
    sys.stdout.flush()

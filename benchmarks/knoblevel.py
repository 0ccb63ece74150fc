"""The level that a network told fewer looks than the scene has is to keep: its card's table.

Mean over blocks of input / estimate, told L' over told L, on clean images with speckle by the
recipe in the model's card. With --write the table goes into the weights file and the card
beside it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

from ..plugin.core.despeckling import PRECISIONS
from ..plugin.core.knob_level_fit import measure_level
from ..plugin.core.models.card_file import replace_card
from ..plugin.core.models.registry import find
from ..plugin.core.recipe import Recipe
from .images import add_device_options, add_image_options, load, samples, set_threads
from .results import table


def main(arguments: list[str]) -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="./run bench knoblevel",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="id or weights file")
    add_image_options(parser)
    parser.add_argument("--write", action="store_true", help="into the weights file")
    add_device_options(parser)
    options = parser.parse_args(arguments)
    set_threads(options)
    model = load(options.model, (), options.device)
    card = model.card
    if card.affine or card.blind:
        sys.stderr.write(f"{options.model} is not told L: its level does not change.\n")
        return 2
    recipe = Recipe.from_mapping(card.training["recipe"])
    measured = measure_level(
        model,
        [sample.clean() for sample in samples(options)],
        replace(recipe, seed=options.seed),
        torch.device(options.device),
        PRECISIONS[options.precision],
    )
    rows = [["L", *(f"L' = {turn:.4g} L" for turn in measured["turns"])]]
    for looks, factors in zip(measured["looks"], measured["factors"]):
        rows.append([f"{looks:g}", *(f"{factor:.3f}" for factor in factors)])
    sys.stdout.write(f"{table(rows)}\n")
    if options.write:
        own = Path(options.model)
        path = own if own.suffix == ".safetensors" else find(options.model)
        replace_card(path, {"knob_level": measured})
        sys.stdout.write(f"{path}\n")
    return 0

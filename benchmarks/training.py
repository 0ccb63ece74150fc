"""Training throughput of DoPAMINE against the matrix product's rate.

A training step is counted as three forward passes. Batches are made as in real training.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

from ..plugin.core.models.registry import create
from ..plugin.core.recipe import Recipe
from ..plugin.core.training import Trainer
from .rates import dopamine_flops, matrix_rate, seconds


def main(arguments: list[str]) -> int:
    """Print a line a precision."""
    parser = argparse.ArgumentParser(prog="./run bench training", description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    recipe = Recipe(id="b", title="", architecture="dopamine", batch=options.batch)
    images = [np.random.default_rng(0).random((256, 256), np.float32) for _ in range(8)]
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        trainer = Trainer(create("dopamine", {}), recipe, images, 10_000, dtype=dtype)
        matrix = matrix_rate(dtype)
        pixels = recipe.batch * recipe.patch**2
        rate = 3 * dopamine_flops() * pixels / seconds(trainer.step, options.repeats)
        sys.stdout.write(
            f"{name}: matrix product {matrix / 1e9:.0f} GFLOP/s, training "
            f"{rate / 1e9:.0f} GFLOP/s = {rate / matrix:.2f} of it, "
            f"{rate / 3 / dopamine_flops() / 1e6:.3f} Mpx/s, batch {recipe.batch}\n"
        )
    return 0

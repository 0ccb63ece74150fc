"""DoPAMINE's inference on the CPU, net of halos, against the matrix product's rate.

Useful pixels × operations a pixel ÷ time, over the rate of a 2048×2048 matrix product in the
same run and precision. Tiles are those of a real run: their halo is computed but not counted.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

from ..plugin.core.despeckling import despeckle_tile
from ..plugin.core.models.registry import create
from ..plugin.core.tiling import Window
from .rates import dopamine_flops, matrix_rate, seconds


def main(arguments: list[str]) -> int:
    """Print a line a precision, and the ratio of the two."""
    parser = argparse.ArgumentParser(prog="./run bench inference", description=__doc__)
    parser.add_argument("--tile", type=int, default=512, help="side of a tile without halo")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    model = create("dopamine", {}).eval()
    model.card = model.describe(id="bench", title="", architecture="dopamine", scale="mean")
    halo = model.card.halo
    side = options.tile + 2 * halo
    intensity = np.random.default_rng(0).gamma(1.0, 1.0, (side, side)).astype(np.float32)
    valid = np.ones_like(intensity, bool)
    inner = Window(halo, halo, options.tile, options.tile)
    times = {}
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        matrix = matrix_rate(dtype)
        times[precision] = seconds(
            lambda precision=precision: despeckle_tile(
                model, intensity, valid, scale=1.0, looks=1.0, inner=inner, precision=precision
            ),
            options.repeats,
        )
        rate = dopamine_flops() * inner.area / times[precision]
        sys.stdout.write(
            f"{precision}: matrix product {matrix / 1e9:.0f} GFLOP/s, DoPAMINE net of halos "
            f"{rate / 1e9:.0f} GFLOP/s = {rate / matrix:.2f} of it, "
            f"{inner.area / times[precision] / 1e6:.3f} Mpx/s, tile {options.tile}, "
            f"{torch.get_num_threads()} threads\n"
        )
    sys.stdout.write(f"bf16 is {times['fp32'] / times['bf16']:.2f} times as fast as fp32\n")
    return 0

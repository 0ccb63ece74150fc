"""Figure 3a of the paper: variance of the maps after each convolution, at initialisation.

Gaussian noise goes through networks of He's initialisation: a plain one, a residual one of 20
blocks ("ResNet20"), and the same with the scale add (equation 8) in place of the addition.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import torch

from ..figures import add_figure_option, draw
from ..images import set_threads
from ..results import table
from .networks import Plain, Residual


def main(arguments: list[str]) -> int:
    """Print log10 of the variance every few layers, and what it grows by; draw all of them."""
    parser = argparse.ArgumentParser(prog="./run bench paper figure3a", description=__doc__)
    parser.add_argument("--blocks", type=int, default=20, help="default: 20, of two layers each")
    parser.add_argument("--channels", type=int, default=64, help="default: 64")
    parser.add_argument("--side", type=int, default=32, help="of the input (default: 32)")
    parser.add_argument("--draws", type=int, default=5, help="initialisations (default: 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="default: all")
    add_figure_option(parser, "figure3a.png")
    options = parser.parse_args(arguments)
    set_threads(options)
    curves = variances(
        options.blocks, options.channels, options.side, options.draws, options.seed
    )  # fmt: skip
    layers = np.arange(1, 2 * options.blocks + 1)
    shown = sorted({1, *layers[9::10].tolist(), int(layers[-1])})
    rows = [["log10 of the variance", *(f"layer {n}" for n in shown), "per block"]]
    for name, curve in curves.items():
        slope = float(np.polyfit(layers[1::2], curve[1::2], 1)[0] * 2) if len(curve) > 2 else 0.0
        rows.append([name, *(f"{curve[n - 1]:.2f}" for n in shown), f"{slope:+.3f}"])
    sys.stdout.write(table(rows) + "\n")
    draw(options.figure, lambda axes: _paint(axes[0, 0], layers, curves))
    return 0


def variances(
    blocks: int, channels: int, side: int, draws: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """log10 of the variance after each convolution, mean over the initialisations."""
    kinds = {
        "plain": lambda: Plain(2 * blocks, channels),
        "ResNet20": lambda: Residual(blocks, channels, scale_add=False),
        "ResNet20-SA": lambda: Residual(blocks, channels, scale_add=True),
    }
    found = {}
    for name, make in kinds.items():
        torch.manual_seed(seed)
        curves = []
        for _ in range(draws):
            network = make()
            image = torch.randn(1, channels, side, side)
            with torch.inference_mode():
                curves.append([float(maps.var()) for maps in network.maps(image)])
        found[name] = np.log10(np.array(curves)).mean(0)
    return found


def _paint(panel: Any, layers: np.ndarray, curves: dict[str, np.ndarray]) -> None:
    for name, curve in curves.items():
        panel.plot(layers, curve, label=name)
    panel.set(xlabel="layer", ylabel="variance (log10)")
    panel.legend()

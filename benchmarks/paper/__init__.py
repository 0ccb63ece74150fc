"""The tables and figures of the DoPAMINE paper, made again.

Joo, Cha and Moon, "DoPAMINE: Double-Sided Masked CNN for Pixel Adaptive Multiplicative Noise
Despeckling", AAAI 2019. Each command prints its table and writes its figure; ``--help`` after
its name tells the options.
"""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "table1": "PSNR and SSIM of DoPAMINE S, B, S-AFT and B-AFT at L = 1, 2, 4, 8",
    "figure3a": "variance per layer at initialisation: plain, ResNet20, ResNet20-SA",
    "figure3b": "training with the scale add against addition and batch normalisation",
    "figure3c": "training with 0 and with 5 residual blocks",
    "figure3d": "b alone against a·Z + b, before and after FT",
    "figure3e": "FT against AFT over 30 epochs",
    "figure4": "maps of a and b: trained at L = 1 and 8, blind, fine-tuned",
}


def main(arguments: list[str]) -> int:
    """Run one command by name with the rest of the arguments."""
    if not arguments or arguments[0] not in COMMANDS:
        for name, text in COMMANDS.items():
            sys.stdout.write(f"  ./run bench paper {name:9} {text}\n")
        return 0 if arguments in ([], ["--help"], ["-h"]) else 2
    module = importlib.import_module(f".{arguments[0]}", __package__)
    return module.main(arguments[1:])

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
}


def main(arguments: list[str]) -> int:
    """Run one command by name with the rest of the arguments."""
    if not arguments or arguments[0] not in COMMANDS:
        for name, text in COMMANDS.items():
            sys.stdout.write(f"  ./run bench paper {name:9} {text}\n")
        return 0 if arguments in ([], ["--help"], ["-h"]) else 2
    module = importlib.import_module(f".{arguments[0]}", __package__)
    return module.main(arguments[1:])

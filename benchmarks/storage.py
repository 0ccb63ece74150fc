"""A weights file in half precision or eight bits a weight, if the quality on images stays.

Every image is despeckled at every L by the weights as they are and by the rounded ones. With
--write the file and the card beside it are replaced if at no L the mean PSNR moved by
--tolerance or more; else nothing is written and the exit code is 1.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from ..plugin.core.models.card_file import card_text
from ..plugin.core.models.registry import find
from ..plugin.core.models.storage import STORAGES, rounded
from ..plugin.core.models.weights import save_model
from .images import (
    add_device_options,
    add_image_options,
    estimate,
    load,
    quality,
    samples,
    set_threads,
)
from .results import table


def main(arguments: list[str]) -> int:
    """Compare, and write if asked and nothing moved."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    model = load(options.model, (), options.device)
    changed = rounded(model, options.storage)
    rows = [["L", "N", "PSNR", f"{options.storage} - single, mean", "largest", "images apart (dB)"]]
    largest = 0.0
    for looks in options.looks:
        before, changes, apart = [], [], []
        for sample in samples(options):
            clean, noisy = sample.pair(looks, options.seed)
            where = {"device": options.device, "precision": options.precision}
            one = estimate(model, noisy, looks, **where)["x"]
            other = estimate(changed, noisy, looks, **where)["x"]
            before.append(quality(clean, one)[0])
            changes.append(quality(clean, other)[0] - before[-1])
            apart.append(_apart(one, other))
        largest = max(largest, abs(float(np.mean(changes))))
        rows.append(
            [
                f"{looks:g}",
                str(len(before)),
                f"{np.mean(before):.4f}",
                f"{np.mean(changes):+.5f}",
                f"{max(map(abs, changes)):.5f}",
                f"{min(apart):.1f}",
            ]
        )
    sys.stdout.write(f"{table(rows)}\n")
    if largest >= options.tolerance:
        sys.stdout.write(f"Mean PSNR moves by {largest:.4f} dB: it stays as it is.\n")
        return 1
    if options.write:
        own = Path(options.model)
        path = own if own.suffix == ".safetensors" else find(options.model)
        card = save_model(path, changed, model.card, options.storage)
        beside = path.with_suffix(".json")
        if beside.exists():
            beside.write_text(card_text(card), encoding="utf-8")
        sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")
    return 0


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR of the one against the other, of peak 1; infinite where they are the same."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return -10 * math.log10(error) if error else math.inf


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench storage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="id or weights file")
    parser.add_argument("--storage", default="half", choices=STORAGES[1:], help="default: half")
    add_image_options(parser)
    parser.add_argument(
        "--looks", type=float, nargs="+", default=[1, 4], metavar="L", help="default: 1 4"
    )
    parser.add_argument("--tolerance", type=float, default=0.01, metavar="DB", help="default: 0.01")
    parser.add_argument("--write", action="store_true", help="replace the weights file")
    add_device_options(parser)
    return parser

"""All models on given images, by the protocol of DoPAMINE's Table 1, and what they cost.

Gray / 255 is the intensity; Gamma noise multiplies it and is not clipped; PSNR has peak 1;
means are over images, all models see the same noise. A model is left out at an L that it was
not trained for (--beyond takes it in). Costs are of a tile of --side pixels squared in a
process of its own: the fastest of --repeats, and the memory at its peak above that of the
loaded model. Models trained for the range of values of radar images (card: scale "geometric")
are not made for these photographs: read their rows with that in mind.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..plugin.core.despeckling import despeckle_tile
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.card_file import replace_card
from ..plugin.core.models.registry import list_cards
from .images import (
    Sample,
    add_device_options,
    add_image_options,
    estimate,
    load,
    quality,
    samples,
    set_threads,
)
from .paper.table1 import PAPER
from .results import Store, Values, add_store_options, mean_and_error, table, with_error

# Rows of the paper that are networks as trained: of its tuning on the image see `paper table1`.
PAPERS = ("noisy", "SAR-DRN S", "SAR-DRN B", "S", "B")
PROTOCOL = "white Gamma speckle on gray images / 255, not clipped; PSNR of peak 1"

# By model's id and L: what was measured of each image.
Results = dict[str, dict[float, list[Values]]]


def main(arguments: list[str]) -> int:
    """Measure what the store does not know yet; print the table."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    if options.cost:
        sys.stdout.write(json.dumps(_cost_here(options)) + "\n")
        return 0
    if not options.images:
        raise SystemExit("./run bench models: give --images FOLDER.")
    store = Store(options.store)
    folders = [Path(folder) for folder in options.folder]
    names = options.models or [card.id for card in list_cards(folders)]
    images = samples(options)
    results: Results = {}
    costs: dict[str, Values] = {}
    models = {name: load(name, options.folder, options.device) for name in names}
    noisy: dict[float, list[Values]] = {}
    for looks in options.looks:
        noisy[looks] = _row(options, store, images, looks, None)
    for name, model in models.items():
        costs[name] = _cost(options, store, name, model)
        low, high = model.card.looks_range
        results[name] = {
            looks: _row(options, store, images, looks, model)
            for looks in options.looks
            if options.beyond or low <= looks <= high
        }
        if not options.report:
            _say(f"{name}: done")
    _say(report(options, {"noisy": noisy, **results}, costs, models))
    if options.cards:
        for name, model in models.items():
            _write_card(options, name, model, results[name], costs[name])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench models",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_image_options(parser, required=False)
    parser.add_argument(
        "--looks", type=float, nargs="+", default=[1.0, 2.0, 4.0, 8.0], metavar="L",
        help="default: 1 2 4 8",
    )  # fmt: skip
    parser.add_argument(
        "--models", nargs="+", metavar="MODEL", help="ids or weights files (default: all installed)"
    )
    parser.add_argument(
        "--folder", action="append", default=[], metavar="FOLDER", help="of more weights files"
    )
    parser.add_argument("--beyond", action="store_true", help="at every L, trained for it or not")
    parser.add_argument("--side", type=int, default=512, help="of the tile that is timed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--cards", action="store_true",
        help="write the figures into the cards of the models, in the weights file and beside it",
    )  # fmt: skip
    parser.add_argument("--cost", metavar="MODEL", help=argparse.SUPPRESS)
    add_device_options(parser)
    add_store_options(parser)
    return parser


def _row(
    options: argparse.Namespace,
    store: Store,
    images: list[Sample],
    looks: float,
    model: Despeckler | None,
) -> list[Values]:
    found = []
    for sample in images:
        key = {
            "benchmark": "models",
            "image": sample.name,
            "place": sample.place,
            "looks": looks,
            "weights": model.card.tensors_sha256 if model else "noisy",
            "crop": options.crop,
            "seed": options.seed,
            "precision": options.precision,
        }
        if options.report and store.get(key) is None:
            continue
        found.append(store.need(key, lambda: _measure(options, sample, looks, model)))  # noqa: B023
    return found


def _measure(
    options: argparse.Namespace, sample: Sample, looks: float, model: Despeckler | None
) -> Values:
    clean, noisy = sample.pair(looks, options.seed)
    x = noisy
    if model is not None:
        x = estimate(model, noisy, looks, device=options.device, precision=options.precision)["x"]
    decibels, similarity = quality(clean, x)
    return {"psnr": decibels, "ssim": similarity}


def _cost(options: argparse.Namespace, store: Store, name: str, model: Despeckler) -> Values:
    key = {
        "benchmark": "model cost",
        "weights": model.card.tensors_sha256,
        "side": options.side,
        "precision": options.precision,
        "device": options.device,
        "threads": options.threads,
    }
    if options.report and store.get(key) is None:
        return {}
    return store.need(key, lambda: _cost_apart(options, name))


def _cost_apart(options: argparse.Namespace, name: str) -> Values:
    """Cost in a process of its own, whose memory is the model's alone."""
    words = [sys.executable, "-m", __name__.rpartition(".")[0], "models", "--cost", name]
    for option in ("side", "repeats", "precision", "device", "threads"):
        words += [f"--{option}", str(getattr(options, option))]
    words += [word for folder in options.folder for word in ("--folder", folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise RuntimeError(f"The cost of {name} cannot be measured:\n{done.stderr}")
    found: Values = json.loads(done.stdout.splitlines()[-1])
    return found


def _cost_here(options: argparse.Namespace) -> Values:
    import torch

    model = load(options.cost, options.folder, options.device)
    side = options.side
    intensity = np.random.default_rng(0).gamma(1.0, 1.0, (side, side)).astype(np.float32)
    valid = np.ones_like(intensity, bool)
    looks = model.card.looks_range[0]
    gpu = options.device.startswith("cuda")
    before = torch.cuda.memory_allocated() if gpu else _resident("VmRSS")
    seconds = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        despeckle_tile(
            model, intensity, valid, scale=1.0, looks=looks,
            device=options.device, precision=options.precision,
        )  # fmt: skip
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if gpu else _resident("VmHWM")
    return {
        "seconds_per_megapixel": round(min(seconds) / intensity.size * 1e6, 4),
        "peak_megabytes": round((peak - before) / 1e6),
        "side": side,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if gpu else "CPU",
        "precision": options.precision,
    }


def _resident(field: str) -> int:
    """Memory of this process now ("VmRSS") or at its peak ("VmHWM"), in bytes (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def report(
    options: argparse.Namespace,
    results: Results,
    costs: dict[str, Values],
    models: dict[str, Despeckler],
) -> str:
    """A row a model, then the paper's: parameters, cost, and PSNR and SSIM at each L."""
    heads = ["model", "parameters", "s/Mpx", "MB"]
    for looks in options.looks:
        heads += [f"PSNR L={looks:g}", "SSIM"]
    rows = [heads]
    counts = set()
    for name, figures in results.items():
        cost = costs.get(name, {})
        cells = [name, "", "", ""]
        if name in models:
            cells = [
                models[name].card.id,
                str(models[name].card.parameters),
                f"{cost['seconds_per_megapixel']:.2f}" if cost else "",
                str(cost["peak_megabytes"]) if cost else "",
            ]
        for looks in options.looks:
            found = figures.get(looks, [])
            counts.add(len(found))
            cells += [
                with_error([one["psnr"] for one in found]) if found else "",
                f"{mean_and_error([one['ssim'] for one in found])[0]:.4f}" if found else "",
            ]
        rows.append(cells)
    for title in PAPERS:
        cells = [f"paper: {'DoPAMINE ' if title in 'SB' else ''}{title}", "", "", ""]
        for looks in options.looks:
            value = PAPER[title].get(looks)
            cells += [f"{value[0]:.3f}", f"{value[1]:.3f}"] if value else ["", ""]
        rows.append(cells)
    about = {name: cost for name, cost in costs.items() if cost}
    first = next(iter(about.values()), {})
    machine = (
        f"; costs: {first['device']}, {first['threads']} threads, {first['precision']}, a tile "
        f"of {first['side']} x {first['side']}"
        if first
        else ""
    )
    return (
        f"N = {max(counts, default=0)} images, {PROTOCOL}; mean ± standard error{machine}. The "
        f"paper's rows are means over its 300 images.\n{table(rows)}"
    )


def _write_card(
    options: argparse.Namespace,
    name: str,
    model: Despeckler,
    figures: dict[float, list[Values]],
    cost: Values,
) -> None:
    from ..plugin.core.models.registry import find

    measured: dict[str, Any] = {"protocol": PROTOCOL, "cost": cost, "seed": options.seed}
    for looks, found in figures.items():
        if found:
            decibels, error = mean_and_error([one["psnr"] for one in found])
            measured[f"L={looks:g}"] = {
                "psnr": round(decibels, 3),
                "psnr_error": None if np.isnan(error) else round(error, 3),
                "ssim": round(mean_and_error([one["ssim"] for one in found])[0], 4),
                "images": len(found),
            }
    folders = [Path(folder) for folder in options.folder]
    path = Path(name) if name.endswith(".safetensors") else find(name, folders)
    replace_card(path, {"quality": {**model.card.quality, "measured": measured}})
    _say(f"{path}: figures written")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

"""What a non-local filter adds to a network: NN3D around an FFDNet, by PSNR and SSIM.

Rows: the network alone; the filter after it (K = 1); the two in turn (K = 2, …). With several
values of a setting, all are tried: choose on images that are not those you will report.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import numpy as np

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.ffdnet import FFDNet
from ..plugin.core.models.nn3d import around
from ..plugin.core.models.weights import save_model
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


def main(arguments: list[str]) -> int:
    """Print a row a setting and L."""
    parser = argparse.ArgumentParser(prog="./run bench nn3d", description=__doc__)
    add_image_options(parser)
    add_device_options(parser)
    parser.add_argument("--model", required=True, help="id or weights file of an FFDNet")
    parser.add_argument("--looks", type=_numbers, default=[1.0, 4.0], help="default: 1,4")
    parser.add_argument("--iterations", type=_numbers, default=[1.0, 2.0], help="default: 1,2")
    parser.add_argument("--blend", type=_numbers, default=[0.75])
    parser.add_argument("--strength", type=_numbers, default=[0.01])
    parser.add_argument("--search", type=int, default=8)
    parser.add_argument("--patch", type=int, default=2)
    parser.add_argument("--save", help="write the last setting as a model, with the id nn3d")
    options = parser.parse_args(arguments)
    set_threads(options)
    network = load(options.model, device=options.device)
    if not isinstance(network, FFDNet):
        raise InvalidInput(f"'{options.model}' is no FFDNet; NN3D is built around one.")
    chosen = samples(options)
    sys.stdout.write(
        f"{len(chosen)} images; {options.model}\n"
        f"{'':34} {'L':>4} {'PSNR dB':>8} {'SSIM':>7} {'gain dB':>8} {'s/Mpx':>7}\n"
    )
    base = {}
    for looks in options.looks:
        base[looks] = _row("network alone", network, chosen, looks, options, None)
    model = network
    for count, blend, strength in itertools.product(
        options.iterations, options.blend, options.strength
    ):
        model = _wrapped(network, int(count), blend, strength, options)
        name = f"K = {int(count)}, blend {blend:g}, strength {strength:g}"
        for looks in options.looks:
            _row(name, model, chosen, looks, options, base[looks])
    if options.save:
        card = save_model(options.save, model, model.card)
        sys.stdout.write(f"{options.save}: {card.id}, {card.parameters} parameters\n")
    return 0


def _wrapped(
    network: FFDNet, iterations: int, blend: float, strength: float, options: argparse.Namespace
) -> Despeckler:
    known = network.card
    settings = {
        "iterations": iterations,
        "blend": blend,
        "strength": strength,
        "search": options.search,
        "patch": options.patch,
    }
    model = around(network, known.arguments, **settings).to(network.device)
    model.card = model.describe(
        id="nn3d",
        title=f"NN3D around {known.title}",
        architecture="nn3d",
        arguments={"network": known.arguments, **settings},
        scale=known.scale,
        looks_range=known.looks_range,
        description=f"{known.title} and a non-local filter in turn, {iterations} times.",
        citation="Cruz et al., IEEE SPL 2018, arXiv:1803.02112; " + known.citation,
        training=known.training,
        parent=known.id,
    )
    return model


def _row(
    name: str,
    model: Despeckler,
    chosen: list[Sample],
    looks: float,
    options: argparse.Namespace,
    base: float | None,
) -> float:
    rows, pixels = [], 0
    start = time.perf_counter()
    for sample in chosen:
        clean, noisy = sample.pair(looks, options.seed)
        x = estimate(model, noisy, looks, device=options.device, precision=options.precision)["x"]
        rows.append(quality(clean, x))
        pixels += clean.size
    seconds = (time.perf_counter() - start) / pixels * 1e6
    psnr, ssim = np.mean(rows, axis=0)
    gain = "" if base is None else f"{psnr - base:+8.3f}"
    sys.stdout.write(f"{name:34} {looks:4g} {psnr:8.3f} {ssim:7.4f} {gain:>8} {seconds:7.1f}\n")
    sys.stdout.flush()
    return float(psnr)


def _numbers(text: str) -> list[float]:
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers; write 1,4.") from None

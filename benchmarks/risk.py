"""The estimated risk of real network maps: its interval, and the knob it chooses.

First, how often the 95 % interval of the estimated risk holds the true error, over draws of white
speckle on crops of clean images. Then the knob of least estimated risk on mosaics of 512 x 512
pixels, over the true number of looks; with every pixel's error counted alike, and relative to its
surroundings, beside the knob of least true error. KNOB_AUTO of speckless:despeckle does the first
for models scaled by the scene's mean, the second for those scaled by its geometric mean.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

from ..plugin.core.affine import affine_map, moments
from ..plugin.core.despeckling import PRECISIONS
from ..plugin.core.risk import best_knob, block_mean, multiplicative_risk
from ..plugin.core.speckle import simulate_speckle
from ..plugin.core.tiling import Window, plan_tiles
from ..plugin.raster.images import list_images, read_gray
from .scenes import geometric_mean, load

_TILE = 256


def main(arguments: list[str]) -> int:
    """Print both tables; 1 where a figure misses what it must reach."""
    parser = argparse.ArgumentParser(prog="./run bench risk", description=__doc__)
    parser.add_argument("--images", required=True, help="folder of clean 8-bit images")
    parser.add_argument("--list", help="file naming the images to use")
    parser.add_argument("--model", default="dopamine-blind", help="id or weights file")
    parser.add_argument("--looks", type=float, nargs="+", default=[1.0, 2.0, 4.0, 8.0])
    parser.add_argument("--crops", type=int, default=12, help="crops for the coverage; 0: none")
    parser.add_argument("--side", type=int, default=128, help="of a crop")
    parser.add_argument("--draws", type=int, default=40, help="of speckle on each crop")
    parser.add_argument("--mosaics", type=int, default=8, help="of four images; 0: none")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=sorted(PRECISIONS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    model = load(options.model).to(options.device)
    if not model.card.affine:
        sys.stderr.write(f"{options.model} has no maps a and b: its risk cannot be estimated.\n")
        return 2
    paths = list_images(options.images, options.list)
    good = _coverage(model, paths, options) if options.crops else True
    good &= _knobs(model, paths, options) if options.mosaics else True
    return 0 if good else 1


def _maps(model, z: np.ndarray, looks: float, options) -> tuple[np.ndarray, np.ndarray]:
    """Maps of images (B, H, W), tile by tile."""
    scales = [model.card.scene_scale(float(one.mean()), geometric_mean(one)) for one in z]
    a, b = np.empty(z.shape), np.empty(z.shape)
    whole = Window(0, 0, z.shape[2], z.shape[1])
    for index, scale in enumerate(scales):
        for tile in plan_tiles(whole, None, _TILE, model.card.halo, model.card.divisor):
            source, inner, core = (
                np.s_[w.y : w.bottom, w.x : w.right] for w in (tile.source, tile.inner, tile.core)
            )
            image = torch.from_numpy(np.ascontiguousarray(z[index][source]) / np.float32(scale))
            with torch.inference_mode():
                found = model(
                    image[None, None].to(options.device),
                    torch.tensor([looks], dtype=torch.float32, device=options.device),
                    PRECISIONS[options.precision],
                )
            a[index][core] = found.a[0, 0].float().cpu().numpy()[inner]
            b[index][core] = found.b[0, 0].float().cpu().numpy()[inner] * scale
    return a, b


def _coverage(model, paths, options) -> bool:
    crops = []
    for path in paths[:: max(1, len(paths) // options.crops)][: options.crops]:
        image = read_gray(path)
        y, x = ((length - options.side) // 2 for length in image.shape)
        crops.append(image[max(y, 0) :, max(x, 0) :][: options.side, : options.side])
    sys.stdout.write(
        f"{model.card.id}: 95 % interval of the estimated risk, {len(crops)} crops of "
        f"{options.side} x {options.side} pixels, {options.draws} draws of white speckle each\n"
    )
    shares, total = [], 0
    for looks in options.looks:
        rows = []
        for index, x in enumerate(crops):
            rng = np.random.default_rng((options.seed, index, round(1000 * looks)))
            z = np.stack([x * simulate_speckle(x.shape, looks, rng) for _ in range(options.draws)])
            for noisy, a, b in zip(z, *_maps(model, z, looks, options)):
                estimate = block_mean(multiplicative_risk(noisy.astype(float), a, b, looks))
                truth = float(np.mean((x - a * noisy - b) ** 2))
                low, high = estimate.interval()
                rows.append(
                    (low <= truth <= high, truth < low, estimate.value, truth,
                     estimate.standard_error)
                )  # fmt: skip
        held, above, value, truth, error = np.array(rows, float).T
        shares.append(held.mean())
        total += len(held)
        sys.stdout.write(
            f"  L = {looks:g}: holds the true error in {held.mean():.1%} (interval too high in "
            f"{above.mean():.1%}, too low in {1 - held.mean() - above.mean():.1%}); estimated "
            f"over true error {value.mean() / truth.mean():.3f}, standard error "
            f"{np.mean(error / truth):.1%} of it\n"
        )
        sys.stdout.flush()
    share = float(np.mean(shares))
    # Draws of too few to tell are not held against it.
    good = share >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / total)
    sys.stdout.write(f"  in all: {share:.1%} of {total} draws: {'ok' if good else 'TOO LOW'}\n")
    return bool(good)


def _knobs(model, paths, options) -> bool:
    images = [image for image in map(read_gray, paths) if min(image.shape) >= 256]
    images = [image[:256, :256] for image in images]
    count = min(options.mosaics, len(images) // 4)
    sys.stdout.write(
        f"{model.card.id}: knob of least estimated risk over L, {count} mosaics of 512 x 512 "
        "pixels, median (least to greatest), share within a factor of 2\n"
    )
    counted = "relative" if model.card.scale == "geometric" else "alike"
    good = count > 0
    for looks in options.looks:
        rows = []
        for index in range(count):
            one, two, three, four = images[index :: len(images) // 4][:4]
            x = np.block([[one, two], [three, four]])
            rng = np.random.default_rng((options.seed, index, round(1000 * looks)))
            z = x * simulate_speckle(x.shape, looks, rng)
            a, b = (maps[0] for maps in _maps(model, z[None], looks, options))
            mean, relative = moments(a, b, looks)
            floored = np.maximum(mean, 1e-3 * z.mean())
            usual = z <= 20 * floored
            plain = best_knob(mean, relative, z, looks, usual)
            weighted = best_knob(mean, relative, z, looks, usual, 1 / floored**2)
            knobs = looks * np.geomspace(1 / 16, 16, 65)
            errors = [
                np.mean((x - slope * z - bias) ** 2)
                for slope, bias in (affine_map(mean, relative, knob) for knob in knobs)
            ]
            true = knobs[int(np.argmin(errors))]
            rows.append([plain.knob / looks, weighted.knob / looks, true / looks])
        cells = []
        for name, ratios in zip(("alike", "relative", "true error"), np.array(rows).T):
            near = np.mean(np.abs(np.log2(ratios)) <= 1)
            cells.append(
                f"{name} {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}) "
                f"{near:.0%}"
            )
            good &= name != counted or near == 1
        sys.stdout.write(f"  L = {looks:g}: {'; '.join(cells)}\n")
        sys.stdout.flush()
    sys.stdout.write(
        f"  the knob that KNOB_AUTO would take ({counted}) within a factor of 2 everywhere: "
        f"{'ok' if good else 'NO'}\n"
    )
    return bool(good)

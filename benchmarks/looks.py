"""The number of looks found against the true one, and the speckle's correlation.

On clean images with simulated speckle, white and correlated (``--images``): estimate over truth,
median and 10th to 90th percentile of the images, and how often speckle counts as correlated. On
real rasters or .npy files (``--raster``): what is found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..plugin.core.errors import SpecklessError
from ..plugin.core.looks import CORRELATED, estimate_looks
from ..plugin.core.speckle import simulate_speckle
from ..plugin.raster.images import list_images, read_gray
from .scenes import read_scene

# Correlation of neighbouring intensities that each width of the point spread gives.
PSF = {0.0: 0.0, 0.6: 0.20, 0.9: 0.54}


def main(arguments: list[str]) -> int:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(prog="./run bench looks", description=__doc__)
    parser.add_argument("--images", help="folder of clean 8-bit images")
    parser.add_argument("--list", help="file naming the images to use")
    parser.add_argument("--count", type=int, default=0, help="use only so many, spread evenly")
    parser.add_argument("--looks", type=int, nargs="+", default=[1.0, 2.0, 4.0, 8.0])
    parser.add_argument("--floor", type=float, default=0.02, help="added to gray / 255")
    parser.add_argument("--raster", nargs="+", default=[], help="rasters or .npy files")
    parser.add_argument("--domain", default="auto")
    parser.add_argument("--band", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.images:
        paths = list_images(options.images, options.list)
        if options.count:
            paths = paths[:: max(1, len(paths) // options.count)][: options.count]
        _simulated(paths, options)
    for path in options.raster:
        _real(path, options)
    return 0


def _simulated(paths: Sequence[Path], options: argparse.Namespace) -> None:
    scenes = [read_gray(path) + options.floor for path in paths]
    sys.stdout.write(f"{len(scenes)} images, estimate over truth (10th to 90th percentile)\n")
    for psf, truth in PSF.items():
        for looks in options.looks:
            rows = []
            for index, clean in enumerate(scenes):
                rng = np.random.default_rng((options.seed, index, looks))
                found = estimate_looks(clean * simulate_speckle(clean.shape, looks, rng, psf))
                near = max(found.correlation) if found.correlation else np.nan
                rows.append((found.looks / looks, near, found.excess))
            ratio, near, excess = np.array(rows).T
            low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
            error = np.sqrt(np.mean(np.log(ratio) ** 2))
            sys.stdout.write(
                f"  correlation {truth:.2f}, L = {looks}: {middle:.2f} ({low:.2f} to {high:.2f}), "
                f"RMS error of ln L {error:.2f}; correlation found "
                f"{np.nanmedian(near):.2f} ({np.nanquantile(near, 0.1):.2f} to "
                f"{np.nanquantile(near, 0.9):.2f}), counts as correlated in "
                f"{np.mean(excess > CORRELATED):.0%}\n"
            )
            sys.stdout.flush()


def _real(path: str, options: argparse.Namespace) -> None:
    try:
        found = read_scene(path, 0, options.domain, options.band).looks
    except SpecklessError as error:
        sys.stdout.write(f"{path}: {error}\n")
        return
    if found is None:
        sys.stdout.write(f"{path}: the pixels do not tell\n")
        return
    near = "unknown" if found.correlation is None else "{:.2f} / {:.2f}".format(*found.correlation)
    sys.stdout.write(
        f"{path}: L = {found.looks:.2f} (windows spread by {found.spread:.2f}), correlation along "
        f"x / y {near}{', correlated' if found.excess > CORRELATED else ''}\n"
    )

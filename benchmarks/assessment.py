"""The figures of an assessment where the answer is known, and how often chance fools them.

Squares of 32 x 32 pixels of two brightnesses under simulated speckle, white and correlated:
``EDGE_CONTRAST`` of the clean image and of means of it. Pure speckle: how often the permutation
test finds structure at 5 %, and how often a pixel is taken for a point target. With ``--raster``
instead: time and peak memory of simulating and assessing a raster of that many pixels a side.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..plugin.core.filters.base import SceneConstants
from ..plugin.core.filters.boxcar import Boxcar
from ..plugin.core.metrics.block import Block
from ..plugin.core.metrics.edges import EdgeContrast
from ..plugin.core.metrics.structure import structure_test
from ..plugin.core.metrics.targets import PointTargets
from ..plugin.core.speckle import simulate_speckle
from ..plugin.jobs.assessing import AssessJob
from ..plugin.jobs.simulating import SimulateJob

_SQUARE = 32
# Correlation of neighbouring intensities that each width of the point spread gives.
_PSF = {0.0: 0.0, 0.6: 0.20}


def main(arguments: list[str]) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="./run bench assessment", description=__doc__)
    parser.add_argument("--draws", type=int, default=4, help="scenes a row")
    parser.add_argument("--looks", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--side", type=int, default=256, help="of a scene, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--raster", type=int, default=0, help="side of a raster to assess")
    options = parser.parse_args(arguments)
    if options.raster:
        _whole(options.raster)
        return 0
    _edges(options)
    _chance(options)
    return 0


def _edges(options: argparse.Namespace) -> None:
    write = sys.stdout.write
    write("EDGE_CONTRAST, mean of the draws\n looks   dB  corr.  clean  3x3   7x7\n")
    count = max(options.side // _SQUARE, 2)
    for looks in options.looks:
        for contrast in (3.0, 10.0):
            for psf, correlation in _PSF.items():
                rows = []
                for draw in range(options.draws):
                    rng = np.random.default_rng((options.seed, draw, looks))
                    pattern = rng.choice([1.0, contrast], (count, count))
                    clean = np.kron(pattern, np.ones((_SQUARE, _SQUARE)))
                    noisy = clean * simulate_speckle(clean.shape, looks, rng, psf)
                    rows.append(_kept(noisy, clean, looks))
                clean_kept, little, much = np.nanmean(rows, axis=0)
                write(
                    f"{looks:6d} {10 * np.log10(contrast):4.1f} {correlation:6.2f} "
                    f"{clean_kept:6.2f} {little:5.2f} {much:5.2f}\n"
                )


def _kept(noisy: np.ndarray, clean: np.ndarray, looks: float) -> list[float]:
    every = np.ones(clean.shape, bool)
    means = [Boxcar(radius=radius)(clean, every, SceneConstants()) for radius in (1, 3)]
    found = []
    for estimate in (clean, *means):
        metric = EdgeContrast(looks)
        metric.add(Block.whole(noisy, estimate))
        value = metric.figures()["EDGE_CONTRAST"].value
        found.append(np.nan if value is None else value)
    return found


def _chance(options: argparse.Namespace) -> None:
    write = sys.stdout.write
    draws = 10 * options.draws
    write(f"Pure white speckle, {draws} draws: structure at 5 %, images with a target\n")
    for looks in options.looks:
        structured = targets = 0
        for draw in range(draws):
            rng = np.random.default_rng((options.seed, 1, draw, looks))
            noise = simulate_speckle((options.side, options.side), looks, rng)
            structured += structure_test(noise[:64, :64], permutations=39).p_value <= 0.05
            metric = PointTargets(looks, noise.size)
            metric.add(Block.whole(noise, noise))
            targets += bool(metric.found)
        write(f"{looks:6d} {structured / draws:6.1%} {targets / draws:6.1%}\n")


def _whole(side: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clean, noisy, ratio = (str(Path(folder, f"{name}.tif")) for name in ("x", "z", "ratio"))
        _write_fields(clean, side)
        work = {
            "simulate": SimulateJob(clean, noisy, 4.0),
            "assess": AssessJob(noisy, clean, looks=4.0, ratio=ratio),
        }
        for name, job in work.items():
            started, used = time.perf_counter(), time.process_time()
            job.run(lambda part, text: None, lambda: False)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            sys.stdout.write(
                f"{name:9} {time.perf_counter() - started:7.1f} s, of the processor "
                f"{time.process_time() - used:7.1f} s, peak {peak:5.0f} MB\n"
            )


def _write_fields(path: str, side: int) -> None:
    """A clean raster of fields, a tenth of it nodata."""
    options = ["TILED=YES", "COMPRESS=DEFLATE"]
    dataset = gdal.GetDriverByName("GTiff").Create(path, side, side, 1, gdal.GDT_Float32, options)
    band = dataset.GetRasterBand(1)
    band.SetNoDataValue(-1)
    line = np.repeat(np.random.default_rng(0).choice([1.0, 5.0], side // 100 + 1), 100)[:side]
    for top in range(0, side, 256):
        rows = min(256, side - top)
        values = np.tile(line * (1 + top // 256 % 3), (rows, 1)).astype(np.float32)
        values[:, : side // 10] = -1
        band.WriteArray(values, 0, top)
    band = dataset = None

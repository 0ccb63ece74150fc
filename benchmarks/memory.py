"""A large raster streamed through a light model or a filter: time, peak memory of all processes.

The model is a 3×3 mean, so that reading, passing on and writing are what is measured; with
--filter it is a classical filter, in this process. Memory
is the sum of the proportional set sizes of this process and all its children, sampled five
times a second (Linux).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..plugin.core.filters.registry import find_filter
from ..plugin.core.models.registry import create
from ..plugin.core.models.weights import save_model
from ..plugin.jobs.despeckling import DespeckleJob
from ..plugin.jobs.filtering import FilterJob


class MemoryWatch:
    """Peak memory of this process and its descendants while the block runs."""

    def __enter__(self) -> MemoryWatch:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self.peak = max(self.peak, sum(_pss(pid) for pid in _family(os.getpid())))


def _family(root: int) -> set[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it ended while we looked
            parents[int(entry.name)] = int(fields[1])
    family = {root}
    while True:
        grown = family | {pid for pid, parent in parents.items() if parent in family}
        if grown == family:
            return family
        family = grown


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def make_raster(path: Path, side: int, nodata_share: float) -> None:
    """Write single-look speckle over a ramp, a margin of nodata on the left."""
    driver = gdal.GetDriverByName("GTiff")
    options = ["TILED=YES", "BIGTIFF=IF_SAFER"]
    dataset = driver.Create(str(path), side, side, 1, gdal.GDT_Float32, options)
    dataset.GetRasterBand(1).SetNoDataValue(-9999)
    rng = np.random.default_rng(0)
    ramp = np.linspace(1, 100, side, dtype=np.float32)
    ramp[: int(side * nodata_share)] = np.nan
    for top in range(0, side, 256):
        rows = min(256, side - top)
        strip = ramp * rng.standard_exponential((rows, side), np.float32)
        strip[np.isnan(strip)] = -9999
        dataset.GetRasterBand(1).WriteArray(strip, 0, top)
    dataset.FlushCache()
    dataset = None


def main(arguments: list[str]) -> int:
    """Make the raster, run the job, print one line."""
    parser = argparse.ArgumentParser(prog="./run bench memory", description=__doc__)
    parser.add_argument("--side", type=int, default=20000)
    parser.add_argument("--nodata", type=float, default=0.1, help="share of the raster")
    parser.add_argument("--folder", help="where 2 × 4 × side² bytes fit (default: temporary)")
    parser.add_argument("--filter", help="id of a classical filter instead of the model")
    parser.add_argument("--radius", type=int, help="of the filter")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        job = _filter_job(folder, options) if options.filter else _model_job(folder)
        what = f"{job.filter.title} filter" if isinstance(job, FilterJob) else "3x3 mean"
        make_raster(folder / "input.tif", options.side, options.nodata)
        with MemoryWatch() as watch:
            start = time.perf_counter()
            result = job.run(lambda part, text: None, lambda: False)
            elapsed = time.perf_counter() - start
    sys.stdout.write(
        f"{options.side}x{options.side} float32, {options.nodata:.0%} nodata, {what}: "
        f"{elapsed:.0f} s, {result.pixels / elapsed / 1e6:.1f} Mpx/s, "
        f"peak of all processes {watch.peak / 1e9:.2f} GB\n"
    )
    return 0


def _filter_job(folder: Path, options: argparse.Namespace) -> FilterJob:
    kind = find_filter(options.filter)
    made = kind() if options.radius is None else kind(radius=options.radius)
    return FilterJob(str(folder / "input.tif"), str(folder / "output.tif"), made)


def _model_job(folder: Path) -> DespeckleJob:
    file = folder / "mean3x3.safetensors"
    model = create("boxcar", {"radius": 1})
    card = model.describe(id="mean3x3", title="", architecture="boxcar", arguments={"radius": 1})
    save_model(file, model, card)
    return DespeckleJob(str(folder / "input.tif"), str(folder / "output.tif"), model_file=str(file))

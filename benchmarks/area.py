"""Statistics of homogeneous areas: how often the ENL's interval holds the truth, and time.

Coverage on simulated speckle, whose number of looks is known: white of 0.5 to 16 looks, and
correlated by a Gaussian point spread. Time on an area of a megapixel in a file, wall and
processor: what the live statistics must repeat while a vertex moves.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from ..plugin.core.area_statistics import area_statistics
from ..plugin.core.enl_interval import enl_interval
from ..plugin.core.homogeneous_windows import homogeneous_windows
from ..plugin.core.speckle import simulate_speckle

_PIXELS = (25, 50, 100, 400, 3000, 100_000)
_LOOKS = (0.5, 1, 2, 4, 16)
_SPREADS = (0.6, 0.9, 1.1)
_DRAWN = 3_000_000  # pixels of speckle drawn for each row of the table, at most
_REPEATS = 30


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench area", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="areas a row, at most")
    parser.add_argument("--only", choices=("coverage", "time"))
    options = parser.parse_args(arguments)
    if options.only != "time":
        _coverage(options.runs)
    if options.only != "coverage":
        _time()
    return 0


def _coverage(most: int) -> None:
    print("white: n, L, areas, share of 95 % intervals that hold L")
    rng = np.random.default_rng(0)
    for pixels in _PIXELS:
        side = math.isqrt(pixels)
        shape = (side, pixels // side)
        for looks in _LOOKS:
            _row(rng, shape, looks, 0.0, most)
    print("correlated: n, L, areas, share; share if taken for white; correlation found")
    for spread in _SPREADS:
        for side in (8, 16, 32, 100):
            for looks in (1, 4):
                _row(rng, (side, side), looks, spread, most)


def _row(
    rng: np.random.Generator, shape: tuple[int, int], looks: float, spread: float, most: int
) -> None:
    size = shape[0] * shape[1]
    runs = max(100, min(most, int(_DRAWN / size / (looks if spread else 1))))
    held = held_if_white = 0
    near = []
    for _ in range(runs):
        area = simulate_speckle(shape, looks, rng, spread)
        found = area_statistics(area).original
        if found.enl is None or found.enl_low is None or found.enl_high is None:
            continue
        held += found.enl_low <= looks <= found.enl_high
        low, high = enl_interval(found.enl, size)
        held_if_white += low <= looks <= high
        near.append(found.correlation_x or 0.0)
    error = math.sqrt(0.95 * 0.05 / runs)
    tail = f"   {held_if_white / runs:.3f}   {np.mean(near):.2f}" if spread else ""
    print(f"{size:7} {looks:4} {runs:6}   {held / runs:.3f} ± {error:.3f}{tail}", flush=True)


def _time() -> None:
    rng = np.random.default_rng(0)
    noisy = simulate_speckle((1000, 1000), 4, rng)
    smooth = simulate_speckle((1000, 1000), 100, rng)
    every = np.ones(noisy.shape, bool)
    _report("original, square of 1 Mpx in memory", lambda: area_statistics(noisy, every))
    _report("and despeckled", lambda: area_statistics(noisy, every, smooth, every))
    _report("suggesting 5 windows of 32 x 32 in it", lambda: homogeneous_windows(noisy, every))
    try:
        from osgeo import gdal, ogr
    except ImportError:
        print("without GDAL: not measured from files")
        return
    from ..plugin.jobs.statistics import measure_area
    from ..plugin.raster.alignment import AlignedSource
    from ..plugin.raster.polygons import PolygonMask
    from ..plugin.raster.source import RasterSource

    side = 1130
    angles = [2 * math.pi * k / 60 for k in (*range(60), 0)]
    points = [(565 + 564.2 * math.cos(a), -565 - 564.2 * math.sin(a)) for a in angles]
    text = ", ".join(f"{x} {y}" for x, y in points)
    wkb = bytes(ogr.CreateGeometryFromWkt(f"POLYGON (({text}))").ExportToWkb())
    with tempfile.TemporaryDirectory() as folder:
        readers = []
        for name, looks in (("a.tif", 4), ("b.tif", 100)):
            path = str(Path(folder) / name)
            dataset = gdal.GetDriverByName("GTiff").Create(
                path, side, side, 1, gdal.GDT_Float32, ["TILED=YES", "COMPRESS=DEFLATE"]
            )
            dataset.GetRasterBand(1).WriteArray(simulate_speckle((side, side), looks, rng))
            dataset = None
            readers.append(AlignedSource(RasterSource(path), 1))

        def measured() -> None:
            mask = PolygonMask(str(Path(folder) / "a.tif"), [wkb])
            measure_area(mask, mask.bounds, readers[0], readers[1])

        _report("circle of 1 Mpx, both from open DEFLATE files (cached blocks)", measured)


def _report(what: str, run: Callable[[], object]) -> None:
    wall, processor = [], []
    for _ in range(_REPEATS):
        started, used = time.perf_counter(), time.process_time()
        run()
        wall.append(1e3 * (time.perf_counter() - started))
        processor.append(1e3 * (time.process_time() - used))
    print(
        f"{what}: wall {median(wall):.0f} ms (best {min(wall):.0f}), "
        f"processor {median(processor):.0f} ms (best {min(processor):.0f})",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

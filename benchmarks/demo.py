"""``./run demo``: a real Sentinel-1 scene through QGIS, its figures before and after, a picture.

Everything goes through ``./run process``, as a user's own command would.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plugin.core import quality
from ..plugin.core.tiling import Window
from ..plugin.raster.gdal_access import gdal_call, open_raster
from ..plugin.raster.source import RasterSource

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "resources" / "samples" / "sentinel1_sample.tif"
UNIFORM = 32  # side of the window in which ENL and Cx are measured, in pixels
LEGIBLE = 600  # pictures narrower than this are drawn at twice their size

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; the exit code is that of ``qgis_process`` where it fails."""
    parser = argparse.ArgumentParser(prog="./run demo", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", default=ROOT / ".run" / "demo", type=Path, help="where results go"
    )
    folder = parser.parse_args(arguments).folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # A copy: QGIS writes statistics beside the rasters it opens.
    before = Path(shutil.copy(SAMPLE, folder / SAMPLE.name))
    after = folder / "despeckled.tif"
    ratio = folder / "ratio.tif"

    started = time.perf_counter()
    report = despeckle(before, after, ratio)
    seconds = time.perf_counter() - started

    noisy, valid = first_band(before)
    estimate, _ = first_band(after)
    picture = folder / "before_after.png"
    write_picture(picture, noisy, estimate, valid)

    for title, path in (
        ("input", before),
        ("despeckled", after),
        ("ratio image", ratio),
        ("picture", picture),
    ):
        row(title, str(path))
    for title, text in details(after, report):
        row(title, text)
    row("time", f"{seconds:.1f} s, start of QGIS and of the engine included")
    print()
    print(figures(noisy, estimate, valid))
    return 0


def row(title: str, text: str) -> None:
    print(f"{title:<12} {text}")


def despeckle(source: Path, output: Path, ratio: Path) -> dict[str, Any]:
    """Run ``speckless:despeckle`` in QGIS and return its JSON report."""
    command = [str(ROOT / "run"), "process", "--json", "run", "speckless:despeckle"]
    command += [f"--INPUT={source}", f"--OUTPUT={output}", f"--RATIO={ratio}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise SystemExit(done.returncode)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def details(output: Path, report: dict[str, Any]) -> list[tuple[str, str]]:
    """What the output's tags tell of the run, and what the algorithm reported meanwhile."""
    tags = open_raster(str(output)).GetMetadata()
    rows = [
        (title, tags[key])
        for title, key in (("model", "SPECKLESS_MODEL"), ("domain", "SPECKLESS_DOMAIN"))
        if key in tags
    ]
    rows.append(("looks", f"{float(report['results']['LOOKS_USED']):.2f}"))
    log = report.get("log", {})
    for title, kind in (("reported", "info"), ("warnings", "warning")):
        for number, line in enumerate(log.get(kind, [])):
            rows.append(("" if number else title, line))
    return rows


def first_band(path: Path) -> tuple[Image, Mask]:
    """Linear intensity and validity of a raster's first band, whole."""
    with RasterSource(str(path)) as source:
        intensity, valid = source.read(source.bands[0], Window(0, 0, source.width, source.height))
    return intensity, valid


def figures(noisy: Image, estimate: Image, valid: Mask) -> str:
    """The table of ENL, Cx, mean and variance of the ratio, before and after.

    ENL and Cx are taken in the same window for both: the most uniform one of the input.
    """
    _, window = quality.best_window_enl(noisy, UNIFORM, valid)
    inside = np.s_[window.y : window.bottom, window.x : window.right]
    lines = [f"{'':<34}{'before':>10}{'after':>10}"]

    def line(title: str, before: float | None, after: float) -> None:
        left = "" if before is None else f"{before:.3f}"
        lines.append(f"{title:<34}{left:>10}{after:>10.3f}")

    place = f"{UNIFORM}x{UNIFORM} pixels at {window.x},{window.y}"
    line(f"ENL, {place}", *(quality.enl(i[inside], valid[inside]) for i in (noisy, estimate)))
    line(
        "Cx, same pixels",
        *(quality.coefficient_of_variation(i[inside], valid[inside]) for i in (noisy, estimate)),
    )
    line("mean of ratio (ideal 1)", None, quality.mean_of_ratio(noisy, estimate, valid))
    line(
        "variance of ratio (ideal 1/looks)", None, quality.variance_of_ratio(noisy, estimate, valid)
    )
    return "\n".join(lines)


def write_picture(path: Path, noisy: Image, estimate: Image, valid: Mask) -> None:
    """Input and result side by side in decibels, both stretched by the input's percentiles."""
    from osgeo import gdal

    decibels = [10.0 * np.log10(np.maximum(i, np.float32(1e-12))) for i in (noisy, estimate)]
    low, high = np.percentile(decibels[0][valid], (2, 98))
    panels = []
    for image in decibels:
        gray = np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0) * 255.0
        panels.append(np.where(valid, gray, 0.0).astype(np.uint8))
    if panels[0].shape[1] < LEGIBLE:
        panels = [panel.repeat(2, axis=0).repeat(2, axis=1) for panel in panels]
    gap = np.full((panels[0].shape[0], 1), 255, np.uint8)
    canvas = np.hstack([panels[0], gap, panels[1]])

    with gdal_call(f"write the picture {path}"):
        memory = gdal.GetDriverByName("MEM").Create("", canvas.shape[1], canvas.shape[0], 1)
        memory.GetRasterBand(1).WriteArray(canvas)
        gdal.GetDriverByName("PNG").CreateCopy(str(path), memory)


if __name__ == "__main__":
    raise SystemExit(main())

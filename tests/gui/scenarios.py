"""What the tests of the window share outside it: a large raster, running a scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from networks import TINY
from osgeo import gdal, osr

from speckless.benchmarks.window import run_qgis

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "resources" / "samples" / "sentinel1_sample.tif"
# Pictures stay here to be looked at; git ignores it.
OUTPUT = ROOT / "tests" / "output"

# Arguments of DoPAMINE networks: one that is fast, one that keeps the engine busy.
SMALL = {**TINY, "channels": 8}
SLOW = {"layers": 21, "channels": 64, "blocks": 5}


def write_speckle(path: Path, side: int, looks: float, epsg: int | None = None) -> Path:
    """A square raster of mean 1 under simulated speckle."""
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), side, side, 1, gdal.GDT_Float32)
    if epsg is not None:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        dataset.SetProjection(crs.ExportToWkt())
    dataset.SetGeoTransform((500000.0, 10.0, 0.0, 4800000.0, 0.0, -10.0))
    z = np.random.default_rng(0).gamma(looks, 1 / looks, (side, side))
    dataset.GetRasterBand(1).WriteArray(z.astype(np.float32))
    dataset = None
    return path


def play(name: str, given: Mapping[str, object], seconds: float = 900) -> dict[str, Any]:
    """Run a scenario in the window; what it saw.

    Parameters
    ----------
    name : str
        Of ``<name>_scenario.py``, and the beginning of what it leaves in the output.
    given : mapping
        Values of SPECKLESS_TEST_<NAME>.
    seconds : float
        A minute or so; a machine that does much else may need ten times as long.
    """
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / ".gitignore").write_text("*\n")
    for path in OUTPUT.glob(f"{name}_*"):
        path.unlink()
    given = {"TOOLS": Path(__file__).parent, "OUTPUT": OUTPUT, **given}
    variables = {f"SPECKLESS_TEST_{key}": str(value) for key, value in given.items()}
    variables["OMP_NUM_THREADS"] = "1"  # small networks; on a busy machine threads wait
    errors = run_qgis(Path(__file__).with_name(f"{name}_scenario.py"), variables, seconds=seconds)
    report = OUTPUT / f"{name}_seen.json"
    assert report.is_file(), errors
    seen = json.loads(report.read_text())
    assert "error" not in seen, seen["error"]
    return seen

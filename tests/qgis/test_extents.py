"""Extents land on the right pixels, whatever the georeferencing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsRasterLayer

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.tiling import Window
from speckless.processing_provider.extents import pixel_window

Write = Callable[..., str]


def corners(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


@pytest.fixture
def north_up(write_raster: Write) -> str:
    return write_raster(np.ones((50, 40)), transform=(1000.0, 10.0, 0.0, 5000.0, 0.0, -10.0))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1000, 5000, 1400, 4500), Window(0, 0, 40, 50)),
        ((0, 9000, 9000, 0), Window(0, 0, 40, 50)),
        ((1050, 4900, 1070, 4880), Window(5, 10, 2, 2)),
        ((1051, 4899, 1069, 4881), Window(5, 10, 2, 2)),
        ((1049.9, 4900, 1070.1, 4880), Window(4, 10, 4, 2)),
        ((1049.9999, 4900.0001, 1070.0001, 4879.9999), Window(5, 10, 2, 2)),
        ((1055, 4895, 1055, 4895), Window(5, 10, 1, 1)),
        ((1395, 4505, 2000, 4000), Window(39, 49, 1, 1)),
    ],
)
def test_snaps_outwards(north_up: str, box: tuple[float, ...], expected: Window) -> None:
    assert pixel_window(north_up, corners(*box)) == expected


@pytest.mark.parametrize("box", [(0, 9000, 1000, 8000), (1400, 5000, 1500, 4500)])
def test_outside(north_up: str, box: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInput, match="outside the raster"):
        pixel_window(north_up, corners(*box))


def test_what_cannot_be_placed(north_up: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be placed"):
        pixel_window(north_up, [(float("inf"), 0.0)])


def test_rotated(write_raster: Write) -> None:
    # Columns point north, rows point east.
    path = write_raster(np.ones((50, 40)), transform=(1000.0, 0.0, 10.0, 5000.0, 10.0, 0.0))
    window = pixel_window(path, corners(1100, 5030, 1120, 5060))
    assert window == Window(3, 10, 3, 2)


def test_ground_control_points(tmp_path: Path) -> None:
    path = str(tmp_path / "gcps.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 40, 50)
    places = [(0, 0), (40, 0), (0, 50), (40, 50)]
    points = [gdal.GCP(1000 + 10.0 * x, 5000 - 10.0 * y, 0, x, y) for x, y in places]
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32631)
    dataset.SetGCPs(points, crs.ExportToWkt())
    dataset = None
    assert pixel_window(path, corners(1051, 4899, 1069, 4881)) == Window(5, 10, 2, 2)


def test_without_georeferencing_as_qgis_shows_it(qgis_app: object, tmp_path: Path) -> None:
    path = str(tmp_path / "plain.tif")
    gdal.GetDriverByName("GTiff").Create(path, 40, 50)
    shown = QgsRasterLayer(path, "plain").extent()
    box = (shown.xMinimum(), shown.yMaximum(), shown.xMaximum(), shown.yMinimum())
    assert pixel_window(path, corners(*box)) == Window(0, 0, 40, 50)
    assert pixel_window(path, corners(5, -10, 7, -12)) == Window(5, 10, 2, 2)

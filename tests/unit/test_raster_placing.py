"""Pixels to the map and back, for each kind of georeferencing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speckless.plugin.raster.placing import Placement

gdal = pytest.importorskip("osgeo.gdal")

PIXELS = [(0.0, 0.0), (10.5, 3.25), (-4.0, 60.0)]


def write(path: Path, transform: tuple[float, ...] | None = None, points: object = None) -> str:
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 40, 30, 1, gdal.GDT_Float32)
    if transform:
        dataset.SetGeoTransform(transform)
    if points:
        dataset.SetGCPs(points, "")
    dataset.FlushCache()
    dataset = None
    return str(path)


@pytest.mark.parametrize(
    "transform", [(500.0, 10.0, 0.0, 900.0, 0.0, -10.0), (500.0, 8.0, 3.0, 900.0, 2.0, -7.0)]
)
def test_geotransforms_go_both_ways(tmp_path: Path, transform: tuple[float, ...]) -> None:
    placement = Placement(write(tmp_path / "a.tif", transform))
    places = placement.to_map(PIXELS)
    x, a, b, y, c, d = transform
    np.testing.assert_allclose(places, [(x + a * p + b * q, y + c * p + d * q) for p, q in PIXELS])
    np.testing.assert_allclose(placement.to_pixels(places), PIXELS, atol=1e-9)
    assert placement.is_affine


def test_without_georeferencing_y_points_up(tmp_path: Path) -> None:
    placement = Placement(write(tmp_path / "a.tif"))
    assert placement.to_map([(3, 5)]) == [(3, -5)]
    assert placement.to_pixels([(3, -5)]) == [(3, 5)]


def test_control_points_go_both_ways(tmp_path: Path) -> None:
    corners = [(0, 0), (40, 0), (0, 30), (40, 30)]
    points = [gdal.GCP(100 + 2 * p + 0.1 * q, 50 - 3 * q, 0, p, q) for p, q in corners]
    placement = Placement(write(tmp_path / "a.tif", points=points))
    assert not placement.is_affine
    places = placement.to_map([(10, 20)])
    np.testing.assert_allclose(places, [(122, -10)], atol=1e-6)
    np.testing.assert_allclose(placement.to_pixels(places), [(10, 20)], atol=1e-6)

"""speckless:simulate: speckle of the looks asked for, in the domain asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import read
from osgeo import gdal
from qgis.core import QgsProcessingException
from toolbox import in_toolbox

from speckless.plugin.core.area_statistics import area_statistics

Simulate = Callable[..., dict[str, Any]]


@pytest.fixture
def simulate(plugin: Any) -> Simulate:
    return in_toolbox(plugin, "simulate")


def test_looks_seed_and_georeferencing(
    simulate: Simulate, write_raster: Any, tmp_path: Path
) -> None:
    clean = write_raster(np.full((100, 120), 2.5), "clean.tif")
    paths = [str(tmp_path / f"{number}.tif") for number in range(3)]
    for path, seed in zip(paths, (1, 1, 2)):
        found = simulate(INPUT=clean, LOOKS=4, SEED=seed, OUTPUT=path)
        assert found["DOMAIN_USED"] == "intensity"
    first, same, other = (read(path) for path in paths)
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    statistics = area_statistics(first).original
    assert statistics.mean == pytest.approx(2.5, rel=0.03)
    assert statistics.enl_low < 4 < statistics.enl_high
    dataset, source = gdal.Open(paths[0]), gdal.Open(clean)
    assert dataset.GetGeoTransform() == source.GetGeoTransform()
    assert dataset.GetProjection() == source.GetProjection()
    dataset = source = None


def test_domains(simulate: Simulate, write_raster: Any, tmp_path: Path) -> None:
    clean = write_raster(np.full((60, 80), 4.0), "clean.tif")
    intensity = str(tmp_path / "i.tif")
    simulate(INPUT=clean, LOOKS=2, DOMAIN="amplitude", RESULT_DOMAIN="intensity", OUTPUT=intensity)
    assert read(intensity).mean() == pytest.approx(16, rel=0.05)
    for domain in ("amplitude", "db"):
        path = str(tmp_path / f"{domain}.tif")
        simulate(INPUT=clean, LOOKS=2, DOMAIN="amplitude", RESULT_DOMAIN=domain, OUTPUT=path)
        values = read(path).astype(float)
        back = values**2 if domain == "amplitude" else 10 ** (values / 10)
        assert back == pytest.approx(read(intensity), rel=1e-4)


def test_correlated(simulate: Simulate, write_raster: Any, tmp_path: Path) -> None:
    clean = write_raster(np.ones((150, 150)), "clean.tif")
    path = str(tmp_path / "c.tif")
    simulate(INPUT=clean, LOOKS=1, CORRELATION_X=0.6, CORRELATION_Y=0.3, OUTPUT=path)
    found = area_statistics(read(path)).original
    assert found.correlation_x == pytest.approx(0.6, abs=0.08)
    assert found.correlation_y == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"LOOKS": 0}, "LOOKS must be a positive number"),
        ({"LOOKS": 2.5, "CORRELATION_X": 0.4}, "whole looks"),
        ({"CORRELATION_Y": 0.99}, "between 0 and 0.9"),
        ({"SEED": -3}, "seed"),
        ({"RESULT_DOMAIN": "complex"}, "RESULT_DOMAIN must be one of"),
        ({"INPUT": "/no/such.tif"}, "There is no file"),
        ({"BANDS": [4]}, "has no band 4"),
        ({"OUTPUT": "/no/such/folder/o.tif"}, "There is no folder"),
    ],
    ids=str,
)
def test_refused(
    simulate: Simulate, write_raster: Any, tmp_path: Path, parameters: Any, message: str
) -> None:
    clean = write_raster(np.ones((20, 20)), "clean.tif")
    wanted = {"INPUT": clean, "LOOKS": 1, "OUTPUT": str(tmp_path / "o.tif"), **parameters}
    with pytest.raises((ValueError, QgsProcessingException)) as refused:
        simulate(**wanted)
    assert message in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["clean.tif"]


def test_help_explains_every_parameter(plugin: Any) -> None:
    algorithm = plugin.provider.algorithm("simulate").create()
    assert all(definition.help() for definition in algorithm.parameterDefinitions())

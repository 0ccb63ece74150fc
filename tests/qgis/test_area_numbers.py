"""Numbers of drawn areas: those of speckless:roistatistics on the same polygons, and of theory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from speckless.plugin.gui import area_layer
from speckless.plugin.gui.areas import Areas
from speckless.plugin.jobs.areas import PixelCache, measure_drawn
from speckless.plugin.jobs.statistics import AreaRecord, figures

LOOKS = 4.0
TRANSFORMS = {
    "upright": (ORIGIN[0], PIXEL, 0.0, ORIGIN[1], 0.0, -PIXEL),
    "rotated": (ORIGIN[0], 8.0, 6.0, ORIGIN[1], 6.0, -8.0),
}


@pytest.fixture
def raster(write_raster: Callable[..., str]) -> Callable[..., QgsRasterLayer]:
    def make(domain: str = "intensity", place: str = "upright") -> QgsRasterLayer:
        """Four-look speckle, a stripe of nodata in it, in some domain."""
        z = 7 * np.random.default_rng(2).gamma(LOOKS, 1 / LOOKS, (220, 260))
        values = {"intensity": z, "amplitude": np.sqrt(z), "db": 10 * np.log10(z)}[domain]
        values[100:110] = np.nan
        path = write_raster(values, f"{domain}_{place}.tif", TRANSFORMS[place])
        return QgsRasterLayer(path, "scene")

    return make


def polygons(place: str) -> list[QgsGeometry]:
    """Inside, over nodata, partly outside, self-crossing, with a hole; in UTM zone 31N."""
    rings = [
        [[(20, 20), (90, 30), (80, 90), (15, 70)]],
        [[(100, 60), (200, 60), (200, 160), (100, 160)]],
        [[(200, 180), (320, 170), (300, 260), (190, 240)]],
        [[(20, 120), (80, 190), (80, 120), (20, 190)]],
        [[(120, 120), (180, 120), (180, 200), (120, 200)], [(140, 140), (160, 140), (160, 170)]],
    ]
    transform = list(TRANSFORMS[place])

    def on_map(corners: list[tuple[float, float]]) -> list[QgsPointXY]:
        places = [QgsPointXY(*gdal.ApplyGeoTransform(transform, *corner)) for corner in corners]
        return [*places, places[0]]

    return [QgsGeometry.fromPolygonXY([on_map(ring) for ring in each]) for each in rings]


def by_algorithm(
    plugin: Any, layer: QgsVectorLayer, raster: QgsRasterLayer, domain: str
) -> list[dict[str, Any]]:
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    algorithm = plugin.provider.algorithm("roistatistics").create()
    parameters = {
        "INPUT": layer, "RASTER": raster, "DOMAIN": domain, "OUTPUT": "memory:",
    }  # fmt: skip
    from despeckle_scenes import Recorder

    results, succeeded = algorithm.run(parameters, context, Recorder())
    assert succeeded
    written = context.takeResultLayer(results["OUTPUT"])
    names = [name for name, _ in figures(False)]
    return [{name: feature[name] for name in names} for feature in written.getFeatures()]


def in_dock(
    layer: QgsVectorLayer, raster: QgsRasterLayer, domain: str, cache: PixelCache | None = None
) -> list[AreaRecord]:
    subject = (raster.source(), 1, domain, raster)
    requests = [
        Areas._request(feature.geometry(), layer.crs(), subject) for feature in layer.getFeatures()
    ]
    return [measure_drawn(each, None, None, lambda: False, cache) for each in requests]


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3035"])
@pytest.mark.parametrize(
    ("domain", "place"),
    [("intensity", "upright"), ("amplitude", "rotated"), ("db", "upright")],
)
def test_numbers_are_those_of_the_algorithm(
    plugin: Any, raster: Callable[..., QgsRasterLayer], crs: str, domain: str, place: str
) -> None:
    scene = raster(domain, place)
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "areas", "memory")
    utm = QgsCoordinateReferenceSystem("EPSG:32631")
    for geometry in polygons(place):
        feature = QgsFeature()
        feature.setGeometry(area_layer.transformed(geometry, utm, layer.crs()))
        layer.dataProvider().addFeatures([feature])
    expected = by_algorithm(plugin, layer, scene, domain)
    cache = PixelCache()
    for records in (in_dock(layer, scene, domain), in_dock(layer, scene, domain, cache)):
        assert len(records) == len(expected) == 5
        for record, row in zip(records, expected):
            found = dict(zip((name for name, _ in figures(False)), record.values(False)))
            assert found["n"] > 1000
            for name, value in row.items():
                if isinstance(value, float):
                    assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-12), name
                else:
                    assert found[name] == value, name
            # And what theory says of four looks, whatever the domain.
            assert found["mean"] == pytest.approx(7, rel=0.06)
            assert found["enl_low"] * 0.9 < LOOKS < found["enl_high"] * 1.1
            assert abs(found["corr_x"]) < 0.1
    assert expected[1]["n"] == 9000 == expected[1]["n_area"] - 1000 or crs != "EPSG:32631"


def test_huge_raster_is_sampled_and_not_read_whole(plugin: Any, tmp_path: Path) -> None:
    """100 000 x 80 000 pixels, 32 GB if they were there."""
    path = tmp_path / "huge.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path),
        100_000,
        80_000,
        1,
        gdal.GDT_Float32,
        ["TILED=YES", "SPARSE_OK=YES", "BIGTIFF=YES"],
    )
    dataset.SetGeoTransform(TRANSFORMS["upright"])
    z = np.random.default_rng(3).gamma(LOOKS, 1 / LOOKS, (512, 512)).astype(np.float32)
    dataset.GetRasterBand(1).WriteArray(z, 90_000, 70_000)
    dataset = None
    scene = QgsRasterLayer(str(path), "huge")
    left, top = gdal.ApplyGeoTransform(list(TRANSFORMS["upright"]), 90_000, 70_000)
    layer = QgsVectorLayer("Polygon", "areas", "memory")
    layer.setCrs(scene.crs())
    for side in (512, 9_000):
        feature = QgsFeature()
        feature.setGeometry(
            QgsGeometry.fromWkt(
                f"POLYGON(({left} {top}, {left + 10 * side} {top}, {left + 10 * side} "
                f"{top - 10 * side}, {left} {top - 10 * side}, {left} {top}))"
            )
        )
        layer.dataProvider().addFeatures([feature])
    small, large = in_dock(layer, scene, "intensity", PixelCache())
    assert small.statistics.original.n_pixels == 512 * 512
    assert small.statistics.original.enl == pytest.approx(
        z.astype(float).mean() ** 2 / z.astype(float).var(ddof=1), rel=1e-6
    )
    assert large.statistics.is_sampled
    assert large.n_area == 9_000**2
    expected = by_algorithm(plugin, layer, scene, "intensity")
    assert large.statistics.original.n_pixels == expected[1]["n"]
    assert large.statistics.original.mean == pytest.approx(expected[1]["mean"], rel=1e-6)

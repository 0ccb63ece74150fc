"""speckless:roistatistics: polygons of any CRS in, figures out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL, Recorder
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from test_qgis_process import process
from toolbox import in_toolbox

from speckless.plugin.core import quality

TRANSFORM = (ORIGIN[0], PIXEL, 0.0, ORIGIN[1], 0.0, -PIXEL)
ROTATED = (ORIGIN[0], 8.0, 6.0, ORIGIN[1], 6.0, -8.0)

Layer = Callable[..., QgsVectorLayer]


def ring(*pixels: tuple[float, float], transform: tuple[float, ...] = TRANSFORM) -> QgsGeometry:
    places = [QgsPointXY(*gdal.ApplyGeoTransform(list(transform), *pixel)) for pixel in pixels]
    return QgsGeometry.fromPolygonXY([[*places, places[0]]])


def box(
    left: float, top: float, right: float, bottom: float, transform: tuple[float, ...] = TRANSFORM
) -> QgsGeometry:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return ring(*corners, transform=transform)


@pytest.fixture
def polygons(plugin: Any) -> Layer:
    def make(*geometries: QgsGeometry, crs: str = "EPSG:32631") -> QgsVectorLayer:
        """Memory layer of geometries given in UTM zone 31N, with a name each."""
        layer = QgsVectorLayer(
            f"Polygon?crs={crs}&field=name:string&field=enl:double", "areas", "memory"
        )
        change = QgsCoordinateTransform(
            QgsCoordinateReferenceSystem("EPSG:32631"), layer.crs(), QgsProject.instance()
        )
        for number, geometry in enumerate(geometries):
            feature = QgsFeature(layer.fields())
            moved = QgsGeometry(geometry)
            moved.transform(change)
            feature.setGeometry(moved)
            feature.setAttributes([f"area {number}", None])
            layer.dataProvider().addFeature(feature)
        return layer

    return make


@pytest.fixture
def measure(plugin: Any) -> Callable[..., tuple[dict[str, Any], list[dict[str, Any]]]]:
    toolbox = in_toolbox(plugin, "roistatistics", OUTPUT="TEMPORARY_OUTPUT")

    def run(feedback: Recorder | None = None, **parameters: Any) -> Any:
        """Results, and the attributes of the polygons."""
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        results = toolbox(feedback, context, **parameters)
        layer = context.takeResultLayer(results["OUTPUT"])
        layer = layer or QgsVectorLayer(results["OUTPUT"], "result")
        names = [field.name() for field in layer.fields()]
        rows = [dict(zip(names, feature.attributes())) for feature in layer.getFeatures()]
        return results, rows

    return run


def test_figures_of_each_polygon(
    measure: Any, polygons: Layer, scene: str, intensity: np.ndarray
) -> None:
    layer = polygons(box(5, 5, 45, 40), box(60, 10, 95, 30))
    results, rows = measure(INPUT=layer, RASTER=scene)
    first, second = rows
    part, other = intensity[5:40, 5:45], intensity[10:30, 60:]
    assert first["name"] == "area 0"
    assert first["n_area"] == first["n_valid"] == first["n"] == 1400
    # The layer had an attribute enl of its own.
    assert first["enl_2"] == pytest.approx(quality.enl(part), rel=1e-6)
    assert first["cx"] == pytest.approx(quality.coefficient_of_variation(part), rel=1e-6)
    assert first["mean"] == pytest.approx(part.mean(), rel=1e-6)
    assert first["enl_low"] < 4 < first["enl_high"]
    assert first["gamma_l"] == pytest.approx(4, rel=0.15)
    assert (first["too_small"], first["note"]) == (0, "")
    assert second["n"] == 400
    assert results["COUNT"] == 2
    assert results["PIXELS"] == 1800
    assert results["MEAN_ENL"] == pytest.approx(
        (quality.enl(part) + quality.enl(other)) / 2, rel=1e-6
    )
    assert results["MEAN_ENL_GAIN"] is None
    assert results["DOMAIN_USED"] == "intensity"
    assert "mor" not in first


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32632"])
def test_polygons_of_another_crs_hold_the_same_pixels(
    measure: Any, polygons: Layer, scene: str, crs: str
) -> None:
    shape = ring((3.3, 40.1), (30.2, 2.4), (71.8, 25.7), (40.4, 57.6))
    [same] = measure(INPUT=polygons(shape), RASTER=scene)[1]
    layer = polygons(shape, crs=crs)
    _, [other] = measure(INPUT=layer, RASTER=scene)
    assert other["n"] == pytest.approx(same["n"], abs=2)  # an edge bends by a tenth of a pixel
    assert other["enl_2"] == pytest.approx(same["enl_2"], rel=0.01)
    assert layer.crs().authid() == crs


def test_polygons_stay_where_they_are(
    measure: Any, polygons: Layer, scene: str, tmp_path: Path
) -> None:
    layer = polygons(box(5, 5, 45, 40), crs="EPSG:4326")
    output = str(tmp_path / "areas.gpkg")
    _, rows = measure(INPUT=layer, RASTER=scene, OUTPUT=output)
    assert rows[0]["n"] == 1400
    written = QgsVectorLayer(output, "written")
    assert written.crs().authid() == "EPSG:4326"
    [feature], [source] = list(written.getFeatures()), list(layer.getFeatures())
    assert feature.geometry().isGeosEqual(source.geometry())


def test_rotated_raster(
    measure: Any, polygons: Layer, write_raster: Any, intensity: np.ndarray
) -> None:
    raster = write_raster(intensity, transform=ROTATED)
    layer = polygons(box(10, 20, 50, 55, ROTATED), crs="EPSG:4326")
    [row] = measure(INPUT=layer, RASTER=raster)[1]
    assert row["n"] == 40 * 35
    assert row["mean"] == pytest.approx(intensity[20:55, 10:50].mean(), rel=1e-6)


def test_nodata_outside_one_pixel_empty_and_crossing(
    measure: Any, polygons: Layer, write_raster: Any, intensity: np.ndarray
) -> None:
    intensity[:30] = -9999
    raster = write_raster(intensity)
    dataset = gdal.Open(raster, gdal.GA_Update)
    dataset.GetRasterBand(1).SetNoDataValue(-9999)
    dataset = None
    layer = polygons(
        box(0, 0, 20, 20), box(0, 20, 40, 40), box(500, 0, 520, 20), box(7, 50, 8, 51),
        QgsGeometry(), ring((10, 35), (50, 55), (50, 35), (10, 55)),
    )  # fmt: skip
    results, rows = measure(INPUT=layer, RASTER=raster)
    nodata, half, outside, one, empty, crossing = rows
    assert (nodata["n_area"], nodata["n"]) == (400, 0)
    assert "no valid pixel" in nodata["note"]
    assert (half["n_area"], half["n"]) == (800, 400)
    assert half["mean"] == pytest.approx(intensity[30:40, :40].mean(), rel=1e-6)
    assert "outside" in outside["note"]
    assert one["n"] == 1 and "single pixel" in one["note"]
    assert one["mean"] == pytest.approx(intensity[50, 7], rel=1e-6)
    assert "no polygon" in empty["note"]
    assert crossing["n"] == pytest.approx(400, abs=20)
    assert all(row["too_small"] for row in (nodata, outside, one, empty))
    assert results["COUNT"] == 3


def test_no_overlap_at_all_is_warned_of(measure: Any, polygons: Layer, scene: str) -> None:
    feedback = Recorder()
    results, rows = measure(feedback, INPUT=polygons(box(500, 0, 520, 20)), RASTER=scene)
    assert results["COUNT"] == 0
    assert results["MEAN_ENL"] is None
    assert len(rows) == 1
    assert any("same place" in warning for warning in feedback.warnings)


def test_despeckled_beside_the_original(
    measure: Any, polygons: Layer, scene: str, write_raster: Any, intensity: np.ndarray
) -> None:
    smooth = np.random.default_rng(2).gamma(80.0, 1 / 80, intensity.shape).astype(np.float32)
    after = write_raster(smooth, "after.tif")
    results, [row] = measure(INPUT=polygons(box(0, 0, 80, 60)), RASTER=scene, DESPECKLED=after)
    gain = quality.enl(smooth) / quality.enl(intensity)
    assert row["d_enl"] == pytest.approx(quality.enl(smooth), rel=1e-6)
    assert row["enl_gain"] == pytest.approx(gain, rel=1e-6)
    assert row["mor"] == pytest.approx(quality.mean_of_ratio(intensity, smooth), rel=1e-6)
    assert row["vor"] == pytest.approx(quality.variance_of_ratio(intensity, smooth), rel=1e-6)
    assert results["MEAN_ENL_GAIN"] == pytest.approx(gain, rel=1e-6)
    assert results["MEAN_RATIO"] == pytest.approx(row["mor"])
    with pytest.raises(QgsProcessingException, match="do not coincide"):
        measure(
            INPUT=polygons(box(0, 0, 80, 60)), RASTER=scene,
            DESPECKLED=write_raster(smooth, "moved.tif", (ORIGIN[0] + 4, *TRANSFORM[1:])),
        )  # fmt: skip


def test_bands_and_domains(
    measure: Any, polygons: Layer, write_raster: Any, intensity: np.ndarray
) -> None:
    raster = write_raster(np.stack([intensity * 0 + 1, np.sqrt(intensity)]))
    results, [row] = measure(
        INPUT=polygons(box(0, 0, 80, 60)), RASTER=raster, BAND=2, DOMAIN="amplitude"
    )
    assert row["enl_2"] == pytest.approx(quality.enl(intensity), rel=1e-5)
    assert results["DOMAIN_USED"] == "amplitude"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"DOMAIN": "phase"}, "DOMAIN must be one of"),
        ({"RASTER": "nowhere.tif"}, "nowhere.tif"),
        ({"DESPECKLED": "nowhere.tif"}, "nowhere.tif"),
        ({"TABLE": "t.xls"}, "csv or .html"),
    ],
)
def test_refusals(
    measure: Any, polygons: Layer, scene: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure(INPUT=polygons(box(0, 0, 9, 9)), **{"RASTER": scene, **parameters})


def test_table(measure: Any, polygons: Layer, scene: str, tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    layer = polygons(box(0, 0, 40, 40), box(500, 0, 520, 20))
    results, rows = measure(INPUT=layer, RASTER=scene, TABLE=str(path))
    assert results["TABLE"] == str(path)
    with path.open(newline="", encoding="utf-8") as file:
        names, first, second = csv.reader(file)
    assert names == list(rows[0])
    written = dict(zip(names, first))
    assert float(written["enl_2"]) == rows[0]["enl_2"]
    assert written["enl"] == ""
    assert dict(zip(names, second))["note"] == rows[1]["note"]


def test_cancelled_run_leaves_nothing(
    measure: Any, polygons: Layer, scene: str, tmp_path: Path
) -> None:
    feedback = Recorder()
    feedback.cancel()
    output, table = tmp_path / "areas.gpkg", tmp_path / "areas.csv"
    with pytest.raises(QgsProcessingException, match="cancelled"):
        measure(
            feedback, INPUT=polygons(box(0, 0, 40, 40)), RASTER=scene,
            OUTPUT=str(output), TABLE=str(table),
        )  # fmt: skip
    assert not output.exists()
    assert not table.exists()


def test_help_explains_every_parameter(plugin: Any) -> None:
    algorithm = plugin.provider.algorithm("roistatistics").create()
    for definition in algorithm.parameterDefinitions():
        assert definition.help()
    assert "gamma_l" in algorithm.shortHelpString()
    assert [output.name() for output in algorithm.outputDefinitions()] == [
        "OUTPUT", "TABLE", "COUNT", "PIXELS", "MEAN_ENL", "MEDIAN_ENL", "MEAN_CX",
        "MEAN_CORRELATION_X", "MEAN_CORRELATION_Y", "MEAN_ENL_DESPECKLED", "MEAN_ENL_GAIN",
        "MEAN_RATIO", "VARIANCE_RATIO", "DOMAIN_USED",
    ]  # fmt: skip


def test_qgis_process(polygons: Layer, scene: str, intensity: np.ndarray, tmp_path: Path) -> None:
    areas, output, table = (str(tmp_path / name) for name in ("in.gpkg", "out.gpkg", "t.html"))
    options = QgsVectorFileWriter.SaveVectorOptions()
    layer = polygons(box(5, 5, 45, 40), crs="EPSG:4326")
    QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, areas, QgsProject.instance().transformContext(), options
    )
    done = process(
        "--json", "run", "speckless:roistatistics", f"--INPUT={areas}", f"--RASTER={scene}",
        f"--DESPECKLED={scene}", f"--OUTPUT={output}", f"--TABLE={table}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["COUNT"] == 1
    assert results["MEAN_ENL"] == pytest.approx(quality.enl(intensity[5:40, 5:45]), rel=1e-6)
    assert results["MEAN_RATIO"] == 1
    [feature] = QgsVectorLayer(output, "o").getFeatures()
    assert feature["n"] == 1400
    assert feature["enl_gain"] == pytest.approx(1)
    assert "area 0" in Path(table).read_text("utf-8")

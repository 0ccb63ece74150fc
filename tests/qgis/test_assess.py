"""speckless:assess: figures of any despeckled raster, a report, and clear words for bad inputs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL, Recorder, read
from osgeo import gdal, osr
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsRectangle,
    QgsVectorLayer,
)
from test_qgis_process import process
from toolbox import in_toolbox

from speckless.plugin.core import quality
from speckless.plugin.jobs.assessment import NAMES

Assess = Callable[..., dict[str, Any]]
SHIFTED = (ORIGIN[0] + 4, PIXEL, 0.0, ORIGIN[1], 0.0, -PIXEL)
FAR = (ORIGIN[0] + 1e5, PIXEL, 0.0, ORIGIN[1], 0.0, -PIXEL)
PART = (ORIGIN[0] + 20 * PIXEL, PIXEL, 0.0, ORIGIN[1] - 10 * PIXEL, 0.0, -PIXEL)


@pytest.fixture
def assess(plugin: Any) -> Assess:
    return in_toolbox(plugin, "assess")


@pytest.fixture
def clean() -> np.ndarray:
    """Four fields of 64 x 64 pixels, of 1 and 8, with a point target."""
    image = np.kron(np.array([[1.0, 8.0], [8.0, 1.0]]), np.ones((64, 64)))
    image[30, 20] = 500.0
    return image


@pytest.fixture
def images(clean: np.ndarray, write_raster: Any) -> dict[str, str]:
    """Clean raster, the same with 4-look speckle, and something between."""
    rng = np.random.default_rng(4)
    noisy = clean * rng.gamma(4.0, 0.25, clean.shape)
    noisy[30, 20] = 500.0
    smooth = clean * rng.gamma(80.0, 1 / 80, clean.shape)
    smooth[30, 20] = 250.0
    return {
        "clean": write_raster(clean, "clean.tif"),
        "noisy": write_raster(noisy, "noisy.tif"),
        "smooth": write_raster(smooth, "smooth.tif"),
    }


def test_figures_with_a_reference(assess: Assess, images: dict[str, str], tmp_path: Path) -> None:
    report, table, ratio = (str(tmp_path / name) for name in ("r.html", "t.csv", "ratio.tif"))
    found = assess(
        INPUT=images["noisy"], DESPECKLED=images["smooth"], REFERENCE=images["clean"],
        LOOKS=4, REPORT=report, TABLE=table, RATIO=ratio,
    )  # fmt: skip
    noisy, smooth, truth = (read(images[name]) for name in ("noisy", "smooth", "clean"))
    assert found["PIXELS"] == noisy.size
    assert found["MEAN_RATIO"] == pytest.approx(quality.mean_of_ratio(noisy, smooth), rel=1e-6)
    assert found["VARIANCE_RATIO_LOOKS"] == pytest.approx(
        4 * quality.variance_of_ratio(noisy, smooth), rel=1e-5
    )
    assert found["PSNR"] == pytest.approx(quality.psnr(truth, smooth, 500.0), rel=1e-6)
    assert found["SSIM"] == pytest.approx(quality.ssim(truth, smooth), rel=1e-6)
    assert found["DG"] == pytest.approx(found["PSNR"] - found["PSNR_INPUT"])
    assert found["AREAS"] == 5
    assert found["ENL_INPUT"] == pytest.approx(4, rel=0.3)
    assert found["ENL_DESPECKLED"] == pytest.approx(80, rel=0.3)
    assert found["TARGETS"] == 1
    assert found["PEAK_CHANGE_DB"] == pytest.approx(-3.0103, abs=1e-3)
    assert found["EDGE_CONTRAST"] == pytest.approx(1, abs=0.06)
    assert found["STRUCTURE_LAG"] == 1
    assert found["RISK"] is None and "RISK: There are no maps" in found["REASONS"]
    assert (found["LOOKS_USED"], found["DOMAIN_USED"]) == (4, "intensity")
    assert read(ratio) == pytest.approx(noisy / smooth, rel=1e-5)
    text = Path(report).read_text("utf-8")
    assert "<svg" in text and "data:image/png" in text and "Contrast kept at edges" in text
    assert not re.search(r"http|\b(nan|inf)\b", re.sub('base64,[^"]*', "", text))
    with open(table, newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(NAMES)
    assert float(rows["PSNR"]["value"]) == found["PSNR"]
    assert rows["RISK"]["value"] == "" and rows["RISK"]["why_none"]


def test_without_a_reference_every_figure_is_finite_or_says_why(
    assess: Assess, images: dict[str, str]
) -> None:
    found = assess(INPUT=images["noisy"], DESPECKLED=images["smooth"])
    missing = {line.split(":")[0] for line in found["REASONS"].splitlines()}
    assert missing == {name for name in NAMES if found[name] is None}
    assert {"PSNR", "SSIM", "DG", "EPI"} <= missing
    assert all(np.isfinite(found[name]) for name in NAMES if name not in missing)
    assert found["LOOKS_USED"] == pytest.approx(4, rel=0.2)


def test_polygons_of_the_user(assess: Assess, images: dict[str, str], plugin: Any) -> None:
    layer = QgsVectorLayer("Polygon?crs=EPSG:32631", "areas", "memory")
    feature = QgsFeature()
    left, top = ORIGIN
    box = QgsRectangle(left + 10, top - 600, left + 190, top - 320)
    feature.setGeometry(QgsGeometry.fromRect(box))
    layer.dataProvider().addFeature(feature)
    found = assess(
        INPUT=images["noisy"], DESPECKLED=images["smooth"], HOMOGENEOUS_AREAS=layer, LOOKS=4
    )
    noisy, smooth = (read(images[name])[32:60, 1:19] for name in ("noisy", "smooth"))
    assert found["AREAS"] == 1
    assert found["ENL_INPUT"] == pytest.approx(quality.enl(noisy), rel=1e-5)
    assert found["ENL_DESPECKLED"] == pytest.approx(quality.enl(smooth), rel=1e-5)


def test_part_in_another_domain(
    assess: Assess, images: dict[str, str], write_raster: Any, tmp_path: Path
) -> None:
    smooth = read(images["smooth"])[10:90, 20:120]
    part = write_raster(10 * np.log10(smooth), "part_db.tif", PART)
    report = str(tmp_path / "part.html")
    found = assess(INPUT=images["noisy"], DESPECKLED=part, LOOKS=4, REPORT=report)
    noisy = read(images["noisy"])[10:90, 20:120]
    assert found["PIXELS"] == 8000
    assert found["MEAN_RATIO"] == pytest.approx(quality.mean_of_ratio(noisy, smooth), rel=1e-4)
    assert "covers 49% of the input" in Path(report).read_text("utf-8")


def test_risk_of_affine_maps(assess: Assess, images: dict[str, str], write_raster: Any) -> None:
    shape = read(images["noisy"]).shape
    slope = write_raster(np.full(shape, 0.1), "slope.tif")
    bias = write_raster(0.9 * read(images["clean"]), "bias.tif")
    estimate = 0.1 * read(images["noisy"]) + 0.9 * read(images["clean"])
    after = write_raster(estimate, "affine.tif")
    found = assess(
        INPUT=images["noisy"], DESPECKLED=after, LOOKS=4, SLOPE=slope, BIAS=bias,
        REFERENCE=images["clean"],
    )  # fmt: skip
    error = float(np.mean((estimate - read(images["clean"])) ** 2))
    # The target, which has no speckle, makes the estimate too high.
    assert abs(found["RISK"] - error) < 4 * found["RISK_ERROR"]
    assert found["RISK_ERROR"] > 0
    with pytest.raises(ValueError, match="belong together"):
        assess(INPUT=images["noisy"], DESPECKLED=after, SLOPE=slope)


def test_tiny_and_constant_rasters_say_why(assess: Assess, write_raster: Any) -> None:
    rng = np.random.default_rng(0)
    noisy = write_raster(rng.gamma(4.0, 0.25, (6, 7)), "tiny.tif")
    after = write_raster(np.ones((6, 7)), "tiny_after.tif")
    found = assess(INPUT=noisy, DESPECKLED=after, LOOKS=4, REPORT="TEMPORARY_OUTPUT")
    assert found["PIXELS"] == 42
    assert found["ENL_INPUT"] is None and found["HOMOGENEITY_EXCESS"] is None
    assert "ENL_INPUT: There is no homogeneous area." in found["REASONS"]
    assert Path(found["REPORT"]).read_text("utf-8").count("n/a")
    zeros = write_raster(np.zeros((40, 40)), "zeros.tif")
    scene = write_raster(rng.gamma(4.0, 0.25, (40, 40)), "scene40.tif")
    black = assess(INPUT=scene, DESPECKLED=zeros, LOOKS=4)
    assert black["MEAN_RATIO"] is None and "above zero" in black["REASONS"]


def test_a_layer_that_is_not_there_is_not_passed_over(plugin: Any, images: Any) -> None:
    algorithm = plugin.provider.algorithm("assess").create()
    feedback = Recorder()
    parameters = {
        "INPUT": images["noisy"], "DESPECKLED": images["smooth"],
        "HOMOGENEOUS_AREAS": "/no/such.gpkg",
    }  # fmt: skip
    # A script may run an algorithm without having its parameters checked.
    results, succeeded = algorithm.run(parameters, QgsProcessingContext(), feedback, {}, True)
    assert not succeeded and not results
    assert "'/no/such.gpkg' cannot be read" in " ".join(feedback.errors)


def other_crs(path: str) -> str:
    dataset = gdal.Open(path, gdal.GA_Update)
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    dataset.SetProjection(crs.ExportToWkt())
    dataset = None
    return path


def test_bad_inputs_are_refused(
    assess: Assess, images: dict[str, str], write_raster: Any, tmp_path: Path
) -> None:
    smooth = read(images["smooth"])
    empty = write_raster(np.full(smooth.shape, np.nan), "empty.tif")
    cases = [
        ({"DESPECKLED": write_raster(smooth, "moved.tif", SHIFTED)}, "do not coincide"),
        ({"DESPECKLED": write_raster(smooth, "far.tif", FAR)}, "no pixel in common"),
        ({"REFERENCE": write_raster(smooth, "far2.tif", FAR)}, "no pixel in common"),
        ({"DESPECKLED": other_crs(write_raster(smooth, "zone.tif"))}, "EPSG:32632"),
        ({"DESPECKLED": empty}, "No pixel is valid in both"),
        ({"INPUT": empty}, "no valid pixel"),
        ({"REFERENCE": empty}, "reference holds no valid pixel"),
        ({"REFERENCE": write_raster(np.ones(smooth.shape), "one.tif")}, "constant"),
        ({"LOOKS": -1}, "LOOKS must be a positive number"),
        ({"PEAK": 0}, "PEAK must be a positive number"),
        ({"DOMAIN": "linear"}, "DOMAIN must be one of"),
        ({"BAND": 3}, "has no band 3"),
        ({"HOMOGENEOUS_AREAS": "/no/such.gpkg"}, "Could not load source layer"),
        ({"DESPECKLED": None}, "No raster is given"),
        ({"TABLE": str(tmp_path / "t.xlsx")}, "A table is a .csv or .html file"),
        ({"REPORT": str(tmp_path / "r.pdf")}, "A report is an .html file"),
        ({"REPORT": "/no/such/r.html"}, "there is no folder"),
        ({"RATIO": images["noisy"]}, "is the input itself"),
    ]
    for number, (changed, message) in enumerate(cases):
        ratio = tmp_path / f"ratio{number}.tif"
        wanted = {
            "INPUT": images["noisy"], "DESPECKLED": images["smooth"], "LOOKS": 4,
            "RATIO": str(ratio), **changed,
        }  # fmt: skip
        with pytest.raises((ValueError, QgsProcessingException)) as refused:
            assess(**wanted)
        assert message in str(refused.value), changed
        assert not ratio.exists()


def test_help_explains_every_parameter_and_figure(plugin: Any) -> None:
    algorithm = plugin.provider.algorithm("assess").create()
    assert all(definition.help() for definition in algorithm.parameterDefinitions())
    text = algorithm.shortHelpString()
    assert all(name in text for name in NAMES)


def test_through_qgis_process(images: dict[str, str], tmp_path: Path) -> None:
    done = process(
        "--json", "run", "speckless:assess", f"--INPUT={images['noisy']}",
        f"--DESPECKLED={images['smooth']}", "--LOOKS=4", f"--REPORT={tmp_path / 'r.html'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["MEAN_RATIO"] == pytest.approx(1, abs=0.05)
    assert results["PSNR"] is None
    assert (tmp_path / "r.html").is_file()

"""speckless:despeckle on rasters small enough to know the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL, Recorder, mean_3x3, read
from osgeo import gdal
from qgis.core import (
    QgsContrastEnhancement,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
)

Run = Callable[..., dict[str, Any]]


def test_result_is_what_the_model_computes(
    run: Run, scene: str, intensity: np.ndarray, tmp_path: Path
) -> None:
    feedback = Recorder()
    output, ratio = str(tmp_path / "out.tif"), str(tmp_path / "ratio.tif")
    results = run(feedback, INPUT=scene, OUTPUT=output, RATIO=ratio)
    expected = mean_3x3(intensity)
    np.testing.assert_allclose(read(output), expected, rtol=1e-5)
    np.testing.assert_allclose(read(ratio), intensity / expected, rtol=1e-5)
    assert results["OUTPUT"] == output
    assert results["RATIO"] == ratio
    assert results["LOOKS_USED"] == 4
    assert results["MEAN_RATIO"] == pytest.approx(np.mean(intensity / expected), rel=1e-4)
    assert results["VARIANCE_RATIO"] == pytest.approx(np.var(intensity / expected), rel=1e-3)
    assert results["DOMAIN_USED"] == "intensity"
    assert results["MODEL_USED"] == "boxcar-3"
    assert results["DEVICE_USED"]
    assert any("intensity" in line for line in feedback.infos)


def test_every_pixel_has_its_looks(
    run: Run, scene: str, intensity: np.ndarray, tmp_path: Path
) -> None:
    looks = str(tmp_path / "looks.tif")
    copy = gdal.GetDriverByName("GTiff").CreateCopy(looks, gdal.Open(scene))
    values = np.full(intensity.shape, 1.0, np.float32)
    values[:, intensity.shape[1] // 2 :] = 8.0
    copy.GetRasterBand(1).WriteArray(values)
    copy = None
    common = {"INPUT": scene, "MODEL": "ffdnet-sar", "MODEL_FILE": None, "LOOKS": 1}
    results = {}
    for name, more in (("one", {}), ("eight", {"KNOB": 8}), ("both", {"LOOKS_MAP": looks})):
        results[name] = str(tmp_path / f"{name}.tif")
        run(OUTPUT=results[name], **common, **more)
    one, eight, both = (read(results[name]) for name in ("one", "eight", "both"))
    # Away from the border between them the halves are those of 1 and of 8 looks.
    np.testing.assert_allclose(both[:, 0], one[:, 0], rtol=0.02)
    np.testing.assert_allclose(both[:, -1], eight[:, -1], rtol=0.02)
    assert np.abs(both / one - 1).max() > 0.05


def test_georeferencing_is_kept(run: Run, scene: str, tmp_path: Path) -> None:
    output = str(tmp_path / "out.tif")
    run(INPUT=scene, OUTPUT=output)
    before, after = gdal.Open(scene), gdal.Open(output)
    assert after.GetGeoTransform() == before.GetGeoTransform()
    assert after.GetSpatialRef().IsSame(before.GetSpatialRef())


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326"])
def test_part_equals_the_whole(run: Run, scene: str, tmp_path: Path, crs: str) -> None:
    whole, part = str(tmp_path / "whole.tif"), str(tmp_path / "part.tif")
    run(INPUT=scene, OUTPUT=whole)
    # Columns 10 to 30, rows 20 to 45, not on the pixels' edges.
    west, north = ORIGIN[0] + 10.4 * PIXEL, ORIGIN[1] - 20.4 * PIXEL
    east, south = ORIGIN[0] + 29.6 * PIXEL, ORIGIN[1] - 44.6 * PIXEL
    if crs == "EPSG:4326":
        from qgis.core import QgsCoordinateReferenceSystem as Crs
        from qgis.core import QgsCoordinateTransform, QgsRectangle

        utm = QgsRectangle(west, south, east, north)
        change = QgsCoordinateTransform(Crs("EPSG:32631"), Crs(crs), QgsProject.instance())
        box = change.transformBoundingBox(utm)
        west, east, south, north = (
            box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum(),
        )  # fmt: skip
    run(INPUT=scene, OUTPUT=part, EXTENT=f"{west},{east},{south},{north} [{crs}]")
    dataset = gdal.Open(part)
    left, _, _, top, _, _ = dataset.GetGeoTransform()
    column, row = round((left - ORIGIN[0]) / PIXEL), round((ORIGIN[1] - top) / PIXEL)
    width, height = dataset.RasterXSize, dataset.RasterYSize
    if crs == "EPSG:32631":
        assert (column, row, width, height) == (10, 20, 20, 25)
    else:
        assert column <= 10 < 30 <= column + width <= 33
        assert row <= 20 < 45 <= row + height <= 48
    expected = read(whole)[row : row + height, column : column + width]
    np.testing.assert_allclose(read(part), expected, rtol=1e-6)


def test_decibels_stay_decibels(
    run: Run, write_raster: Callable[..., str], intensity: np.ndarray, tmp_path: Path
) -> None:
    source = write_raster(10 * np.log10(intensity * 0.05))
    output = str(tmp_path / "out.tif")
    results = run(INPUT=source, OUTPUT=output)
    assert results["DOMAIN_USED"] == "db"
    expected = 10 * np.log10(mean_3x3(intensity) * 0.05)
    np.testing.assert_allclose(read(output), expected, atol=1e-4)


def test_chosen_bands_only(
    run: Run, write_raster: Callable[..., str], intensity: np.ndarray, tmp_path: Path
) -> None:
    source = write_raster(np.stack([intensity, 2 * intensity, 3 * intensity]))
    output = str(tmp_path / "out.tif")
    run(INPUT=source, OUTPUT=output, BANDS=[3, 1])
    assert gdal.Open(output).RasterCount == 2
    np.testing.assert_allclose(read(output, 1), 3 * mean_3x3(intensity), rtol=1e-5)
    np.testing.assert_allclose(read(output, 2), mean_3x3(intensity), rtol=1e-5)


@pytest.fixture
def affine(tmp_path: Path) -> str:
    """Weights of a small DoPAMINE whose estimates are positive whatever the weights."""
    from speckless.plugin.core.models.registry import create
    from speckless.plugin.core.models.weights import save_model

    arguments = {"layers": 2, "channels": 4, "blocks": 1, "inputs": "log", "head": "moments"}
    model = create("dopamine", arguments)
    card = model.describe(id="tiny", title="", architecture="dopamine", arguments=arguments)
    weights = str(tmp_path / "tiny.safetensors")
    save_model(weights, model, card)
    return weights


def test_knob_is_chosen_and_reported(
    run: Run, write_raster: Callable[..., str], affine: str, tmp_path: Path
) -> None:
    source = write_raster(np.random.default_rng(3).gamma(4.0, 0.25, (96, 96)))
    auto, given = str(tmp_path / "auto.tif"), str(tmp_path / "given.tif")
    chosen = run(INPUT=source, MODEL_FILE=affine, KNOB_AUTO=True, OUTPUT=auto)
    assert 4 / 16 <= chosen["KNOB_USED"] <= 4 * 16
    assert chosen["CORRELATION"] == pytest.approx(0, abs=0.1)
    told = run(INPUT=source, MODEL_FILE=affine, KNOB=chosen["KNOB_USED"], OUTPUT=given)
    assert told["KNOB_USED"] == chosen["KNOB_USED"]
    np.testing.assert_array_equal(read(auto), read(given))
    with pytest.raises(ValueError, match="not both"):
        run(INPUT=source, MODEL_FILE=affine, KNOB_AUTO=True, KNOB=1, OUTPUT=auto)


def test_maps_of_an_affine_model_make_up_its_estimate(
    run: Run, scene: str, intensity: np.ndarray, affine: str, tmp_path: Path
) -> None:
    paths = {name: str(tmp_path / f"{name}.tif") for name in ("OUTPUT", "SLOPE", "BIAS")}
    results = run(INPUT=scene, MODEL_FILE=affine, KNOB=2, PRECISION="fp32", **paths)
    assert {name: results[name] for name in paths} == paths
    estimate = read(paths["SLOPE"]) * intensity + read(paths["BIAS"])
    positive = estimate > 1e-3
    assert positive.mean() > 0.5
    np.testing.assert_allclose(read(paths["OUTPUT"])[positive], estimate[positive], rtol=1e-4)


def test_creation_options_are_passed_on(run: Run, scene: str, tmp_path: Path) -> None:
    output = str(tmp_path / "out.tif")
    run(INPUT=scene, OUTPUT=output, CREATION_OPTIONS="COMPRESS=LZW|TILED=NO")
    assert gdal.Open(output).GetMetadata("IMAGE_STRUCTURE")["COMPRESSION"] == "LZW"


def test_looks_are_estimated_and_told(
    run: Run, write_raster: Callable[..., str], tmp_path: Path
) -> None:
    source = write_raster(np.random.default_rng(2).gamma(4.0, 0.25, (256, 256)))
    results = run(INPUT=source, OUTPUT=str(tmp_path / "out.tif"), LOOKS=None)
    assert results["LOOKS_USED"] == pytest.approx(4.0, rel=0.25)


def test_a_warning_is_told_once_and_as_such(run: Run, scene: str, tmp_path: Path) -> None:
    feedback = Recorder()
    run(feedback, INPUT=scene, OUTPUT=str(tmp_path / "out.tif"), LOOKS=40)
    told = [text for text in feedback.warnings if "trained for 1 to 1 looks" in text]
    assert len(told) == 1
    assert not set(feedback.infos) & set(feedback.warnings)


def test_subdatasets_and_archives_are_read(
    run: Run, scene: str, intensity: np.ndarray, tmp_path: Path
) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "scene.zip", "w") as archive:
        archive.write(scene, "scene.tif")
    gdal.Translate(str(tmp_path / "scene.nc"), scene, format="netCDF")
    for number, source in enumerate(
        (f"/vsizip/{tmp_path}/scene.zip/scene.tif", f'NETCDF:"{tmp_path}/scene.nc":Band1')
    ):
        output = str(tmp_path / f"out{number}.tif")
        run(INPUT=source, OUTPUT=output)
        np.testing.assert_allclose(read(output), mean_3x3(intensity), rtol=1e-5)


def test_a_batch_reuses_the_algorithm(
    algorithm: Any, boxcar: str, write_raster: Callable[..., str], tmp_path: Path
) -> None:
    context = QgsProcessingContext()
    for level in (1.0, 50.0):
        source = write_raster(np.full((20, 30), level), f"level{level}.tif")
        parameters = {
            "INPUT": source,
            "MODEL_FILE": boxcar,
            "LOOKS": 1,
            "OUTPUT": str(tmp_path / f"out{level}.tif"),
        }
        assert algorithm.checkParameterValues(parameters, context)[0]
        assert algorithm.run(parameters, context, QgsProcessingFeedback())[1]
    np.testing.assert_allclose(read(str(tmp_path / "out1.0.tif")), 1.0, rtol=1e-6)
    np.testing.assert_allclose(read(str(tmp_path / "out50.0.tif")), 50.0, rtol=1e-6)


def test_runs_in_the_background(
    algorithm: Any, boxcar: str, scene: str, intensity: np.ndarray, tmp_path: Path, qtbot: Any
) -> None:
    from qgis.core import QgsApplication

    output = str(tmp_path / "out.tif")
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    parameters = {"INPUT": scene, "MODEL_FILE": boxcar, "LOOKS": 4, "OUTPUT": output}
    task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
    with qtbot.waitSignal(task.executed, timeout=30000) as signal:
        QgsApplication.taskManager().addTask(task)
    assert signal.args[0], feedback.textLog()
    np.testing.assert_allclose(read(output), mean_3x3(intensity), rtol=1e-5)


def test_cancel_leaves_no_file(run: Run, write_raster: Callable[..., str], tmp_path: Path) -> None:
    source = write_raster(np.ones((200, 200)))
    feedback = Recorder()
    feedback.progressChanged.connect(lambda done: feedback.cancel() if done > 0 else None)
    with pytest.raises(QgsProcessingException, match="cancelled"):
        run(feedback, INPUT=source, OUTPUT=str(tmp_path / "out.tif"), TILE_SIZE=16)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.tif"]


def test_result_takes_the_style_of_the_input(
    algorithm: Any, boxcar: str, write_raster: Callable[..., str], intensity: np.ndarray,
    tmp_path: Path,
) -> None:  # fmt: skip
    project = QgsProject.instance()
    layer = QgsRasterLayer(write_raster(np.stack([intensity, 2 * intensity])), "before")
    contrast = QgsContrastEnhancement(layer.dataProvider().dataType(2))
    contrast.setMinimumValue(0.125)
    contrast.setMaximumValue(1.75)
    renderer = QgsSingleBandGrayRenderer(layer.dataProvider(), 2)
    renderer.setContrastEnhancement(contrast)
    layer.setRenderer(renderer)
    project.addMapLayer(layer)
    try:
        context = QgsProcessingContext()
        context.setProject(project)
        output = str(tmp_path / "out.tif")
        parameters = {
            "INPUT": layer.id(),
            "BANDS": [2],
            "MODEL_FILE": boxcar,
            "LOOKS": 4,
            "OUTPUT": QgsProcessingOutputLayerDefinition(output, project),
        }
        assert algorithm.checkParameterValues(parameters, context)[0]
        assert algorithm.run(parameters, context, QgsProcessingFeedback())[1]
        styler = context.layerToLoadOnCompletionDetails(output).postProcessor()
        result = QgsRasterLayer(output, "after")
        styler.postProcessLayer(result, context, QgsProcessingFeedback())
        shown = result.renderer()
        assert shown.usesBands() == [1]
        assert shown.contrastEnhancement().minimumValue() == 0.125
        assert shown.contrastEnhancement().maximumValue() == 1.75
    finally:
        project.removeMapLayer(layer.id())


def test_shipped_model_runs(
    plugin: Any, boxcar: str, scene: str, intensity: np.ndarray, tmp_path: Path
) -> None:
    model = plugin.provider.algorithm("despeckle_and_ratio")
    smooth, decibels = str(tmp_path / "smooth.tif"), str(tmp_path / "decibels.tif")
    parameters = {
        "INPUT": scene,
        "MODEL": "ffdnet-sar",
        "MODEL_FILE": boxcar,
        "LOOKS": 4,
        "despeckle:Despeckled": smooth,
        "decibels:Ratio in decibels": decibels,
    }
    feedback = QgsProcessingFeedback()
    context = QgsProcessingContext()
    assert model.checkParameterValues(parameters, context)[0]
    _, succeeded = model.run(parameters, context, feedback)
    assert succeeded, feedback.textLog()
    expected = mean_3x3(intensity)
    np.testing.assert_allclose(read(smooth), expected, rtol=1e-5)
    np.testing.assert_allclose(read(decibels), 10 * np.log10(intensity / expected), atol=1e-3)

"""Parts of the dock that need QGIS but no window: styles, places, choices, the task."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsContrastEnhancement,
    QgsCoordinateReferenceSystem,
    QgsRasterLayer,
    QgsRectangle,
    QgsSingleBandGrayRenderer,
)

from speckless.plugin.core.display import colour
from speckless.plugin.core.tiling import Window
from speckless.plugin.gui.choices import Choices
from speckless.plugin.gui.places import mesh, step_for, visible_window
from speckless.plugin.gui.styles import diverging, layer_table, rising
from speckless.plugin.jobs.despeckling import DespeckleJob, DespeckleResult
from speckless.plugin.raster.placing import Placement
from speckless.plugin.tasks.despeckling import DespeckleTask


def gray_layer(path: str, low: float, high: float, band: int = 1) -> QgsRasterLayer:
    layer = QgsRasterLayer(path, "scene")
    renderer = QgsSingleBandGrayRenderer(layer.dataProvider(), band)
    stretch = QgsContrastEnhancement(layer.dataProvider().dataType(band))
    stretch.setMinimumValue(low)
    stretch.setMaximumValue(high)
    stretch.setContrastEnhancementAlgorithm(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    )
    renderer.setContrastEnhancement(stretch)
    layer.setRenderer(renderer)
    return layer


def drawn(layer: QgsRasterLayer) -> np.ndarray:
    """Grays in which QGIS draws a layer."""
    last = layer.pipe().at(layer.pipe().size() - 1)
    block = last.block(1, layer.extent(), layer.width(), layer.height())
    image = block.image().convertToFormat(block.image().Format.Format_ARGB32)
    pointer = image.constBits()
    pointer.setsize(image.byteCount())
    colours = np.frombuffer(bytes(pointer), np.uint32).reshape(layer.height(), layer.width())
    return (colours & 255).astype(int)


@pytest.mark.parametrize("domain", ["intensity", "amplitude", "db"])
def test_preview_has_the_colours_of_the_layer(
    write_raster: Callable[..., str], intensity: np.ndarray, domain: str
) -> None:
    values = {"intensity": intensity, "amplitude": intensity**0.5, "db": 10 * np.log10(intensity)}
    low, high = np.quantile(values[domain], (0.02, 0.98))
    layer = gray_layer(write_raster(values[domain]), float(low), float(high))
    layer.brightnessFilter().setBrightness(20)
    layer.brightnessFilter().setGamma(1.3)
    table = layer_table(layer, 1, domain)
    assert table is not None
    assert np.abs((colour(intensity, table) & 255).astype(int) - drawn(layer)).max() <= 3


def test_layers_of_other_bands_have_no_table(
    write_raster: Callable[..., str], intensity: np.ndarray
) -> None:
    layer = gray_layer(write_raster(np.stack([intensity, 2 * intensity])), 0, 1, band=2)
    assert layer_table(layer, 1, "intensity") is None
    assert layer_table(layer, 2, "intensity") is not None
    assert layer_table(layer, 2, "complex") is None


def test_ramps_have_their_ends() -> None:
    assert [f"{c:08x}" for c in diverging()[[0, -1]]] == ["ff2166ac", "ffb2182b"]
    assert [f"{c:08x}" for c in rising()[[0, -1]]] == ["ff440154", "fffde725"]


@pytest.fixture
def canvas(qgis_canvas: Any, qtbot: Any) -> Any:
    qgis_canvas.resize(400, 300)
    qtbot.wait(50)
    return qgis_canvas


def test_window_in_view_is_found(canvas: Any, scene: str) -> None:
    layer = QgsRasterLayer(scene, "scene")
    canvas.setDestinationCrs(layer.crs())
    x, y = ORIGIN
    canvas.setExtent(QgsRectangle(x + 20 * PIXEL, y - 40 * PIXEL, x + 40 * PIXEL, y - 30 * PIXEL))
    shown = canvas.extent()  # the canvas may be wider or higher than what was asked for
    left, right = ((edge - x) / PIXEL for edge in (shown.xMinimum(), shown.xMaximum()))
    top, bottom = ((y - edge) / PIXEL for edge in (shown.yMaximum(), shown.yMinimum()))
    assert left > 0 < top
    assert right < 80
    assert bottom < 60
    window = visible_window(canvas, layer, Placement(scene))
    assert window is not None
    assert (window.x, window.y) == (int(left), int(top))
    assert (window.right, window.bottom) == (int(np.ceil(right)), int(np.ceil(bottom)))
    canvas.setExtent(QgsRectangle(x - 900, y + 100, x - 800, y + 200))
    assert visible_window(canvas, layer, Placement(scene)) is None


def test_rotated_raster_is_seen_whole(canvas: Any, write_raster: Any) -> None:
    # Columns point north, rows east: QGIS shows 80 pixels across and 60 up.
    path = write_raster(np.ones((80, 60)), transform=(1000.0, 0.0, 10.0, 5000.0, 10.0, 0.0))
    layer = QgsRasterLayer(path, "rotated")
    assert (layer.width(), layer.height()) == (80, 60)
    canvas.setDestinationCrs(layer.crs())
    canvas.setExtent(layer.extent())
    assert visible_window(canvas, layer, Placement(path)) == Window(0, 0, 60, 80)


def test_other_crs_bends_the_picture(canvas: Any, scene: str) -> None:
    layer = QgsRasterLayer(scene, "scene")
    placement = Placement(scene)
    canvas.setDestinationCrs(layer.crs())
    assert len(mesh(canvas, layer, placement, Window(0, 0, 80, 60), 1)) == 1
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    cells = mesh(canvas, layer, placement, Window(0, 0, 80, 60), 1)
    assert len(cells) == 64
    assert sum(part.width() * part.height() for part, _ in cells) == pytest.approx(80 * 60)
    corner = cells[0][1][0]
    assert 0 < corner.x() < 6  # degrees, in UTM zone 31
    canvas.setExtent(canvas.mapSettings().layerExtentToOutputExtent(layer, layer.extent()))
    assert visible_window(canvas, layer, placement) == Window(0, 0, 80, 60)


def test_many_pixels_are_thinned() -> None:
    assert step_for(Window(0, 0, 1400, 1400)) == 1
    assert step_for(Window(0, 0, 4000, 4000)) == 3
    assert step_for(Window(0, 0, 40000, 40000)) is None


CHOICES = Choices("id", "/data/a scene.tif", 2, 3, "db", 3.5, 0.5, "ffdnet-sar")


def test_command_says_the_same_as_the_job() -> None:
    job = CHOICES.despeckle_job("out.tif", all_bands=False)
    assert (job.bands, job.looks, job.knob, job.domain) == ([2], 3.5, 1.75, "db")
    command = shlex.split(CHOICES.command("out.tif", all_bands=False))
    assert command[:3] == ["qgis_process", "run", "speckless:despeckle"]
    assert set(command[3:]) == {
        "--INPUT=/data/a scene.tif", "--BANDS=2", "--MODEL=ffdnet-sar", "--DOMAIN=db",
        "--LOOKS=3.5", "--KNOB=1.75", "--OUTPUT=out.tif",
    }  # fmt: skip
    request = CHOICES.preview_request(Window(0, 0, 5, 5), 1)
    assert (request.band, request.looks, request.knob) == (2, 3.5, 1.75)


def test_algorithm_takes_the_parameters(plugin: Any, scene: str, tmp_path: Path) -> None:
    choices = Choices("", scene, 1, 1, "auto", 4.0, 1.0, "ffdnet-sar")
    parameters = choices.parameters(str(tmp_path / "out.tif"), True, by_path=True)
    assert "KNOB" not in parameters
    algorithm = plugin.provider.algorithm("despeckle").create()
    from qgis.core import QgsProcessingContext

    assert algorithm.checkParameterValues(parameters, QgsProcessingContext()) == (True, "")


def run_task(job: DespeckleJob, qtbot: Any, layers: Any = ()) -> tuple[Any, str]:
    told: list[tuple[DespeckleResult | None, str]] = []
    task = DespeckleTask(job, "test", lambda *outcome: told.append(outcome), list(layers))
    QgsApplication.taskManager().addTask(task)
    qtbot.waitUntil(lambda: bool(told), timeout=120_000)
    return told[0]


def test_task_runs_the_job(
    plugin: Any, scene: str, boxcar: str, tmp_path: Path, qtbot: Any
) -> None:
    output = str(tmp_path / "out.tif")
    result, problem = run_task(DespeckleJob(scene, output, model_file=boxcar, looks=4.0), qtbot)
    assert problem == ""
    assert result.looks_used == 4
    assert gdal.Open(output).RasterXSize == 80


def test_task_tells_what_went_wrong(plugin: Any, scene: str, tmp_path: Path, qtbot: Any) -> None:
    job = DespeckleJob(scene, str(tmp_path / "out.tif"), model="no-such-model")
    result, problem = run_task(job, qtbot)
    assert result is None
    assert "no model 'no-such-model'" in problem

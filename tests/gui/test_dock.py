"""The dock in a real QGIS window, driven by the mouse: what it shows, and how fast."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import save_network
from osgeo import gdal
from scenarios import OUTPUT, SAMPLE, SLOW, SMALL, play, write_speckle


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small affine network, and one that keeps the engine busy."""
    folder = tmp_path_factory.mktemp("models")
    save_network(folder / "dock-affine.safetensors", SMALL, scale="mean")
    save_network(folder / "dock-slow.safetensors", SLOW, scale="mean")
    return folder


@pytest.fixture(scope="module")
def seen(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scenario saw."""
    large = write_speckle(tmp_path_factory.mktemp("large") / "large.tif", 1000, 4)
    return play("dock", {"SAMPLE": SAMPLE, "LARGE": large, "MODELS": models})


def test_nothing_was_raised(seen: dict[str, Any]) -> None:
    assert seen["exceptions"] == []


def test_dock_shows_what_it_found(seen: dict[str, Any]) -> None:
    assert seen["is hidden at first"]
    assert seen["is visible"]
    assert "Decibels" in seen["found"]
    assert 2 < seen["looks"] < 20
    assert "Runs on" in seen["device"]
    assert seen["preview"]


def test_numbers_follow_the_mouse(seen: dict[str, Any]) -> None:
    live, area = seen["live"], seen["area"]
    for column in (0, 1):
        assert float(live["enl"][column]) > 0
    # The sketch's last corner was where the mouse was; the area has it for good.
    assert area == live


def test_numbers_are_those_of_the_pixels(seen: dict[str, Any]) -> None:
    from osgeo import ogr

    dataset = gdal.Open(str(SAMPLE))
    target = gdal.GetDriverByName("MEM").Create("", dataset.RasterXSize, dataset.RasterYSize, 1)
    target.SetGeoTransform(dataset.GetGeoTransform())
    store = ogr.GetDriverByName("Memory").CreateDataSource("")
    layer = store.CreateLayer("", geom_type=ogr.wkbPolygon)
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetGeometry(ogr.CreateGeometryFromWkt(seen["polygon"][0]))
    layer.CreateFeature(feature)
    gdal.RasterizeLayer(target, [1], layer, burn_values=[1])
    inside = target.ReadAsArray().astype(bool)
    z = 10 ** (dataset.ReadAsArray()[inside].astype(float) / 10)
    assert int(seen["area"]["n"][0].replace("\u202f", "")) == len(z)
    assert float(seen["area"]["mean"][0]) == pytest.approx(z.mean(), rel=1e-3)
    looks = z.mean() ** 2 / z.var(ddof=1)
    assert float(seen["area"]["enl"][0]) == pytest.approx(looks, rel=5e-3)


def test_areas_are_in_a_layer(seen: dict[str, Any]) -> None:
    # Five points: a closed ring of four corners, none of those taken back or given up.
    assert seen["polygon"][0].count(",") == 4
    assert len(seen["polygon"]) == 2
    assert seen["area layer"] == [True, "EPSG:32631", ["name", "colour", "locked"]]
    assert seen["after delete"]
    assert seen["tool is put away"]


def test_knob_repaints_at_once(seen: dict[str, Any]) -> None:
    assert seen["large preview"] == [1000, 1000, 1]
    looks, value, _ = seen["knob"]
    assert value == pytest.approx(looks * 2 ** (-3 / 16), abs=0.006)
    # What was computed for it, by all threads together; on a busy machine it takes longer.
    assert statistics.median(seen["knob processor milliseconds"]) < 60
    if seen["load"] < 0.7:
        assert statistics.median(seen["knob milliseconds"]) < 60


@pytest.mark.parametrize("phase", ["preview", "drawing", "knob", "run"])
def test_main_thread_is_never_kept(seen: dict[str, Any], phase: str) -> None:
    worst = seen["main thread"][phase]
    assert worst["busy"] < 100
    if seen["load"] < 0.7:
        assert worst["wall"] < 100


def test_line_is_dragged(seen: dict[str, Any]) -> None:
    before, after = seen["split"]
    assert before == pytest.approx(0.5, abs=0.02)
    assert after == pytest.approx(0.3, abs=0.01)


def test_run_adds_a_layer_above_its_input(seen: dict[str, Any]) -> None:
    assert seen["run"]
    assert seen["tree"].index("sample despeckled") == seen["tree"].index("sample") - 1
    assert "Ratio: mean" in seen["outcome"]
    assert "--KNOB=" in seen["command"]
    assert "--MODEL=dock-affine" in seen["command"]


def test_preview_has_the_pixels_of_the_run(seen: dict[str, Any]) -> None:
    x, y, width, height = seen["preview window"]
    preview = np.fromfile(OUTPUT / "dock_preview.bin", np.float32).reshape(height, width)
    result = gdal.Open(str(OUTPUT / "dock_run.tif")).ReadAsArray(x, y, width, height)
    np.testing.assert_allclose(10 * np.log10(preview), result, atol=2e-4)
    assert seen["preview knob"] == pytest.approx(seen["looks"] / 2, abs=0.006)


def test_runs_stop_and_leave_nothing(seen: dict[str, Any]) -> None:
    assert seen["was running"]
    assert seen["stopped"]
    assert "Cancelled" in seen["stop outcome"]
    assert seen["removed"]
    assert seen["left"] == []


def test_reloading_leaves_nothing(seen: dict[str, Any]) -> None:
    # Less is fine: a message of QGIS's own may have timed out meanwhile.
    grown = {
        name: (before, seen["after reloads"][name])
        for name, before in seen["before reloads"].items()
        if seen["after reloads"][name] > before
    }
    assert grown == {}


def test_unloading_in_the_middle_of_work_is_clean(seen: dict[str, Any]) -> None:
    assert seen["left after unload"] == []
    assert seen["tasks after unload"] == 0
    assert seen["threads after unload"] == []
    assert seen["unload seconds"] < 10


@pytest.mark.parametrize("name", ["dock_drawing", "dock_run", "dock_view_ratio", "dock_view_a"])
def test_window_was_drawn(seen: dict[str, Any], name: str) -> None:
    picture = gdal.Open(str(OUTPUT / f"{name}.png")).ReadAsArray()
    assert picture.shape[1:] == (1000, 1600)
    assert len(np.unique(picture[0])) > 50

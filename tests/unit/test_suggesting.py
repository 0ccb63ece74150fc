"""Suggested areas: the most homogeneous windows of the part in view, read block by block."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.homogeneous_windows import homogeneous_windows
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs import suggesting
from speckless.plugin.jobs.suggesting import suggest_areas

gdal = pytest.importorskip("osgeo.gdal")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Texture with three smooth fields; one of them across an edge of the blocks."""
    rng = np.random.default_rng(1)
    z = (rng.gamma(1, 1, (300, 400)) * rng.gamma(1, 1, (300, 400))).astype(np.float32)
    for x, y, looks in ((104, 40, 40), (300, 200, 20), (20, 240, 10)):
        z[y : y + 32, x : x + 32] = rng.gamma(looks, 5 / looks, (32, 32))
    return z


@pytest.fixture(scope="module")
def path(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = str(tmp_path_factory.mktemp("suggesting") / "scene.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(name, 400, 300, 1, gdal.GDT_Float32)
    dataset.SetGeoTransform((1000.0, 8.0, 6.0, 9000.0, 6.0, -8.0))
    dataset.GetRasterBand(1).WriteArray(pixels)
    dataset = None
    return name


def suggest(path: str, window: Window, size: int = 32, count: int = 3) -> suggesting.Suggestions:
    return suggest_areas(path, 1, "intensity", window, size, count, lambda: False)


@pytest.mark.parametrize("block", [1024, 128])
def test_smooth_fields_are_found(path: str, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(suggesting, "_BLOCK", block)
    found = suggest(path, Window(0, 0, 400, 300))
    assert found.share == 1
    first = [(each.window.x, each.window.y) for each in found.windows]
    assert first == [(104, 40), (300, 200), (20, 240)]
    assert [each.cx for each in found.windows] == sorted(each.cx for each in found.windows)
    # Outlines lie on the map as the raster does, which is rotated.
    assert found.outlines[0][0] == pytest.approx((1000 + 8 * 104 + 6 * 40, 9000 + 6 * 104 - 8 * 40))
    assert found.outlines[0][0] == found.outlines[0][-1]
    assert len(found.outlines[0]) == 5


def test_only_the_part_in_view_counts(path: str, pixels: np.ndarray) -> None:
    window = Window(200, 100, 150, 150)
    found = suggest(path, window, count=1).windows[0]
    alone = homogeneous_windows(pixels[100:250, 200:350], size=32, count=1)[0]
    assert found.window == alone.window.shifted(200, 100)
    assert found.cx == pytest.approx(alone.cx)


def test_huge_parts_are_looked_through_by_sample(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggesting, "_BLOCK", 64)
    monkeypatch.setattr(suggesting, "_MOST_BLOCKS", 4)
    found = suggest(path, Window(0, 0, 400, 300), size=16)
    assert 0 < found.share < 0.2
    assert len(found.windows) == 3


def test_too_small_a_part_is_said(path: str) -> None:
    with pytest.raises(InvalidInput, match="zoom out"):
        suggest(path, Window(0, 0, 20, 300))


def test_search_stops(path: str) -> None:
    with pytest.raises(Cancelled):
        suggest_areas(path, 1, "intensity", Window(0, 0, 400, 300), 32, 3, lambda: True)

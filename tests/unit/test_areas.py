"""Numbers of an area: those of its pixels, whether they come from the file or a preview."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speckless.plugin.core.errors import Cancelled
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs import areas
from speckless.plugin.jobs.areas import AreaRequest, PixelCache, measure_drawn
from speckless.plugin.jobs.preview_image import Preview
from speckless.plugin.jobs.scene_cache import SceneCache

gdal = pytest.importorskip("osgeo.gdal")
ogr = pytest.importorskip("osgeo.ogr")

LOOKS = 4.0


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    z = np.random.default_rng(3).gamma(LOOKS, 5 / LOOKS, (120, 200)).astype(np.float32)
    z[100:] = -9999
    return z


@pytest.fixture(scope="module")
def path(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = str(tmp_path_factory.mktemp("areas") / "scene.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(name, 200, 120, 1, gdal.GDT_Float32)
    dataset.SetGeoTransform((1000.0, 10.0, 0.0, 9000.0, 0.0, -10.0))
    dataset.GetRasterBand(1).SetNoDataValue(-9999)
    dataset.GetRasterBand(1).WriteArray(pixels)
    dataset = None
    return name


def box(left: float, top: float, right: float, bottom: float) -> bytes:
    """Rectangle from columns and rows, as well-known binary on the map."""
    ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    text = ", ".join(f"{1000 + 10 * x} {9000 - 10 * y}" for x, y in ring)
    return bytes(ogr.CreateGeometryFromWkt(f"POLYGON (({text}))").ExportToWkb())


def measure(path: str, polygon: bytes, preview: Any = None, estimate: Any = None) -> Any:
    request = AreaRequest(path, 1, polygon)
    return measure_drawn(request, preview, estimate, lambda: False).statistics


@pytest.fixture
def preview(path: str, pixels: np.ndarray) -> Preview:
    """A preview of columns 0 to 99 whose estimate is twice the input."""
    scene = SceneCache().get(path, 1, "auto", lambda: False)
    made = Preview(Window(0, 0, 100, 120), 1, scene, ModelCard("m", "M", "boxcar"), 4.0, 4.0)
    z = np.where(pixels < 0, np.nan, pixels)[:, :100]
    made.put(made.window, {"z": z, "x": 2 * z})
    return made


def test_numbers_are_those_of_the_pixels(path: str, pixels: np.ndarray) -> None:
    measured = measure(path, box(20, 10, 90, 60))
    inside = pixels[10:60, 20:90].astype(float)
    numbers = measured.original
    assert numbers.n_pixels == inside.size
    assert numbers.mean == pytest.approx(inside.mean(), rel=1e-6)
    assert numbers.std == pytest.approx(inside.std(ddof=1), rel=1e-6)
    assert numbers.enl == pytest.approx((inside.mean() / inside.std(ddof=1)) ** 2, rel=1e-6)
    assert numbers.enl_low < LOOKS < numbers.enl_high
    assert measured.despeckled is None


def test_nodata_and_what_is_outside_do_not_count(path: str) -> None:
    assert measure(path, box(150, 90, 260, 115)).original.n_pixels == 50 * 10
    assert measure(path, box(10, 105, 50, 115)).original.n_pixels == 0
    assert measure(path, box(300, 300, 310, 310)) is None
    assert measure(path, box(10.1, 10.1, 10.2, 10.2)) is None


def test_preview_gives_the_despeckled_side(path: str, preview: Preview) -> None:
    alone = measure(path, box(20, 10, 90, 60))
    measured = measure(path, box(20, 10, 90, 60), preview, preview.estimate)
    assert measured.original.mean == alone.original.mean
    assert measured.original.enl == alone.original.enl
    assert measured.despeckled.mean == pytest.approx(2 * alone.original.mean, rel=1e-6)
    assert measured.enl_gain == pytest.approx(1, rel=1e-5)
    assert measured.mean_ratio == pytest.approx(0.5)


def test_preview_of_a_part_gives_the_numbers_of_that_part(path: str, preview: Preview) -> None:
    measured = measure(path, box(60, 10, 140, 60), preview, preview.estimate)
    assert measured.original.n_pixels == 80 * 50
    assert measured.despeckled.n_pixels == 40 * 50
    beside = measure(path, box(110, 10, 140, 60), preview, preview.estimate)
    assert beside.original.n_pixels == 30 * 50
    assert beside.despeckled is None


def test_thinned_preview_is_not_taken_for_pixels(path: str, preview: Preview) -> None:
    preview.step = 2
    measured = measure(path, box(20, 10, 90, 60), preview, preview.estimate)
    assert measured.original.n_pixels == 70 * 50
    assert measured.despeckled is None


def test_tiles_that_are_missing_do_not_count(path: str, preview: Preview) -> None:
    preview.estimate[:, :50] = np.nan
    measured = measure(path, box(20, 10, 90, 60), preview, preview.estimate)
    assert measured.despeckled.n_pixels == 40 * 50
    assert measure(path, box(20, 10, 45, 60), preview, preview.estimate).despeckled is None


def test_why_there_are_no_numbers_is_said(path: str) -> None:
    outside = measure_drawn(AreaRequest(path, 1, box(300, 300, 310, 310)), None, None, bool)
    assert "outside the raster" in outside.problem


def test_preview_that_lacks_tiles_leaves_the_original_to_the_file(path: str) -> None:
    scene = SceneCache().get(path, 1, "auto", lambda: False)
    made = Preview(Window(0, 0, 100, 120), 1, scene, ModelCard("m", "M", "boxcar"), 4.0, 4.0)
    half = np.ones((120, 50), np.float32)
    made.put(Window(0, 0, 50, 120), {"z": half, "x": half})
    assert not made.is_whole
    measured = measure(path, box(20, 10, 90, 60), made, made.estimate)
    assert measured.original.n_pixels == 70 * 50
    assert measured.despeckled.n_pixels == 30 * 50


def test_measuring_stops_when_superseded(path: str) -> None:
    with pytest.raises(Cancelled):
        measure_drawn(AreaRequest(path, 1, box(0, 0, 50, 50)), None, None, lambda: True)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_file_is_released(path: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tif"
    copy.write_bytes(Path(path).read_bytes())
    measure(str(copy), box(0, 0, 20, 20))
    descriptors = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    assert str(copy) not in map(str, descriptors)


def test_cached_pixels_give_the_same_numbers(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PixelCache()
    reads = []
    opened = areas.RasterSource
    monkeypatch.setattr(areas, "RasterSource", lambda *a: reads.append(a) or opened(*a))

    def measured(polygon: bytes, cache: PixelCache | None) -> Any:
        return measure_drawn(AreaRequest(path, 1, polygon), None, None, lambda: False, cache)

    for shift in (0, 3, -4, 9):
        # The last rows are nodata, the last columns beyond the raster.
        polygon = box(150 + shift, 60, 230 + shift, 110 + shift)
        kept, read = measured(polygon, cache), measured(polygon, None)
        assert kept.values(False) == read.values(False)
        assert kept.statistics.original.n_pixels > 1000
    assert len(reads) == 1 + 4  # once for the cache
    measured(box(5, 5, 30, 30), cache)
    assert len(reads) == 1 + 4 + 1


def test_cache_sees_that_a_file_has_changed(path: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tif"
    copy.write_bytes(Path(path).read_bytes())
    cache = PixelCache()
    request = AreaRequest(str(copy), 1, box(20, 10, 90, 60))
    before = measure_drawn(request, None, None, lambda: False, cache).statistics.original
    dataset = gdal.Open(str(copy), gdal.GA_Update)
    band = dataset.GetRasterBand(1)
    band.WriteArray(2 * band.ReadAsArray(0, 0, 200, 100))
    band = dataset = None
    after = measure_drawn(request, None, None, lambda: False, cache).statistics.original
    assert after.mean == pytest.approx(2 * before.mean, rel=1e-6)

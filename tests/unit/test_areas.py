"""Numbers of an area: those of its pixels, whether they come from the file or a preview."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speckless.plugin.core.errors import Cancelled
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.quality import enl_interval
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs import areas
from speckless.plugin.jobs.areas import AreaRequest, measure_area
from speckless.plugin.jobs.preview_image import Preview
from speckless.plugin.jobs.scenes import SceneCache

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
    return measure_area(AreaRequest(path, 1, polygon), preview, estimate, lambda: False)


@pytest.fixture
def preview(path: str, pixels: np.ndarray) -> Preview:
    """A preview of columns 0 to 99 whose estimate is twice the input."""
    scene = SceneCache().get(path, 1, "auto", lambda: False)
    made = Preview(Window(0, 0, 100, 120), 1, scene, ModelCard("m", "M", "boxcar"), 4.0, 4.0)
    z = np.where(pixels < 0, np.nan, pixels)[:, :100]
    made.put(made.window, {"z": z, "x": 2 * z})
    return made


def test_numbers_are_those_of_the_pixels(path: str, pixels: np.ndarray) -> None:
    report = measure(path, box(20, 10, 90, 60))
    inside = pixels[10:60, 20:90].astype(float)
    numbers = report.original
    assert numbers.n == inside.size
    assert numbers.mean == pytest.approx(inside.mean(), rel=1e-6)
    assert numbers.deviation == pytest.approx(inside.std(ddof=1), rel=1e-6)
    assert numbers.cx == pytest.approx(inside.std(ddof=1) / inside.mean(), rel=1e-6)
    assert numbers.enl == pytest.approx(numbers.cx**-2)
    assert numbers.interval == enl_interval(numbers.enl, inside.size)
    assert numbers.interval[0] < LOOKS < numbers.interval[1]
    assert report.despeckled is None
    assert report.mean_ratio is None


def test_strips_make_no_difference(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(path, box(3, 3, 180, 99))
    monkeypatch.setattr(areas, "_STRIP_PIXELS", 500)
    parts = measure(path, box(3, 3, 180, 99))
    assert parts.original.n == whole.original.n
    assert parts.original.enl == pytest.approx(whole.original.enl, rel=1e-9)


def test_nodata_and_what_is_outside_do_not_count(path: str) -> None:
    assert measure(path, box(150, 90, 260, 115)).original.n == 50 * 10
    assert measure(path, box(10, 105, 50, 115)).original is None
    assert measure(path, box(300, 300, 310, 310)).original is None


def test_preview_gives_the_despeckled_side(path: str, preview: Preview) -> None:
    alone = measure(path, box(20, 10, 90, 60))
    report = measure(path, box(20, 10, 90, 60), preview, preview.estimate)
    assert report.covered
    assert report.original == alone.original
    assert report.despeckled.mean == pytest.approx(2 * alone.original.mean, rel=1e-6)
    assert report.despeckled.enl == pytest.approx(alone.original.enl, rel=1e-5)
    assert report.mean_ratio == pytest.approx(0.5)


def test_preview_of_a_part_says_so(path: str, preview: Preview) -> None:
    report = measure(path, box(60, 10, 140, 60), preview, preview.estimate)
    assert not report.covered
    assert report.original.n == 80 * 50
    assert report.despeckled.n == 40 * 50


def test_thinned_preview_is_not_taken_for_pixels(path: str, preview: Preview) -> None:
    preview.step = 2
    assert measure(path, box(20, 10, 90, 60), preview, preview.estimate).despeckled is None


def test_constant_area_has_infinite_looks(path: str, preview: Preview) -> None:
    flat = np.full_like(preview.estimate, 3.0)
    numbers = measure(path, box(20, 10, 90, 60), preview, flat).despeckled
    assert numbers.enl == float("inf")
    assert numbers.interval == (float("inf"), float("inf"))


def test_measuring_stops_when_superseded(path: str) -> None:
    with pytest.raises(Cancelled):
        measure_area(AreaRequest(path, 1, box(0, 0, 50, 50)), None, None, lambda: True)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_file_is_released(path: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tif"
    copy.write_bytes(Path(path).read_bytes())
    measure(str(copy), box(0, 0, 20, 20))
    descriptors = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    assert str(copy) not in map(str, descriptors)

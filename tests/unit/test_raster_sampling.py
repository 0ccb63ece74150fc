"""Scene statistics: right, repeatable, of the whole band and in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal
from raster_files import make_raster

from speckless.plugin.core.errors import RasterError
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window
from speckless.plugin.raster.blocks import sample_windows
from speckless.plugin.raster.sampling import scene_statistics
from speckless.plugin.raster.source import RasterSource

RNG = np.random.default_rng(11)


def statistics(path, band=1, domain="intensity", **keywords):
    with RasterSource(path, domain=domain) as source:
        return scene_statistics(source, band, **keywords)


def test_small_band_is_measured_exactly(tmp_path):
    values = simulate_speckle((120, 90), 4, RNG)
    values[:, :20] = -1  # nodata
    values[5, 50] = 0
    scene = statistics(make_raster(tmp_path / "a.tif", values, nodata=-1))
    valid = values[values >= 0].astype(float)
    assert scene.mean == pytest.approx(valid.mean(), rel=1e-6)
    assert scene.geometric_mean == pytest.approx(np.exp(np.log(valid[valid > 0]).mean()), rel=1e-6)
    assert scene.valid_fraction == pytest.approx(70 / 90)
    assert scene.looks.looks == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("options", [["TILED=YES"], ["BLOCKYSIZE=1"]])
def test_sample_of_a_large_band_tells_the_same_always(tmp_path, options):
    values = np.tile(simulate_speckle((512, 512), 2, RNG), (3, 4))
    path = make_raster(tmp_path / "a.tif", values, options=options)
    first = statistics(path, max_pixels=400_000)
    assert first == statistics(path, max_pixels=400_000)
    assert first.mean == pytest.approx(values.mean(dtype=float), rel=0.02)
    assert first.looks.looks == pytest.approx(2, rel=0.1)


def test_sample_reads_no_more_than_allowed(tmp_path):
    path = str(tmp_path / "a.tif")
    gdal.GetDriverByName("GTiff").Create(
        path, 20000, 20000, 1, gdal.GDT_Float32, ["SPARSE_OK=YES", "TILED=YES"]
    ).FlushCache()
    with RasterSource(path, domain="intensity") as source:
        seen = []
        read = source.read
        source.read = lambda band, window: seen.append(window) or read(band, window)
        scene = scene_statistics(source, 1, 1_000_000)
    assert scene.mean == 0 and scene.geometric_mean == 0 and scene.looks is None
    assert scene.valid_fraction == 1
    assert 500_000 < sum(window.area for window in seen) <= 1_000_000
    # Spread over the scene, at block corners.
    for corner in (Window(0, 0, 10000, 10000), Window(10000, 10000, 10000, 10000)):
        assert any(corner.contains(window) for window in seen)
    assert all(window.x % 256 == window.y % 256 == 0 for window in seen)


@pytest.mark.parametrize(
    "shape", [(1, 5_000_000), (5_000_000, 1), (3000, 2000), (2001, 2003), (257, 40000), (10, 10)]
)
@pytest.mark.parametrize("block", [(256, 256), (5_000_000, 1), (128, 128), (999, 999)])
def test_windows_are_disjoint_inside_and_few(shape, block):
    width, height = shape
    windows = sample_windows(width, height, (min(block[0], width), block[1]), 1_000_000)
    whole = Window(0, 0, width, height)
    assert windows and all(whole.contains(window) for window in windows)
    assert sum(window.area for window in windows) <= 1_000_000
    for index, window in enumerate(windows):
        assert all(window.intersection(other) is None for other in windows[:index])


def test_small_scene_in_a_vast_frame_is_found(tmp_path):
    path = str(tmp_path / "a.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(
        path, 4000, 4000, 1, gdal.GDT_Float32, ["SPARSE_OK=YES", "TILED=YES"]
    )
    dataset.GetRasterBand(1).SetNoDataValue(0)
    scene = 7 * simulate_speckle((100, 700), 4, RNG)
    dataset.GetRasterBand(1).WriteArray(scene, 2900, 3711)
    dataset = None
    found = statistics(path, max_pixels=300_000)
    assert found.mean == pytest.approx(scene.mean(dtype=float), rel=1e-5)
    assert found.valid_fraction == pytest.approx(70_000 / 16e6)
    assert found.looks.looks == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("size", [30, 3000])
def test_all_nodata_is_an_error(tmp_path, size):
    path = make_raster(tmp_path / "a.tif", np.full((size, size), -99, "f4"), nodata=-99)
    with pytest.raises(RasterError, match="no valid pixel"):
        statistics(path, max_pixels=100_000)


def test_constant_scene_has_no_looks(tmp_path):
    scene = statistics(make_raster(tmp_path / "a.tif", np.full((50, 50), 2, "f4")))
    assert (scene.mean, scene.looks) == (2, None)


def test_domains_give_statistics_of_intensity(tmp_path):
    values = simulate_speckle((100, 100), 4, RNG)
    expected = statistics(make_raster(tmp_path / "a.tif", values))
    for domain, converted in (("amplitude", np.sqrt(values)), ("db", 10 * np.log10(values))):
        scene = statistics(make_raster(tmp_path / "b.tif", converted), domain=domain)
        assert scene.mean == pytest.approx(expected.mean, rel=1e-5)
        assert scene.looks.looks == pytest.approx(expected.looks.looks, rel=1e-3)

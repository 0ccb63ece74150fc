"""Simulated speckle of a scene: its law, its correlation, and the same pixels from any window."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.area_statistics import area_statistics
from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.speckle_field import SpeckleField
from speckless.plugin.core.tiling import Window


@pytest.mark.parametrize("correlation", [(0.0, 0.0), (0.5, 0.2)])
def test_any_window_has_the_pixels_of_the_whole(correlation):
    field = SpeckleField(2, 7, correlation)
    whole = field(1, Window(-10, -20, 150, 140))
    for window in (Window(0, 0, 64, 64), Window(-10, 60, 3, 1), Window(37, 5, 90, 100)):
        part = field(1, window)
        assert part.shape == (window.height, window.width)
        place = window.shifted(10, 20)
        assert np.array_equal(part, whole[place.y : place.bottom, place.x : place.right])


def test_seeds_and_bands_differ():
    window = Window(0, 0, 40, 30)
    first = SpeckleField(1, 0)(1, window)
    assert np.array_equal(first, SpeckleField(1, 0)(1, window))
    assert not np.array_equal(first, SpeckleField(1, 1)(1, window))
    assert not np.array_equal(first, SpeckleField(1, 0)(2, window))
    cells = first.copy(), SpeckleField(1, 0)(1, Window(64, 0, 40, 30))
    assert abs(np.corrcoef(cells[0].ravel(), cells[1].ravel())[0, 1]) < 0.1


@pytest.mark.parametrize("looks", [0.7, 1.0, 4.0])
def test_white_speckle_follows_the_gamma_law(looks):
    found = area_statistics(SpeckleField(looks, 3)(1, Window(0, 0, 256, 256))).original
    assert found.mean == pytest.approx(1, abs=0.02)
    assert found.enl_low < looks < found.enl_high
    assert found.gamma_looks == pytest.approx(looks, rel=0.03)
    assert found.ks_distance < 0.01
    assert max(abs(found.correlation_x), abs(found.correlation_y)) < 0.02


@pytest.mark.parametrize("wanted", [(0.2, 0.2), (0.6, 0.0), (0.3, 0.7)])
def test_correlation_is_the_one_asked_for(wanted):
    found = area_statistics(SpeckleField(2, 5, wanted)(1, Window(0, 0, 384, 384))).original
    assert (found.correlation_x, found.correlation_y) == pytest.approx(wanted, abs=0.03)
    assert found.mean == pytest.approx(1, abs=0.03)
    assert found.enl_low < 2 < found.enl_high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "number of looks"), ((2.5, 0, (0.3, 0.0)), "whole looks"),
        ((200.0, 0, (0.3, 0.0)), "up to 100"), ((1.0, -1), "seed"),
        ((1.0, 0, (0.95, 0.0)), "between 0 and 0.9"), ((1.0, 0, (0.0, -0.1)), "between 0"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        SpeckleField(*arguments)


def test_job_is_the_same_for_any_tiles_and_leaves_nothing_when_cancelled(tmp_path):
    pytest.importorskip("osgeo.gdal")
    from raster_files import make_raster

    from speckless.plugin.jobs.simulating import SimulateJob
    from speckless.plugin.raster.source import RasterSource

    rng = np.random.default_rng(0)
    clean = rng.uniform(1, 5, (2, 90, 130)).astype(np.float32)
    clean[0, :20, :30] = -1
    path = make_raster(tmp_path / "clean.tif", clean, nodata=-1)
    images = []
    for size in (512, 33):
        output = str(tmp_path / f"noisy{size}.tif")
        job = SimulateJob(path, output, 3, correlation=(0.4, 0.4), tile_size=size, threads=2)
        job.run(lambda part, text: None, lambda: False)
        with RasterSource(output) as source:
            assert source.domain == "intensity"
            images.append([source.read(band, Window(0, 0, 130, 90)) for band in (1, 2)])
    for (one, valid), (other, _), truth in zip(*images, clean):
        assert np.array_equal(one, other)
        assert np.array_equal(valid, truth != -1)
        ratio = one[valid] / truth[valid]
        assert ratio.mean() == pytest.approx(1, abs=0.05)
    noise = SpeckleField(3, 0, (0.4, 0.4))(2, Window(0, 0, 130, 90))
    assert images[0][1][0] == pytest.approx(clean[1] * noise, rel=1e-6)
    with pytest.raises(Cancelled):
        SimulateJob(path, str(tmp_path / "no.tif")).run(lambda part, text: None, lambda: True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "clean.tif", "noisy33.tif", "noisy512.tif",
    ]  # fmt: skip

"""The filter job from file to file."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

gdal = pytest.importorskip("osgeo.gdal")

from raster_files import digests, make_raster  # noqa: E402

from speckless.plugin.core.errors import Cancelled, InvalidInput, RasterError  # noqa: E402
from speckless.plugin.core.filters.base import SceneConstants  # noqa: E402
from speckless.plugin.core.filters.multitemporal import Multitemporal  # noqa: E402
from speckless.plugin.core.filters.registry import find_filter  # noqa: E402
from speckless.plugin.core.tiling import Window  # noqa: E402
from speckless.plugin.jobs.filtering import FilterJob  # noqa: E402
from speckless.plugin.jobs.streaming import stream  # noqa: E402

LEE = find_filter("lee")(radius=2)


def speckle(shape=(120, 150), looks=2.0, seed=0):
    rng = np.random.default_rng(seed)
    ramp = np.linspace(1, 50, shape[1])
    return (ramp * rng.gamma(looks, 1 / looks, shape)).astype(np.float32)


def read(path, band=1):
    dataset = gdal.Open(str(path))  # outlives its bands
    return dataset.GetRasterBand(band).ReadAsArray()


def run(*args, cancelled=lambda: False, **options):
    messages = []
    job = FilterJob(*args, **options)
    return job.run(lambda part, text: messages.append((part, text)), cancelled), messages


@pytest.fixture
def target(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "out.tif"


def test_bands_are_filtered_and_reported(tmp_path, target):
    bands = np.stack([speckle(), speckle(seed=1)])
    scene = make_raster(
        tmp_path / "scene.tif", bands, epsg=32631, geotransform=(5, 10, 0, 9, 0, -10)
    )
    result, messages = run(scene, str(target), LEE, looks=2.0)
    ratios = []
    for number, band in enumerate(bands, 1):
        expected = LEE(band, np.ones(band.shape, bool), SceneConstants(2.0))
        np.testing.assert_allclose(read(target, number), expected, rtol=1e-6)
        ratios.append(band / expected)
    assert result.looks_used == 2.0
    assert result.domain == "intensity"
    assert result.pixels == bands.size
    assert result.mean_ratio == pytest.approx(np.mean(ratios, dtype=float), rel=1e-6)
    assert result.variance_ratio == pytest.approx(np.var(ratios, dtype=float), rel=1e-3)
    parts = [part for part, _ in messages]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    dataset = gdal.Open(str(target))
    tags = dataset.GetMetadata()
    assert tags["SPECKLESS_FILTER"] == "lee"
    assert tags["SPECKLESS_RADIUS"] == "2"
    assert tags["SPECKLESS_LOOKS"] == "2"
    assert dataset.GetGeoTransform() == (5, 10, 0, 9, 0, -10)


@pytest.mark.parametrize("tile_size", [16, 47, 512])
def test_tiles_and_extents_give_the_pixels_of_the_whole(tmp_path, target, tile_size):
    scene = make_raster(tmp_path / "scene.tif", speckle())
    whole = LEE(speckle(), np.ones((120, 150), bool), SceneConstants(2.0))
    extent = Window(31, 7, 100, 80)
    run(scene, str(target), LEE, looks=2.0, tile_size=tile_size, extent=extent, threads=3)
    np.testing.assert_allclose(read(target), whole[7:87, 31:131], rtol=1e-6)


def test_nodata_stays_and_does_not_leak(tmp_path, target):
    values = speckle()
    values[30:60, 40:70] = -9999.0
    scene = make_raster(tmp_path / "scene.tif", values, nodata=-9999.0)
    run(scene, str(target), LEE, looks=2.0, domain="intensity")
    found, valid = read(target), values != -9999.0
    np.testing.assert_array_equal(found == -9999.0, ~valid)
    dataset = gdal.Open(str(target))
    assert dataset.GetRasterBand(1).GetNoDataValue() == -9999.0
    assert (found[valid] > 0).all()
    np.testing.assert_allclose(
        found[valid], LEE(values, valid, SceneConstants(2.0))[valid], rtol=1e-6
    )


@pytest.mark.parametrize("domain", ["amplitude", "db"])
def test_statistics_are_those_of_intensity_in_every_domain(tmp_path, target, domain):
    """Averaged amplitudes, or decibels, would be biased low."""
    intensity = speckle(looks=1.0)
    stored = np.sqrt(intensity) if domain == "amplitude" else 10 * np.log10(intensity)
    scene = make_raster(tmp_path / "scene.tif", stored.astype(np.float32))
    boxcar = find_filter("boxcar")(radius=2)
    result, _ = run(scene, str(target), boxcar, domain=domain)
    expected = boxcar(intensity, np.ones(intensity.shape, bool), SceneConstants())
    found = read(target).astype(float)
    back = found**2 if domain == "amplitude" else 10 ** (found / 10)
    np.testing.assert_allclose(back, expected, rtol=1e-4)
    assert result.looks_used is None


def test_looks_are_estimated_from_the_whole_scene(tmp_path, target):
    values = np.random.default_rng(0).gamma(3.0, 1 / 3.0, (200, 200)).astype(np.float32)
    scene = make_raster(tmp_path / "scene.tif", values)
    part, _ = run(scene, str(target), LEE, extent=Window(0, 0, 20, 20))
    whole, messages = run(scene, str(target), LEE)
    assert part.looks_used == whole.looks_used == pytest.approx(3.0, rel=0.1)
    assert any("estimated from the scene" in text for _, text in messages)


def test_only_nodata(tmp_path, target):
    scene = make_raster(tmp_path / "scene.tif", np.full((20, 20), -1.0, np.float32), nodata=-1.0)
    result, _ = run(scene, str(target), LEE, looks=1.0, domain="intensity")
    assert (read(target) == -1.0).all()
    assert np.isnan(result.mean_ratio)
    with pytest.raises(RasterError, match="no valid pixel"):
        run(scene, str(target), LEE, domain="intensity")


def test_stack_is_filtered_together_and_tiles_do_not_show(tmp_path, target):
    rng = np.random.default_rng(0)
    dates = (np.array([1, 5, 20])[:, None, None] * rng.gamma(1.0, 1.0, (3, 70, 90)) + 0.01).astype(
        np.float32
    )
    dates[1, 20:40, 30:50] = -1.0
    dates[2, 60:, 80:] = 0.0
    scene = make_raster(tmp_path / "scene.tif", dates, nodata=-1.0)
    quegan = Multitemporal(radius=1)
    run(scene, str(target), quegan, domain="intensity", tile_size=16)
    found = np.stack([read(target, band) for band in (1, 2, 3)])
    np.testing.assert_array_equal(found == -1.0, dates == -1.0)

    def by_hand(y, x):
        box = dates[:, y - 1 : y + 2, x - 1 : x + 2].astype(float)
        means = [d[d >= 0].mean() if (d >= 0).any() else 0.0 for d in box]
        usable = [n for n in range(3) if dates[n, y, x] >= 0 and means[n] > 0]
        level = np.mean([dates[n, y, x] / means[n] for n in usable])
        return [means[n] * level if dates[n, y, x] >= 0 else -1.0 for n in range(3)]

    for y, x in [(5, 5), (19, 31), (30, 40), (39, 49), (15, 16), (65, 85), (60, 80)]:
        np.testing.assert_allclose(found[:, y, x], by_hand(y, x), rtol=1e-5)
    with pytest.raises(InvalidInput, match="at least two bands"):
        run(scene, str(target), quegan, bands=[1])


def test_single_dark_pixel_in_decibels_and_zeros(tmp_path, target):
    values = speckle()
    values[10, 10] = 0.0
    values[80:110, 80:110] = 0.0
    scene = make_raster(tmp_path / "scene.tif", values)
    run(scene, str(target), LEE, looks=1.0, domain="intensity")
    found = read(target)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (found[85:105, 85:105] == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"looks": 0.0}, "LOOKS must be a positive"),
        ({"looks": float("nan")}, "LOOKS must be a positive"),
        ({"tile_size": 5}, "TILE_SIZE must be 0"),
        ({"extent": Window(900, 900, 5, 5)}, "outside the raster"),
    ],
)
def test_refused(tmp_path, target, options, message):
    scene = make_raster(tmp_path / "scene.tif", speckle())
    with pytest.raises(InvalidInput, match=message):
        run(scene, str(target), LEE, **{"looks": 2.0, **options})
    assert list(target.parent.iterdir()) == []


def test_cancel_leaves_the_older_file(tmp_path, target):
    scene = make_raster(tmp_path / "scene.tif", speckle())
    target.write_bytes(b"older")
    before = digests(target.parent)
    asked = iter(range(1000))
    with pytest.raises(Cancelled):
        run(scene, str(target), LEE, looks=2.0, tile_size=16, cancelled=lambda: next(asked) > 20)
    assert digests(target.parent) == before


class Slow(find_filter("boxcar")):
    def _estimate(self, values, valid, scene):
        time.sleep(0.2)
        return values


def test_cancel_does_not_wait_for_what_has_not_begun(tmp_path, target):
    scene = make_raster(tmp_path / "scene.tif", speckle((160, 160)))
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):  # 100 tiles of 0.2 s
        run(scene, str(target), Slow(), tile_size=16, threads=2, cancelled=cancelled.is_set)
    assert time.monotonic() - started < 2
    assert list(target.parent.iterdir()) == []


class Broken(find_filter("boxcar")):
    def _estimate(self, values, valid, scene):
        raise TimeoutError("from within")


def test_error_in_a_thread_is_the_caller_s(tmp_path, target):
    scene = make_raster(tmp_path / "scene.tif", speckle())
    with pytest.raises(TimeoutError, match="from within"):
        run(scene, str(target), Broken(), tile_size=16, threads=3)
    assert list(target.parent.iterdir()) == []


def test_stream_keeps_the_order_and_bounds_what_is_in_memory() -> None:
    written, alive, most = [], set(), []

    def read(piece):
        alive.add(piece)
        most.append(len(alive))
        return piece

    def compute(piece, data):
        time.sleep(0.001 * (piece % 3))
        return data * 2

    def write(piece, made):
        assert made == 2 * piece
        written.append(piece)
        alive.discard(piece)

    told = []
    stream(range(60), read, compute, write, told.append, lambda: False, threads=3)
    assert written == told == list(range(60))
    assert max(most) <= 3 + 2 + 3


def test_stream_stops_at_an_error_of_the_writer() -> None:
    begun = []

    def write(piece, made):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        stream(
            range(1000), begun.append, lambda piece, data: data, write, lambda piece: None,
            lambda: False, 2,
        )  # fmt: skip
    assert len(begun) < 20


def test_job_runs_without_torch(tmp_path: Path, target: Path) -> None:
    scene = make_raster(tmp_path / "scene.tif", speckle((30, 40)))
    script = f"""
import runpy
import sys
sys.modules["torch"] = None
runpy.run_path({str(Path(__file__).parents[1] / "conftest.py")!r})
from speckless.plugin.core.filters.registry import FILTERS
from speckless.plugin.jobs.filtering import FilterJob
for kind in FILTERS.values():
    FilterJob({scene!r}, {str(target)!r}, kind(), looks=2.0).run(lambda *_: None, lambda: False)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert target.exists()

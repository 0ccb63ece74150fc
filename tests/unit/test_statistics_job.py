"""Statistics of polygons on rasters: the right pixels, once each, whatever the raster's size."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("osgeo.gdal")

from osgeo import gdal, ogr
from raster_files import edit, make_raster

from speckless.plugin.core import quality
from speckless.plugin.core.area_statistics import area_statistics
from speckless.plugin.core.errors import Cancelled, InvalidInput, RasterError
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs import statistics
from speckless.plugin.jobs.statistics import StatisticsJob, figures, measure_area
from speckless.plugin.jobs.statistics_table import write_table

NORTH_UP = (1000.0, 10.0, 0.0, 5000.0, 0.0, -10.0)
ROTATED = (1000.0, 8.0, 6.0, 5000.0, 6.0, -8.0)


def speckle(shape=(60, 80), looks=4.0, seed=0):
    return simulate_speckle(shape, looks, np.random.default_rng(seed))


def polygon(*pixels, transform=NORTH_UP):
    """Well-known binary of a ring of (column, row) points."""
    places = [gdal.ApplyGeoTransform(list(transform), *p) for p in [*pixels, pixels[0]]]
    text = ", ".join(f"{x!r} {y!r}" for x, y in places)
    return bytes(ogr.CreateGeometryFromWkt(f"POLYGON (({text}))").ExportToWkb())


def box(left, top, right, bottom, transform=NORTH_UP):
    return polygon((left, top), (right, top), (right, bottom), (left, bottom), transform=transform)


def run(*arguments, **options):
    told = []
    job = StatisticsJob(*arguments, **options)
    result = job.run(lambda part, text: told.append((part, text)), lambda: False)
    assert told[-1][0] == 1.0
    return result


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED])
def test_pixels_of_the_polygon_and_no_others(tmp_path, transform):
    image = speckle()
    path = make_raster(tmp_path / "r.tif", image, geotransform=transform)
    found = run(path, [box(10, 5, 40, 45, transform), box(70, 50, 95, 70, transform)])
    assert found.domain == "intensity"
    first, second = found.records
    assert (first.n_area, first.statistics.n_valid) == (1200, 1200)
    assert first.statistics.original.enl == pytest.approx(quality.enl(image[5:45, 10:40]))
    assert first.statistics.original.mean == pytest.approx(image[5:45, 10:40].mean())
    assert second.n_area == 100  # half of it lies outside
    assert second.statistics.original.mean == pytest.approx(image[50:, 70:].mean())
    assert first.note == ""
    assert "draw an area of about" in second.note


def test_equals_the_core_on_the_same_pixels(tmp_path):
    image, smooth = speckle(), speckle(looks=60, seed=1)
    path = make_raster(tmp_path / "r.tif", image, geotransform=NORTH_UP)
    after = make_raster(tmp_path / "d.tif", smooth, geotransform=NORTH_UP)
    [record] = run(path, [box(3, 7, 60, 50)], despeckled=after).records
    mask = np.zeros(image.shape, bool)
    mask[7:50, 3:60] = True
    wanted = area_statistics(image, mask, smooth)
    for name, value in zip([name for name, _ in figures(True)], record.values(True)):
        if name in ("n_area", "n_valid", "too_small", "note"):
            continue
        source = wanted.despeckled if name.startswith("d_") else wanted.original
        names = {ours: theirs for ours, _, theirs in statistics._OF_AN_IMAGE}
        compared = dict(statistics._COMPARED)
        expected = (
            getattr(wanted, compared[name])
            if name in compared
            else getattr(source, names[name.removeprefix("d_")])
        )
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-6), name


@pytest.mark.parametrize("domain", ["amplitude", "db"])
def test_intensity_whatever_the_domain(tmp_path, domain):
    image = 0.05 * speckle()
    stored = np.sqrt(image) if domain == "amplitude" else 10 * np.log10(image)
    path = make_raster(tmp_path / "r.tif", stored, geotransform=NORTH_UP)
    result = run(path, [box(0, 0, 80, 60)], domain=domain)
    found = result.records[0].statistics.original
    assert found.enl == pytest.approx(quality.enl(image), rel=1e-4)
    assert found.mean == pytest.approx(image.mean(), rel=1e-4)
    assert found.histogram.domain == domain


def test_nodata_outside_one_pixel_and_damaged(tmp_path):
    image = speckle()
    image[:30] = -1
    path = make_raster(tmp_path / "r.tif", image, nodata=-1, geotransform=NORTH_UP)
    areas = [
        box(0, 0, 20, 20), box(5, 20, 45, 50), box(200, 200, 220, 220), box(8, 40, 9, 41),
        box(4.6, 4.6, 5.4, 5.4), b"broken", box(50, 40, 80, 60),
    ]  # fmt: skip
    result = run(path, areas)
    empty, half, outside, one, between, broken, good = result.records
    assert empty.n_area == 400 and empty.statistics.n_valid == 0
    assert "no valid pixel" in empty.note
    assert half.n_area == 1200 and half.statistics.n_valid == 800
    assert half.statistics.original.mean == pytest.approx(image[30:50, 5:45].mean())
    assert outside.statistics is None and "outside" in outside.note
    assert one.statistics.original.mean == pytest.approx(image[40, 8])
    assert "single pixel" in one.note
    assert "centre of no pixel" in between.note
    assert "damaged" in broken.note
    assert not good.note
    for record in result.records:
        assert len(record.values(False)) == len(figures(False))
        assert len(record.values(True)) == len(figures(True))
    summary = result.summary()
    assert summary["COUNT"] == 3
    assert summary["PIXELS"] == 800 + 1 + 600
    enls = [half.statistics.original.enl, good.statistics.original.enl]
    assert summary["MEAN_ENL"] == pytest.approx(np.mean(enls))
    assert summary["MEDIAN_ENL"] == pytest.approx(np.median(enls))
    assert summary["MEAN_ENL_GAIN"] is None
    assert run(path, areas[:1]).summary()["MEAN_ENL"] is None


def test_despeckled_part_is_found_by_its_place(tmp_path):
    image, smooth = speckle(), speckle(looks=60, seed=1)
    path = make_raster(tmp_path / "r.tif", image, geotransform=NORTH_UP)
    shifted = (1000.0 + 10 * 10, 10.0, 0.0, 5000.0 - 20 * 10, 0.0, -10.0)
    part = make_raster(tmp_path / "d.tif", smooth[20:50, 10:60], geotransform=shifted)
    inside, partly, away = run(
        path, [box(15, 25, 40, 45), box(0, 10, 30, 40), box(62, 0, 80, 18)], despeckled=part
    ).records
    found = inside.statistics
    assert found.despeckled.enl == pytest.approx(quality.enl(smooth[25:45, 15:40]))
    assert found.mean_ratio == pytest.approx(
        quality.mean_of_ratio(image[25:45, 15:40], smooth[25:45, 15:40])
    )
    assert partly.statistics.despeckled.n_pixels == 20 * 20
    assert partly.statistics.despeckled.mean == pytest.approx(smooth[20:40, 10:30].mean())
    assert "Only 400 of 900" in partly.note
    assert away.statistics.despeckled.n_pixels == 0


def test_despeckled_elsewhere_or_resampled_is_refused(tmp_path):
    path = make_raster(tmp_path / "r.tif", speckle(), geotransform=NORTH_UP)
    areas = [box(0, 0, 20, 20)]
    for number, transform in enumerate(
        [(1004.0, *NORTH_UP[1:]), (1000.0, 9.9, 0.0, 5000.0, 0.0, -9.9), ROTATED]
    ):
        other = make_raster(tmp_path / f"{number}.tif", speckle(), geotransform=transform)
        with pytest.raises(RasterError, match="do not coincide"):
            run(path, areas, despeckled=other)
    plain = make_raster(tmp_path / "plain.tif", speckle())
    assert run(path, areas, despeckled=plain).records[0].statistics.mean_ratio == 1
    with pytest.raises(RasterError, match="do not coincide"):
        run(path, areas, despeckled=make_raster(tmp_path / "small.tif", speckle((9, 9))))


def test_bands_and_domains_of_the_despeckled(tmp_path):
    bands = np.stack([np.sqrt(speckle(seed=n)) for n in (0, 1)])
    smooth = np.sqrt(speckle(looks=60, seed=2))
    numbers = (100 * bands).astype(np.uint16)  # integers without sign: amplitudes
    path = make_raster(tmp_path / "r.tif", numbers, nodata=0, geotransform=NORTH_UP)
    after = make_raster(tmp_path / "d.tif", 100 * smooth, geotransform=NORTH_UP)
    result = run(path, [box(0, 0, 80, 60)], despeckled=after, band=2)
    assert (result.domain, result.despeckled_domain) == ("amplitude", "amplitude")
    found = result.records[0].statistics
    assert found.despeckled.enl == pytest.approx(quality.enl(smooth**2), rel=1e-4)
    assert found.mean_ratio == pytest.approx(
        quality.mean_of_ratio(bands[1] ** 2, smooth**2), rel=0.03
    )
    dataset = edit(after)
    dataset.GetRasterBand(1).SetMetadataItem("SPECKLESS_BAND_DOMAIN", "intensity")
    dataset = None
    result = run(path, [box(0, 0, 80, 60)], despeckled=after, band=2)
    assert result.despeckled_domain == "intensity"
    two = make_raster(tmp_path / "two.tif", 100 * bands, geotransform=NORTH_UP)
    result = run(path, [box(0, 0, 80, 60)], despeckled=two, band=2)
    assert result.records[0].statistics.mean_ratio == pytest.approx(1, rel=0.05)
    with pytest.raises(RasterError, match="no band 3"):
        run(path, [box(0, 0, 8, 6)], band=3)


def test_huge_windows_are_measured_by_cells(tmp_path, monkeypatch):
    image = speckle((700, 900))
    image[:, :100] = -1
    path = make_raster(tmp_path / "r.tif", image, nodata=-1, geotransform=NORTH_UP)
    area = polygon((20, 30), (880, 10), (700, 690), (40, 660))
    whole = run(path, [area]).records[0]
    monkeypatch.setattr(statistics, "_MAX_WINDOW", 10_000)
    every = run(path, [area], despeckled=path).records[0]
    assert every.n_area == whole.n_area
    assert every.statistics.n_valid == whole.statistics.n_valid
    assert every.statistics.original.enl == pytest.approx(whole.statistics.original.enl, rel=1e-9)
    # Neighbours in two cells are not counted.
    assert every.statistics.original.correlation_x == pytest.approx(
        whole.statistics.original.correlation_x, abs=2e-3
    )
    assert every.statistics.variance_ratio == 0
    sampled = run(path, [area], max_pixels=50_000).records[0]
    assert 25_000 <= sampled.statistics.original.n_pixels < 60_000
    assert sampled.statistics.n_valid == pytest.approx(whole.statistics.n_valid, rel=0.05)
    assert sampled.statistics.original.enl == pytest.approx(4, rel=0.06)
    assert "Measured on a sample" in sampled.note
    again = run(path, [area], max_pixels=50_000).records[0]
    assert again.values(False) == sampled.values(False)


def test_huge_area_over_next_to_nothing_valid_is_still_measured(tmp_path, monkeypatch):
    image = np.full((1000, 1000), -1, np.float32)
    image[500:520, 500:520] = speckle((20, 20))
    path = make_raster(tmp_path / "r.tif", image, nodata=-1, geotransform=NORTH_UP)
    monkeypatch.setattr(statistics, "_MAX_WINDOW", 10_000)
    record = run(path, [box(0, 0, 1000, 1000)], max_pixels=20_000).records[0]
    assert record.statistics.original.n_pixels == 400
    assert record.statistics.n_valid == 400
    image[:] = -1
    path = make_raster(tmp_path / "none.tif", image, nodata=-1, geotransform=NORTH_UP)
    record = run(path, [box(0, 0, 1000, 1000)], max_pixels=20_000).records[0]
    assert record.n_area == 10**6
    assert "no valid pixel" in record.note


def test_only_the_window_around_the_area_is_read():
    asked = []

    def read(window):
        asked.append(window)
        return speckle((window.height, window.width)), np.ones((window.height, window.width), bool)

    bounds = Window(1000, 2000, 30, 20)
    record = measure_area(lambda w: np.ones((w.height, w.width), bool), bounds, read)
    assert asked == [bounds]
    assert record.statistics.original.n_pixels == 600


def test_cancelling(tmp_path, monkeypatch):
    path = make_raster(tmp_path / "r.tif", speckle(), geotransform=NORTH_UP)
    with pytest.raises(Cancelled):
        StatisticsJob(path, [box(0, 0, 9, 9)]).run(lambda part, text: None, lambda: True)
    monkeypatch.setattr(statistics, "_MAX_WINDOW", 100)
    answers = iter([False, False, True])
    with pytest.raises(Cancelled):
        StatisticsJob(path, [box(0, 0, 70, 50)]).run(lambda part, text: None, lambda: next(answers))


def test_names_fit_into_shapefiles():
    names = [name for name, _ in figures(True)]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 10


def test_tables(tmp_path: Path):
    names, rows = ["name", "enl", "note"], [["a<b", 1 / 3, "x, y"], ["ä", None, ""]]
    path = tmp_path / "t.csv"
    write_table(str(path), "Title", names, rows)
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [names, ["a<b", str(1 / 3), "x, y"], ["ä", "", ""]]
    path = tmp_path / "t.html"
    write_table(str(path), "Areas & more", names, rows)
    text = path.read_text("utf-8")
    assert "Areas &amp; more" in text and "a&lt;b" in text and "0.3333" in text and "ä" in text
    with pytest.raises(InvalidInput, match="table is a"):
        write_table(str(tmp_path / "t.xls"), "", names, rows)
    with pytest.raises(InvalidInput, match="Cannot write"):
        write_table(str(tmp_path / "no" / "t.csv"), "", names, rows)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["t.csv", "t.html"]

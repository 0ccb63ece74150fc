"""Assessing rasters: the same figures for any tiles and readers, samples told, reports whole."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

pytest.importorskip("osgeo.gdal")

from raster_files import make_raster

from speckless.plugin.core.errors import Cancelled, InvalidInput, RasterError
from speckless.plugin.core.filters.boxcar import Boxcar
from speckless.plugin.core.filters.lee import Lee
from speckless.plugin.core.metrics.figure import Figure
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window
from speckless.plugin.jobs import assessing, assessment_parts
from speckless.plugin.jobs.assessing import AssessJob
from speckless.plugin.jobs.assessment import KINDS, NAMES
from speckless.plugin.jobs.assessment_outputs import write_figures, write_report
from speckless.plugin.jobs.assessment_report import shown, verdicts
from speckless.plugin.jobs.comparing import CompareJob
from speckless.plugin.jobs.comparison_report import answer, comparison_page, efficient
from speckless.plugin.reports.plots import Point, histogram_chart, point_chart

NORTH_UP = (500000.0, 10.0, 0.0, 4600000.0, 0.0, -10.0)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(2)
    clean = np.kron(rng.choice([1.0, 7.0], (3, 4)), np.ones((48, 48))).astype(np.float32)
    clean[100, 120] = 600.0
    noisy = clean * simulate_speckle(clean.shape, 4.0, rng)
    smooth = clean * simulate_speckle(clean.shape, 60.0, rng)
    noisy[:30, :50] = -1
    return {
        name: make_raster(
            tmp_path / f"{name}.tif", image, geotransform=NORTH_UP, epsg=32631, nodata=-1
        )
        for name, image in (("clean", clean), ("noisy", noisy), ("smooth", smooth))
    }


def run(job, is_cancelled=lambda: False):
    return job.run(lambda part, text: None, is_cancelled)


def test_tiles_and_threads_do_not_matter(files, monkeypatch):
    job = AssessJob(files["noisy"], files["smooth"], files["clean"], looks=4, threads=1)
    whole = run(job)
    monkeypatch.setattr(assessing, "_TILE", 61)
    tiled = run(AssessJob(files["noisy"], files["smooth"], files["clean"], looks=4, threads=3))
    assert set(whole.figures) == set(NAMES)
    for name, figure in whole.figures.items():
        assert tiled.figures[name].why == figure.why
        if figure.value is not None:
            assert tiled.figures[name].value == pytest.approx(figure.value, rel=1e-7), name
    assert tiled.targets == whole.targets


def test_large_rasters_are_sampled_and_say_so(files, monkeypatch):
    monkeypatch.setattr(assessment_parts, "_SEARCHED", 20_000)
    monkeypatch.setattr(assessment_parts, "_TESTED", 3 * 64 * 64)
    monkeypatch.setattr(assessment_parts, "_SIDE", 64)
    found = run(AssessJob(files["noisy"], files["smooth"], looks=4))
    notes = " ".join(found.notes)
    assert re.search(r"sought in \d+ sample windows, \d+% of the pixels", notes)
    assert re.search(r"its histogram made, in \d windows", notes)
    whole = 144 * 192 - 30 * 50
    assert found.figures["PIXELS"].value == whole


def test_homogeneous_windows_lie_in_one_field(files):
    found = run(AssessJob(files["noisy"], files["smooth"], looks=4))
    assert len(found.windows) == 5
    for window, area in zip(found.windows, found.areas):
        assert area.statistics.original.n_pixels == window.area
        assert area.statistics.despeckled.enl == pytest.approx(60, rel=0.4)
    assert "Owing to that choice" in " ".join(found.notes)


def test_extent(files):
    found = run(AssessJob(files["noisy"], files["smooth"], looks=4, extent=Window(60, 40, 90, 70)))
    assert found.figures["PIXELS"].value == 90 * 70
    with pytest.raises(InvalidInput, match="outside the raster"):
        run(AssessJob(files["noisy"], files["smooth"], extent=Window(999, 0, 5, 5)))


def test_one_system_in_two_spellings_is_one(files, tmp_path):
    from osgeo import gdal, osr

    values = gdal.Open(files["smooth"]).ReadAsArray()
    path = make_raster(tmp_path / "other.tif", values, geotransform=NORTH_UP, epsg=32632)
    with pytest.raises(RasterError, match=r"system EPSG:32632, .* in EPSG:32631"):
        run(AssessJob(files["noisy"], path, looks=4))
    reference = osr.SpatialReference()
    reference.ImportFromProj4("+proj=utm +zone=31 +ellps=WGS84 +units=m")  # without a code
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.SetProjection(reference.ExportToWkt())
    dataset = None
    assert run(AssessJob(files["noisy"], path, looks=4)).figures["PIXELS"].value > 0


def test_cancelled_leaves_nothing(files, tmp_path):
    before = sorted(tmp_path.iterdir())
    for calls in (0, 2):
        asked = iter([False] * calls + [True] * 1000)
        job = AssessJob(files["noisy"], files["smooth"], looks=4, ratio=str(tmp_path / "ratio.tif"))
        with pytest.raises(Cancelled):
            run(job, lambda asked=asked: next(asked))
        assert sorted(tmp_path.iterdir()) == before


def test_report_is_whole_and_in_words(files, tmp_path):
    job = AssessJob(files["noisy"], files["smooth"], files["clean"], looks=4)
    found = run(job)
    write_report(str(tmp_path / "r.html"), job, found)
    write_figures(str(tmp_path / "t.html"), found)
    text = (tmp_path / "r.html").read_text("utf-8")
    for title in KINDS:
        assert title in text
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
    assert text.count("<svg") >= 5
    assert "Edges kept nearly all of their contrast" in verdicts(found)[0]
    with pytest.raises(InvalidInput, match="Cannot write"):
        write_report(str(tmp_path / "no" / "r.html"), job, found)
    assert shown(Figure(-0.5)) == "−0.5"
    assert shown(Figure(None, "no")) == "n/a"


def test_verdicts_name_what_went_wrong(files, tmp_path):
    from osgeo import gdal

    values = gdal.Open(files["noisy"]).ReadAsArray()
    raw = make_raster(tmp_path / "raw.tif", 0.5 * values, geotransform=NORTH_UP, epsg=32631)
    [text] = verdicts(run(AssessJob(files["noisy"], raw, looks=4)))
    assert "darker by 3 dB" in text
    flat = np.where(values > 0, 3.0, -1).astype(np.float32)
    same = make_raster(tmp_path / "flat.tif", flat, geotransform=NORTH_UP, epsg=32631, nodata=-1)
    found = run(AssessJob(files["noisy"], same, looks=4))
    assert "More than speckle was taken out" in verdicts(found)[0]
    assert "only part" in verdicts(found)[0]
    assert "constant" in found.figures["ENL_DESPECKLED"].why


def test_comparison_ranks_and_writes(files, tmp_path):
    job = CompareJob(
        files["noisy"], [Boxcar(radius=3), Lee(radius=3)], rasters=[files["smooth"]], looks=4
    )
    found = run(job)
    assert [method.name for method in found.assessed] == ["Boxcar", "Lee", "smooth"]
    names = [method.name for method in efficient(found)]
    assert "smooth" in names
    assert all(name in answer(found) for name in names)
    page = comparison_page(job, found).html()
    cuts = len(found.assessed[0].assessment.crop.profiles)
    assert cuts and page.count("across the strongest edge") == cuts
    assert page.count("<svg") == 1 + cuts + 1  # trade-off, cuts, colour bar
    assert "Boxcar" in page and "reference</th><td>none" in page
    with pytest.raises(Cancelled):
        run(job, lambda: True)
    twice = run(CompareJob(files["noisy"], [Boxcar(), Boxcar()], looks=4, folder=str(tmp_path)))
    assert [method.name for method in twice.methods] == ["Boxcar", "Boxcar (2)"]


def test_point_chart_keeps_names_apart():
    points = [Point(f"name {n}", 10.0, 0.5 + 1e-3 * n, n % 2) for n in range(4)]
    svg = point_chart(points, "x", "y", True, ("one", "two", "none"))
    root = ElementTree.fromstring(svg)
    texts = [element for element in root.iter("text") if (element.text or "").startswith("name")]
    places = {(e.get("x"), e.get("y"), e.get("text-anchor")) for e in texts}
    assert len(texts) == len(places) == 4
    assert ">one<" in svg and ">none<" not in svg
    with pytest.raises(ValueError, match="no point"):
        point_chart([Point("a", -1.0, 1.0)], "x", "y", True)


def test_histogram_chart_is_drawn_to_scale():
    edges = np.array([0.0, 1.0, 2.0])
    svg = histogram_chart(edges, np.array([1.0, 0.5]), np.array([0.8, 0.4]), "x", ("a", "b & c"))
    root = ElementTree.fromstring(svg)
    polygon = next(root.iter("polygon")).get("points")
    heights = [float(pair.split(",")[1]) for pair in polygon.split()]
    base = heights[0]
    assert (base - heights[1]) / (base - heights[3]) == pytest.approx(2, rel=0.01)
    with pytest.raises(ValueError, match="no bin"):
        histogram_chart(edges[:1], np.array([]), np.array([]), "x", ("a", "b"))

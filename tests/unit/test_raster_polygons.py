"""Polygons become the pixels whose centres they hold, however the raster lies on the map."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("osgeo.gdal")

from osgeo import gdal, ogr
from raster_files import edit, make_raster

from speckless.plugin.core.errors import InvalidInput, RasterError
from speckless.plugin.core.tiling import Window
from speckless.plugin.raster.polygons import PolygonMask

WHOLE = Window(0, 0, 40, 30)
NORTH_UP = (1000.0, 10.0, 0.0, 5000.0, 0.0, -10.0)
ROTATED = (1000.0, 8.0, 6.0, 5000.0, 6.0, -8.0)


def wkb(text):
    return bytes(ogr.CreateGeometryFromWkt(text).ExportToWkb())


def raster(tmp_path, transform=NORTH_UP):
    return make_raster(tmp_path / "r.tif", np.ones((30, 40), np.float32), geotransform=transform)


def on_map(pixels, transform=NORTH_UP):
    """WKT ring of (column, row) points."""
    places = [gdal.ApplyGeoTransform(list(transform), *point) for point in [*pixels, pixels[0]]]
    return "(" + ", ".join(f"{x!r} {y!r}" for x, y in places) + ")"


def box(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def filled(*boxes):
    mask = np.zeros((30, 40), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED, (0.0, 10.0, 0.0, 0.0, 0.0, 10.0)])
def test_centres_decide(tmp_path, transform):
    # 0.4 of a pixel more or less does not reach the next centre, 0.6 does.
    ring = on_map(box(4.6, 3.4, 20.4, 10.6), transform)
    mask = PolygonMask(raster(tmp_path, transform), [wkb(f"POLYGON ({ring})")])
    np.testing.assert_array_equal(mask(WHOLE), filled((5, 3, 20, 11)))
    assert mask.bounds == Window(4, 3, 17, 8)


def test_triangle_in_a_rotated_raster_holds_the_centres_inside(tmp_path):
    corners = [(2.3, 1.7), (35.2, 8.1), (11.9, 28.6)]
    path = raster(tmp_path, ROTATED)
    mask = PolygonMask(path, [wkb(f"POLYGON ({on_map(corners, ROTATED)})")])(WHOLE)
    y, x = np.mgrid[:30, :40] + 0.5
    sides = [
        (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]])
    ]
    np.testing.assert_array_equal(mask, np.all(np.array(sides) > 0, axis=0))


def test_holes_parts_overlaps_and_collections(tmp_path):
    outer, hole = on_map(box(2, 2, 20, 20)), on_map(box(5, 5, 10, 10))
    other, over = on_map(box(25, 2, 30, 8)), on_map(box(28, 4, 35, 12))
    wanted = filled((2, 2, 20, 20), (25, 2, 30, 8), (28, 4, 35, 12))
    wanted[5:10, 5:10] = False
    texts = (
        [f"POLYGON ({outer}, {hole})", f"POLYGON ({other})", f"POLYGON ({over})"],
        [f"MULTIPOLYGON (({outer}, {hole}), ({other}), ({over}))"],
        [f"GEOMETRYCOLLECTION (POLYGON ({outer}, {hole}), POINT (1 1),"
         f" MULTIPOLYGON (({other}), ({over})))", "POLYGON EMPTY", "LINESTRING (0 0, 9 9)"],
    )  # fmt: skip
    path = raster(tmp_path)
    for polygons in texts:
        np.testing.assert_array_equal(PolygonMask(path, map(wkb, polygons))(WHOLE), wanted)


def test_heights_and_curves_are_taken(tmp_path):
    path = raster(tmp_path)
    flat = wkb("POLYGON ((1050 4950, 1200 4950, 1200 4800, 1050 4800, 1050 4950))")
    high = wkb("POLYGON Z ((1050 4950 7, 1200 4950 7, 1200 4800 7, 1050 4800 7, 1050 4950 7))")
    np.testing.assert_array_equal(
        PolygonMask(path, [high])(WHOLE), PolygonMask(path, [flat])(WHOLE)
    )
    circle = wkb("CURVEPOLYGON (CIRCULARSTRING (1100 4850, 1300 4850, 1100 4850))")
    y, x = np.mgrid[:30, :40] + 0.5
    inside = np.hypot(x - 20, y - 15) < 10
    assert np.mean(PolygonMask(path, [circle])(WHOLE) != inside) < 0.01


def test_windows_are_parts_of_the_whole_and_beyond_it(tmp_path):
    shape = wkb(f"POLYGON ({on_map([(-8, 4), (25, -3), (55, 40), (12, 21)])})")
    mask = PolygonMask(raster(tmp_path), [shape])
    whole = mask(WHOLE)
    assert 0 < whole.sum() < whole.size
    assert mask.bounds == WHOLE
    for window in (Window(7, 5, 13, 9), Window(0, 0, 1, 30), Window(39, 29, 1, 1)):
        part = whole[window.y : window.bottom, window.x : window.right]
        np.testing.assert_array_equal(mask(window), part)
    np.testing.assert_array_equal(mask(Window(-5, -5, 20, 20))[5:, 5:], whole[:15, :15])


def test_polygon_between_centres_and_polygon_elsewhere_hold_no_pixel(tmp_path):
    path = raster(tmp_path)
    between = PolygonMask(path, [wkb(f"POLYGON ({on_map(box(4.6, 4.6, 5.4, 5.4))})")])
    assert not between(WHOLE).any()
    one = PolygonMask(path, [wkb(f"POLYGON ({on_map(box(4.4, 4.4, 4.6, 4.6))})")])
    assert one(WHOLE).sum() == 1 and one.bounds == Window(4, 4, 1, 1)
    away = PolygonMask(path, [wkb("POLYGON ((1e9 1e9, 2e9 1e9, 2e9 2e9, 1e9 1e9))")])
    assert away.bounds is None
    assert not away(WHOLE).any()


def test_raster_without_georeferencing_lies_as_qgis_shows_it(tmp_path):
    path = make_raster(tmp_path / "plain.tif", np.ones((30, 40), np.float32))
    mask = PolygonMask(path, [wkb("POLYGON ((3 -2, 9 -2, 9 -7, 3 -7, 3 -2))")])
    np.testing.assert_array_equal(mask(WHOLE), filled((3, 2, 9, 7)))


def test_ground_control_points(tmp_path):
    path = make_raster(tmp_path / "gcp.tif", np.ones((30, 40), np.float32))
    dataset = edit(path)
    points = [(x, y) for x in (0, 20, 40) for y in (0, 15, 30)]
    dataset.SetGCPs([gdal.GCP(1000 + 10 * x, 5000 - 10 * y, 0, x, y) for x, y in points], "")
    dataset = None
    mask = PolygonMask(path, [wkb(f"POLYGON ({on_map(box(5, 6, 17, 20))})")])
    np.testing.assert_array_equal(mask(WHOLE), filled((5, 6, 17, 20)))


@pytest.mark.parametrize(
    ("polygons", "complaint"),
    [
        ([], "no polygon"),
        ([wkb("POINT (1 1)"), wkb("POLYGON EMPTY")], "no polygon"),
        ([b"\x01\x03broken"], "damaged"),
        ([wkb("POLYGON ((0 0, 1e999 0, 1 1, 0 0))")], "cannot be placed"),
    ],
    ids=["none", "others", "damaged", "infinite"],
)
def test_refused(tmp_path, polygons, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        PolygonMask(raster(tmp_path), polygons)


def test_no_raster(tmp_path):
    with pytest.raises(RasterError, match="There is no file"):
        PolygonMask(str(tmp_path / "no.tif"), [])

"""Pages, charts and pictures of reports: well-formed, self-contained, and drawn where they say."""

from __future__ import annotations

import base64
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from speckless.plugin.reports.charts import Series, line_chart, linear_ticks
from speckless.plugin.reports.page import Markup, Page, plus_minus
from speckless.plugin.reports.pictures import (
    colour_bar,
    decibels,
    palette,
    picture,
    png,
    stretch,
)

EVIL = "<script>alert('x')</script> & \"quoted\""


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_page_escapes_all_but_markup():
    page = Page(EVIL, EVIL)
    page.section(EVIL)
    page.text(EVIL)
    page.warning(EVIL)
    page.pairs([(EVIL, EVIL), ("number", 3.5)])
    page.table([EVIL, "b"], [[EVIL, 1], ["c", Markup("<b>bold</b>")]], EVIL, marked=1)
    page.figures([(Markup("<svg></svg>"), EVIL)])
    page.footer(EVIL)
    found = Reader(page.html())
    assert "script" not in found.tags and not found.open
    assert {"h1", "h2", "table", "figure", "svg", "b", "footer"} <= set(found.tags)
    assert sum(EVIL in word for word in found.words) == 13
    assert ("class", "marked") in found.attributes
    assert not [value for name, value in found.attributes if name in ("src", "href", "onload")]


def test_page_needs_nothing_from_elsewhere():
    page = Page("t")
    page.figures([(picture(np.eye(3), 0, 1), "p"), (chart(), "c"), (bar(), "b")])
    found = Reader(page.html())
    sources = [value for name, value in found.attributes if name in ("src", "href")]
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in page.html() and "@import" not in page.html()


def test_rows_must_fit_their_header():
    with pytest.raises(ValueError, match="3 cells under 2"):
        Page("t").table(["a", "b"], [[1, 2, 3]])


def test_page_is_written_whole(tmp_path):
    page = Page("Grüße")
    page.write(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == page.html()
    with pytest.raises(OSError):
        page.write(tmp_path / "no" / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize(
    ("value", "error", "wanted"),
    [
        (0.083048, 0.0206, "0.083 ± 0.021"), (-0.00257916, 0.0036615, "−0.0026 ± 0.0037"),
        (1234.5, 56.7, "1234 ± 57"), (3.0, 0.0, "3"), (1e-9, 2e-9, "1e−09 ± 2e−09"),
        (2.0, math.nan, "2"),
    ],
)  # fmt: skip
def test_values_have_the_digits_of_their_error(value, error, wanted):
    assert plus_minus(value, error) == wanted
    assert plus_minus(abs(value), error, signed=True) == "+" + wanted.lstrip("−")


def decoded(data):
    """Red, green, blue and opacity of a PNG, by another program: (4, rows, columns)."""
    gdal = pytest.importorskip("osgeo.gdal")
    gdal.FileFromMemBuffer("/vsimem/picture.png", data)
    try:
        dataset = gdal.Open("/vsimem/picture.png")
        index = dataset.GetRasterBand(1).ReadAsArray()
        table = dataset.GetRasterBand(1).GetColorTable()
        colours = np.array([table.GetColorEntry(n) for n in range(table.GetCount())])
        dataset = None
    finally:
        gdal.Unlink("/vsimem/picture.png")
    return np.moveaxis(colours[index], -1, 0)


def test_png_shows_the_numbers():
    values = np.array([[0.0, 5.0, 10.0], [-9.0, 99.0, np.nan]])
    red, green, blue, opacity = decoded(png(values, 0, 10))
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)
    np.testing.assert_allclose(red[0], [0, 127.5, 255], atol=1)
    assert red[1, 0] == 0 and red[1, 1] == 255
    np.testing.assert_array_equal(opacity, [[255] * 3, [255, 255, 0]])


def test_png_of_many_numbers_is_exact_to_a_step():
    values = np.random.default_rng(0).uniform(-3, 7, (37, 53))
    red = decoded(png(values, -3, 7))[0]
    assert np.abs(red / 255 * 10 - 3 - values).max() < 10 / 254


def test_colour_maps_go_from_low_to_high():
    for name in ("gray", "viridis"):
        light = palette(name) @ [0.2126, 0.7152, 0.0722]
        assert palette(name).shape == (255, 3) and np.all(np.diff(light) >= -1)
        assert light[-1] - light[0] > 150
    middle = palette("diverging")[127]
    assert middle.min() > 230
    with pytest.raises(ValueError, match="no palette 'jet'"):
        palette("jet")


@pytest.mark.parametrize(
    ("values", "low", "high"), [(np.ones(3), 0, 1), (np.ones((0, 3)), 0, 1), (np.eye(2), 1, 1)]
)
def test_png_refuses_what_is_no_picture(values, low, high):
    with pytest.raises(ValueError):
        png(values, low, high)


def test_stretch_leaves_out_the_ends_and_what_is_no_number():
    values = np.r_[np.linspace(0, 100, 101), np.nan, np.inf, -np.inf]
    assert stretch(values) == (2.0, 98.0)
    assert stretch(np.array([np.nan])) == (0.0, 1.0)
    low, high = stretch(np.full(5, 7.0))
    assert low < 7 < high
    np.testing.assert_allclose(decibels(np.array([1.0, 10, 0, -1])), [0, 10, np.nan, np.nan])


def bar():
    return colour_bar(0, 1, "viridis", "slope a")


def chart(**options):
    series = [Series("one", [0, 1, 2], [3.0, 2.0, 2.5], [0.2, 0.1, 0.3])]
    return line_chart(options.pop("series", series), "epoch", "risk", **options)


def svg(text):
    """Elements by name, without the namespace."""
    tree = ElementTree.fromstring(text)
    found = {}
    for element in tree.iter():
        found.setdefault(element.tag.split("}")[-1], []).append(element)
    return found


def coordinates(element):
    return [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]


def test_points_stand_at_their_places_between_the_ticks():
    found = svg(chart())
    (line,) = found["polyline"]
    (x0, y0), (x1, y1), (x2, y2) = coordinates(line)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert (y1 - y0) / (y1 - y2) == pytest.approx(1.0 / 0.5, rel=0.02)
    assert y0 < y2 < y1  # upwards is less in SVG
    texts = {text.text: text for text in found["text"]}
    assert {"epoch", "risk", "0", "1", "2"} <= set(texts)
    assert float(texts["1"].get("x")) == pytest.approx(x1, abs=0.1)
    assert len(found["circle"]) == 3


def test_error_bars_reach_as_far_as_the_error():
    found = svg(chart())
    points = coordinates(found["polyline"][0])
    scale = (points[1][1] - points[0][1]) / 1.0  # pixels a unit of y
    colour = found["polyline"][0].get("stroke")
    upright = [
        line for line in found["line"]
        if line.get("stroke") == colour and line.get("x1") == line.get("x2")
    ]  # fmt: skip
    lengths = [abs(float(line.get("y2")) - float(line.get("y1"))) for line in upright]
    np.testing.assert_allclose(lengths, 2 * scale * np.array([0.2, 0.1, 0.3]), atol=0.3)


def test_logarithmic_axes():
    series = [Series("a", [0.1, 1, 10, 100], [1, 10, 100, 1000], [0, 30, 0, 0])]
    found = svg(chart(series=series, log_x=True, log_y=True))
    places = np.diff(np.array(coordinates(found["polyline"][0])), axis=0)
    np.testing.assert_allclose(places, np.tile(places[0], (3, 1)), atol=0.2)
    texts = [text.text for text in found["text"]]
    assert {"0.1", "1", "10", "100", "1000"} <= set(texts)


def test_what_cannot_be_drawn_is_left_out():
    series = [
        Series("a", [1, 2, 3, 4], [1, math.nan, 3, 4], [math.nan, 1, math.inf, 0.1]),
        Series("b", [-1, 2], [5, 6], dashed=True),
    ]
    found = svg(chart(series=series, log_x=True))
    assert [len(coordinates(line)) for line in found["polyline"]] == [3, 1]
    assert {"a", "b"} <= {text.text for text in found["text"]}
    with pytest.raises(ValueError, match="no point"):
        chart(series=[Series("a", [1], [math.nan])])
    with pytest.raises(ValueError, match="different lengths"):
        chart(series=[Series("a", [1], [1, 2])])


@pytest.mark.parametrize("y", [[5.0], [5.0, 5.0], [0.0, 0.0], [1e-9, 2e-9], [-1e12, 1e12]])
@pytest.mark.parametrize("options", [{}, {"zero_line": True}, {"marked_x": 1, "integer_x": True}])
def test_odd_data_keep_within_the_drawing(y, options):
    series = [Series("a", list(range(len(y))), y, [0.0] * len(y))]
    text = chart(series=series, width=400, height=250, **options)
    assert "nan" not in text and "inf" not in text
    for x, y_place in coordinates(svg(text)["polyline"][0]):
        assert 0 <= x <= 400 and 0 <= y_place <= 250


def test_names_are_escaped():
    text = chart(series=[Series(EVIL, [1], [2]), Series("b", [1], [3])], title=EVIL)
    assert EVIL in {element.text for element in svg(text)["text"]}
    assert "<script" not in text


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.012, 0.031, [0.015, 0.02, 0.025, 0.03]), (-1, 1, None)],
)
def test_ticks_are_round(low, high, wanted):
    ticks = linear_ticks(low, high)
    assert 3 <= len(ticks) <= 8
    if wanted:
        np.testing.assert_allclose(ticks, wanted, atol=1e-12)


def test_ticks_have_the_digits_that_tell_them_apart():
    series = [Series("a", [0, 1], [1.0001, 1.0005])]
    texts = [t.text for t in svg(chart(series=series))["text"] if re.match(r"1\.\d+$", t.text)]
    assert len(texts) == len(set(texts)) >= 3


@pytest.mark.parametrize(
    ("y", "wanted"),
    [
        ([1e-6, 3e-6], {"1·10⁻⁶", "2·10⁻⁶"}), ([0, 3e7], {"0", "1·10⁷"}),
        ([-200, 5000], {"0", "1000"}), ([-0.02, 0.01], {"−0.01", "0"}),
        ([1.25e9, 1.5e9], {"1.3·10⁹"}),
    ],
)  # fmt: skip
def test_numbers_are_written_as_in_print(y, wanted):
    found = svg(chart(series=[Series("a", [0, 1], y)]))
    assert wanted <= {text.text for text in found["text"]}


def test_colour_bar_names_its_ends():
    found = svg(bar())
    assert [text.text for text in found["text"]] == ["0", "0.5", "1"]
    data = found["image"][0].get("href").split(",")[1]
    assert base64.b64decode(data).startswith(b"\x89PNG")

"""What the section of the areas shows: icons, words, numbers and the histogram."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QImage, QPalette
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QLabel

from speckless.plugin.core.area_statistics import AreaStatistics, area_statistics
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.gui.areas_section import DESPECKLED, AreasSection
from speckless.plugin.gui.widgets import theme_icon

GUI = Path(__file__).resolve().parents[2] / "plugin" / "gui"


def measured(looks: float = 4, domain: str = "intensity", side: int = 80) -> AreaStatistics:
    rng = np.random.default_rng(0)
    z, x = simulate_speckle((side, side), looks, rng), simulate_speckle((side, side), 80, rng)
    return area_statistics(z, None, x, domain=domain)


def feature(identifier: int, name: str) -> QgsFeature:
    layer = QgsVectorLayer("Polygon?field=name:string", "areas", "memory")
    made = QgsFeature(layer.fields(), identifier)
    made.setAttributes([name])
    made.setGeometry(QgsGeometry.fromWkt("POLYGON((0 0, 1 0, 1 1, 0 0))"))
    return made


@pytest.fixture
def section(plugin: Any, qtbot: Any) -> AreasSection:
    made = AreasSection()
    qtbot.addWidget(made)
    made.resize(290, 700)
    made.show()
    return made


def test_icons_are_there(plugin: Any) -> None:
    calls = re.compile(r'(?:theme_icon|_action)\(\s*"(\w+)"')
    names = {name for path in GUI.glob("*.py") for name in calls.findall(path.read_text())}
    names |= {"mActionAddPolygon", "mActionVertexTool", "mActionAddBasicRectangle"}
    assert len(names) > 10
    empty = [name for name in names if theme_icon(name).pixmap(16, 16).isNull()]
    assert empty == []


def test_buttons_explain_themselves_and_take_the_keyboard(section: AreasSection) -> None:
    buttons = [b for b in section.findChildren(QAbstractButton) if b.isVisibleTo(section)]
    silent = [b.text() for b in buttons if not b.toolTip() and b.objectName() != "mCollapseButton"]
    assert silent in ([], [""])  # QGIS's own button that folds the section
    tools = section.tools
    for button in [tools.suggest, section.use, *section.which.buttons()]:
        assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert tools.layers in [label.buddy() for label in section.findChildren(QLabel)]


def test_section_fits_a_narrow_panel(section: AreasSection) -> None:
    section.show_live(measured(), "")
    assert section.minimumSizeHint().width() <= 300
    # No number is cut off.
    for label in section.numbers.findChildren(QLabel):
        assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width(), label.text()


def test_numbers_of_both_images(section: AreasSection) -> None:
    found = measured()
    section.show_live(found, "")
    cells = section.numbers
    assert float(cells.text("enl", 1)) == pytest.approx(found.original.enl, rel=0.01)
    assert float(cells.text("enl", 2)) == pytest.approx(found.despeckled.enl, rel=0.01)
    gain = float(cells.text("gain", 2).strip("× "))
    assert gain == pytest.approx(found.enl_gain, rel=0.01)
    first = float(cells.text("correlation_x", 1))
    second = float(cells.text("correlation_y", 1))
    assert first == pytest.approx(found.original.correlation_x, abs=0.006)
    assert second == pytest.approx(found.original.correlation_y, abs=0.006)
    assert float(cells.text("ratio", 2)) == pytest.approx(found.mean_ratio, rel=1e-3)
    section.show_live(None, "")
    assert cells.text("gain", 2) == cells.text("correlation_x", 1) == "–"


def test_too_small_is_said(section: AreasSection) -> None:
    section.show_live(measured(side=8), "")
    assert "draw an area of about" in section.remark.text()


@pytest.mark.parametrize(
    ("looks", "domain", "law"),
    [
        (4, "intensity", "Gamma, L = "),
        (4, "amplitude", "Nakagami, L = "),
        (1, "intensity", "Exponential, L = "),
        (1, "amplitude", "Rayleigh, L = "),
    ],
)
def test_histogram_names_its_law(
    section: AreasSection, looks: float, domain: str, law: str
) -> None:
    section.show_live(measured(looks, domain), "")
    assert section.histogram.title.startswith(law)
    assert float(section.histogram.title.rpartition(" ")[2]) == pytest.approx(looks, rel=0.1)


def test_histogram_is_of_the_image_chosen(section: AreasSection) -> None:
    found = measured()
    section.show_live(found, "")
    section.which.button(DESPECKLED).click()
    assert float(section.histogram.title.rpartition(" ")[2]) > 60
    section.show_live(area_statistics(np.ones((4, 4)) + np.eye(4)), "")
    assert not section.which.button(DESPECKLED).isEnabled()
    assert float(section.histogram.title.rpartition(" ")[2]) < 60


def painted(image: QImage) -> list[list[QColor]]:
    return [[image.pixelColor(x, y) for x in range(image.width())] for y in range(image.height())]


@pytest.mark.parametrize(("text", "base"), [("#111111", "#ffffff"), ("#eeeeee", "#202020")])
def test_histogram_is_painted_in_the_colours_of_the_theme(
    section: AreasSection, text: str, base: str
) -> None:
    view = section.histogram
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Base, QColor(base))
    palette.setColor(QPalette.ColorRole.Text, QColor(text))
    palette.setColor(QPalette.ColorRole.Highlight, QColor("#ff0000"))
    view.setPalette(palette)
    view.resize(240, 96)
    section.show_live(measured(), "")
    pixels = painted(view.grab().toImage())
    assert pixels[2][120].name() == base
    reds = [
        (x, y)
        for y, row in enumerate(pixels)
        for x, colour in enumerate(row)
        if colour.red() > 200 and colour.green() < 60 and colour.blue() < 60
    ]
    # The curve goes all the way across, and rises to near the top.
    assert len({x for x, _ in reds}) > 180
    assert min(y for _, y in reds) < 40 < 60 < max(y for _, y in reds)
    # Bars stand below the curve's peak.
    peak = min(reds, key=lambda at: at[1])
    assert pixels[65][peak[0]].name() != base


def test_list_renames_and_shows_locks(section: AreasSection, qtbot: Any) -> None:
    section.set_features([feature(1, "one"), feature(2, "two")], 2, {1})
    told = []
    section.list.renamed.connect(lambda *found: told.append(found))
    section.show_measured(2, measured(), "")
    assert told == [], "filling the list is no renaming"
    assert section.list.topLevelItem(1).text(1) == "6400"
    assert not section.list.topLevelItem(0).icon(1).isNull()
    section.list.topLevelItem(1).setText(0, " lake ")
    assert told == [(2, "lake")]
    assert section.current() == 2
    assert not section.tools.lock.isChecked()
    section.list.setCurrentItem(section.list.topLevelItem(0))
    assert section.tools.lock.isChecked()


def test_delete_is_a_key_of_the_list(section: AreasSection) -> None:
    section.set_features([feature(1, "one")], 1)
    asked = []
    section.delete_asked.connect(asked.append)
    section.list.setFocus()
    QTest.keyClick(section.list, Qt.Key.Key_Delete)
    assert asked == [[1]]


def test_words_come_and_go(section: AreasSection) -> None:
    section.tell("Area 1 is locked")
    assert section.message.isVisible()
    section.show_live(measured(), "")
    assert not section.message.isVisible()


def test_enl_is_taken_for_looks(section: AreasSection) -> None:
    taken = []
    section.looks_taken.connect(taken.append)
    assert not section.use.isEnabled()
    found = measured()
    section.show_live(found, "")
    section.use.click()
    assert taken == [found.original.enl]

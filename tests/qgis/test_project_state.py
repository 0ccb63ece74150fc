"""What a saved project keeps of the dock, without a window: entries, layers found again, areas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from speckless.plugin.gui import area_layer
from speckless.plugin.gui.project_state import areas_state, fill_areas, find_layer, read, write

WKT = "Polygon ((0.1 0, 10 0, 10 7.3, 0.1 0))"


@pytest.fixture
def project(plugin: Any) -> Iterator[QgsProject]:
    project = QgsProject.instance()
    project.clear()
    yield project
    project.clear()


def raster(path: str, name: str) -> QgsRasterLayer:
    layer = QgsRasterLayer(path, name)
    assert layer.isValid()
    return layer


def areas(*names: str) -> QgsVectorLayer:
    layer = QgsVectorLayer(
        "Polygon?crs=EPSG:32631&field=name:string(80)&field=locked:integer", "Areas", "memory"
    )
    layer.setCustomProperty(area_layer.MARK, "1")
    features = []
    for number, name in enumerate(names):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(WKT))
        feature.setAttribute("name", name)
        if number:
            feature.setAttribute("locked", 1)
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer


def test_entries_are_in_the_file(project: QgsProject, tmp_path: Path) -> None:
    path = str(tmp_path / "project.qgz")
    project.writeProject.connect(on_write := lambda _: write("dock", {"knob": 0.1 + 0.2}))
    try:
        assert project.write(path)
    finally:
        project.writeProject.disconnect(on_write)
    project.clear()
    assert read("dock") is None
    assert project.read(path)
    assert read("dock") == {"version": 1, "knob": 0.1 + 0.2}
    write("dock", None)
    assert read("dock") is None


def test_entries_of_others_are_no_state(project: QgsProject) -> None:
    for text in ("", "no JSON", "[1]", '{"version": 99}'):
        project.writeEntry("speckless", "dock", text)
        assert read("dock") is None


def test_layer_is_found_again(project: QgsProject, scene: str) -> None:
    first, second = raster(scene, "first"), raster(scene, "second")
    both = [first, second]
    known = {"id": second.id(), "name": "first", "path": scene}
    assert find_layer(both, known) is second
    # Added anew, it has another id.
    assert find_layer(both, {**known, "id": "gone", "name": "second"}) is second
    assert find_layer(both, {**known, "id": "gone", "name": "renamed"}) is first
    assert find_layer(both, {"id": "gone", "name": "first", "path": "/other.tif"}) is None


def test_areas_in_memory_come_back(project: QgsProject, tmp_path: Path) -> None:
    layer = areas("lake", "field")
    project.addMapLayer(layer)
    write("areas", areas_state(layer))
    path = str(tmp_path / "project.qgz")
    assert project.write(path)
    project.clear()
    assert project.read(path)
    layer = area_layer.find()
    assert layer is not None
    assert layer.featureCount() == 0  # QGIS does not keep them
    assert fill_areas(layer, read("areas"))
    found = [(f.geometry().asWkt(3), f["name"], f["locked"] == 1) for f in layer.getFeatures()]
    shape = QgsGeometry.fromWkt(WKT).asWkt(3)
    assert found == [(shape, "lake", False), (shape, "field", True)]
    # Once is enough.
    assert not fill_areas(layer, read("areas"))
    assert layer.featureCount() == 2


def test_damaged_areas_are_left_out(project: QgsProject) -> None:
    layer = areas()
    assert not fill_areas(layer, {"features": [["not hexadecimal", {}]]})
    assert not fill_areas(layer, {})
    assert layer.featureCount() == 0

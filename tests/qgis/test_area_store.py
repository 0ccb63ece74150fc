"""Areas in their layer: edited, undone and saved as QGIS does, and locked as it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QObject

from speckless.plugin.gui import area_layer
from speckless.plugin.gui.area_store import AreaStore

UTM = QgsCoordinateReferenceSystem("EPSG:32631")


def box(x: float, y: float, side: float = 10) -> QgsGeometry:
    return QgsGeometry.fromWkt(
        f"POLYGON(({x} {y}, {x + side} {y}, {x + side} {y + side}, {x} {y + side}, {x} {y}))"
    )


@pytest.fixture
def store(plugin: Any, scene: str) -> Iterator[AreaStore]:
    QgsProject.instance().clear()
    # The project owns it: no layer may outlive QGIS.
    raster = QgsProject.instance().addMapLayer(QgsRasterLayer(scene, "scene"))
    parent = QObject()
    made = AreaStore(lambda: raster, parent)
    made.edited.connect(made.keep_locked)
    made.words = []
    made.told.connect(made.words.append)
    made.open()
    yield made
    made.close()
    QgsProject.instance().clear()


def outlines(store: AreaStore) -> list[str]:
    return sorted(feature.geometry().asWkt(0) for feature in store.features())


def test_areas_are_named_coloured_and_undone(store: AreaStore) -> None:
    first, second = store.add([box(0, 0), box(20, 0)], UTM)
    [third] = store.add([box(40, 0)], UTM)
    layer = store.layer
    assert area_layer.is_areas(layer)
    assert layer.crs() == UTM
    assert layer.isEditable()
    names = [feature["name"] for feature in store.features()]
    assert sorted(names) == ["Area 1", "Area 2", "Area 3"]
    assert len({feature["colour"] for feature in store.features()}) == 3
    store.rename(second, "Lake")
    store.recolour([second, third], "#010203")
    assert layer.getFeature(second)["name"] == "Lake"
    assert area_layer.colour_of(layer.getFeature(third)).name() == "#010203"
    store.move(first, box(100, 100))
    assert box(100, 100).asWkt(0) in outlines(store)
    # Each deed is a step of QGIS's own undo stack.
    assert layer.undoStack().count() == 5
    store.undo()
    assert box(0, 0).asWkt(0) in outlines(store)
    store.undo(True)
    assert box(100, 100).asWkt(0) in outlines(store)
    store.remove([first, third])
    assert [feature.id() for feature in store.features()] == [second]
    store.undo()
    assert len(store.features()) == 3
    # A name given up is given again, not twice.
    store.remove([third])
    [fourth] = store.add([box(60, 0)], UTM)
    assert layer.getFeature(fourth)["name"] == "Area 2"
    store.save()
    assert not layer.isEditable()
    assert layer.dataProvider().featureCount() == 3
    assert store.words == []


def test_layer_without_areas_comes_with_the_raster(plugin: Any) -> None:
    parent = QObject()
    store = AreaStore(lambda: None, parent)
    words: list[str] = []
    store.told.connect(words.append)
    assert store.add([box(0, 0)], UTM) == []
    assert words == ["Choose a raster first."]


def test_locked_areas_stay(store: AreaStore, qtbot: Any) -> None:
    first, second = store.add([box(0, 0), box(20, 0)], UTM)
    store.lock([first], True)
    assert store.locked() == {first}
    before = outlines(store)
    store.move(first, box(50, 50))
    store.remove([first, second])
    assert outlines(store) == [box(0, 0).asWkt(0)]
    assert len(store.words) == 2
    assert "Area 1 is locked" in store.words[0]
    store.undo()
    assert outlines(store) == before
    # QGIS's vertex tool and its Delete know nothing of locks.
    layer = store.layer
    layer.changeGeometry(first, box(50, 50))
    qtbot.waitUntil(lambda: outlines(store) == before)
    layer.deleteFeature(first)
    qtbot.waitUntil(lambda: outlines(store) == before)
    [locked] = store.locked()
    assert layer.getFeature(locked)["name"] == "Area 1"
    # Saved and rolled back it is not taken for moved or deleted.
    store.save()
    qtbot.wait(50)
    assert outlines(store) == before
    assert len(store.locked()) == 1
    layer.startEditing()
    layer.rollBack()
    qtbot.wait(50)
    assert outlines(store) == before
    store.lock(list(store.locked()), False)
    store.remove([feature.id() for feature in store.features()])
    assert outlines(store) == []


def test_rolled_back_new_areas_are_gone_though_locked(store: AreaStore, qtbot: Any) -> None:
    [first] = store.add([box(0, 0)], UTM)
    store.lock([first], True)
    store.layer.rollBack()
    qtbot.wait(50)
    assert outlines(store) == []


def test_areas_move_to_a_geopackage(store: AreaStore, tmp_path: Path) -> None:
    first, _ = store.add([box(0, 0), box(20, 0)], UTM)
    store.rename(first, "Lake")
    temporary = store.layer.id()
    path = tmp_path / "areas.gpkg"
    store.save_as(str(path))
    layer = store.layer
    assert layer.dataProvider().storageType() == "GPKG"
    assert QgsProject.instance().mapLayer(temporary) is None
    assert sorted(feature["name"] for feature in store.features()) == ["Area 2", "Lake"]
    store.add([box(40, 0)], UTM)
    store.save()
    # Opened another day it has its areas and its style.
    again = QgsVectorLayer(layer.source(), "again", "ogr")
    assert again.featureCount() == 3
    symbol = again.renderer().symbol().symbolLayer(0)
    assert symbol.dataDefinedProperties().hasActiveProperties()
    store.save_as("/no/such/folder/areas.gpkg")
    assert "cannot be saved" in store.words[-1]
    assert store.layer is layer


def test_other_layers_of_a_geopackage_stay(store: AreaStore, tmp_path: Path) -> None:
    from qgis.core import QgsVectorFileWriter

    path = str(tmp_path / "mine.gpkg")
    mine = QgsVectorLayer("Point?field=a:integer", "mine", "memory")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", "mine"
    context = QgsProject.instance().transformContext()
    QgsVectorFileWriter.writeAsVectorFormatV3(mine, path, context, options)
    store.add([box(0, 0)], UTM)
    store.save_as(path)
    assert QgsVectorLayer(f"{path}|layername=mine", "mine", "ogr").isValid()
    assert len(store.features()) == 1


def test_own_polygon_layers_will_do(store: AreaStore) -> None:
    own = QgsVectorLayer("MultiPolygon?crs=EPSG:4326&field=name:double", "own", "memory")
    QgsProject.instance().addMapLayer(own)
    assert area_layer.is_polygons(own)
    assert not area_layer.is_polygons(QgsVectorLayer("Point", "points", "memory"))
    store.set_layer(own)
    [first] = store.add([box(500000, 4600000, 1000)], UTM)
    feature = own.getFeature(first)
    assert feature.geometry().isMultipart()
    assert 2.9 < feature.geometry().boundingBox().xMinimum() < 3.1
    assert not feature["name"]  # a number of the user's own is no place for a name
    store.lock([first], True)
    assert store.locked() == {first}
    store.remove([first])
    assert len(store.features()) == 1
    store.recolour([first], "#000000")
    assert "no field 'colour'" in store.words[-1]


def test_read_only_layers_say_so(store: AreaStore) -> None:
    own = QgsVectorLayer("Polygon?crs=EPSG:32631", "own", "memory")
    own.setReadOnly(True)
    QgsProject.instance().addMapLayer(own)
    store.set_layer(own)
    assert store.add([box(0, 0)], UTM) == []
    assert "read-only" in store.words[-1]


def test_layer_comes_and_goes_with_the_project(store: AreaStore) -> None:
    store.add([box(0, 0)], UTM)
    told = []
    store.layer_changed.connect(told.append)
    QgsProject.instance().removeMapLayer(store.layer.id())
    assert store.layer is None
    assert told == [None]
    layer = QgsVectorLayer("Polygon?crs=EPSG:32631", "kept", "memory")
    layer.setCustomProperty(area_layer.MARK, "1")
    feature = QgsFeature()
    feature.setGeometry(box(0, 0))
    layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    assert store.layer is layer
    assert outlines(store) == [box(0, 0).asWkt(0)]

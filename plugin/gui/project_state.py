"""What the project file keeps of the dock: layer, model, knob, and areas only in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from qgis.core import (
    NULL,
    QgsFeature,
    QgsGeometry,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QObject

from ..toolbelt import log
from . import area_layer

if TYPE_CHECKING:
    from .dock import SpecklessDock

SCOPE = "speckless"
_VERSION = 1


class ProjectState(QObject):
    """Writes the dock's state into the project when it is saved, and takes it from one opened.

    Only then: turning the knob does not make a project one to be saved.

    Parameters
    ----------
    dock : SpecklessDock
    """

    def __init__(self, dock: SpecklessDock) -> None:
        super().__init__(dock)
        self._dock = dock
        project = QgsProject.instance()
        project.writeProject.connect(self._on_write)
        project.readProject.connect(self._on_read)
        # The plugin may be loaded when the project is open already.
        self._on_read()

    def close(self) -> None:
        """Take no more notice of projects."""
        project = QgsProject.instance()
        project.writeProject.disconnect(self._on_write)
        project.readProject.disconnect(self._on_read)

    def _on_write(self, *_: object) -> None:
        write("dock", dock_state(self._dock))
        areas = area_layer.find()
        write("areas", None if areas is None else areas_state(areas))

    def _on_read(self, *_: object) -> None:
        areas, layer = read("areas"), area_layer.find()
        if areas is not None and layer is not None and fill_areas(layer, areas):
            self._dock.areas.refresh()
        state = read("dock")
        if state is not None:
            try:
                apply_state(self._dock, state)
            except (KeyError, TypeError, ValueError) as error:
                log.warning(f"The dock's settings in the project cannot be used: {error!r}.")


def write(key: str, value: dict[str, Any] | None) -> None:
    """Put an entry into the project, or take it out."""
    project = QgsProject.instance()
    if value is None:
        project.removeEntry(SCOPE, key)
    else:
        project.writeEntry(SCOPE, key, json.dumps({"version": _VERSION, **value}, default=str))


def read(key: str) -> dict[str, Any] | None:
    """An entry of the project; None where there is none that this version can read."""
    text, found = QgsProject.instance().readEntry(SCOPE, key)
    if not found or not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    is_ours = isinstance(value, dict) and value.get("version") == _VERSION
    return value if is_ours else None


def dock_state(dock: SpecklessDock) -> dict[str, Any] | None:
    """The dock's settings for the layer chosen; None where none is."""
    choices, layer = dock.choices, dock.layer_section.current_layer()
    if layer is None:
        return None
    return {
        "layer": {"id": layer.id(), "name": layer.name(), "path": choices.path},
        "band": choices.band,
        "domain": choices.domain,
        "looks": dock.given_looks,
        "turn": dock.tuning.lasting_turn(),
        "model": choices.model,
        "view": dock.knob_section.views.currentData(),
        "split": dock.knob_section.split.isChecked(),
        "all_bands": dock.run_section.all_bands.isChecked(),
        "output": dock.run_section.output.filePath(),
    }


def apply_state(dock: SpecklessDock, state: dict[str, Any]) -> None:
    """Choose the layer again, and for it what was chosen.

    Raises
    ------
    KeyError, TypeError, ValueError
        When the state is none of ours.
    """
    turn = float(state["turn"])
    looks = None if state["looks"] is None else float(state["looks"])
    if turn <= 0 or (looks is not None and looks <= 0):
        raise ValueError(f"looks {looks}, knob {turn}")
    layer = find_layer(QgsProject.instance().mapLayers().values(), state["layer"])
    if layer is None:
        return
    section = dock.layer_section
    section.layers.setLayer(layer)
    if 1 <= int(state["band"]) <= layer.bandCount():
        section.bands.setBand(int(state["band"]))
    section.choose_domain(state["domain"])
    models = dock.model_section.models
    if models.findData(state["model"]) >= 0:
        models.setCurrentIndex(models.findData(state["model"]))
    else:
        log.warning(f"The project's model {state['model']} is not installed.")
    dock.take_looks(looks, turn)
    views = dock.knob_section.views
    views.setCurrentIndex(max(views.findData(state["view"]), 0))
    dock.knob_section.split.setChecked(bool(state["split"]))
    dock.run_section.all_bands.setChecked(bool(state["all_bands"]) and layer.bandCount() > 1)
    dock.run_section.output.setFilePath(str(state["output"]))


def find_layer(layers: Iterable[QgsMapLayer], wanted: dict[str, str]) -> QgsRasterLayer | None:
    """The raster of an id, or else of a source and a name, or else of a source."""
    rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer)]
    of_source = [layer for layer in rasters if layer.source() == wanted["path"]]
    for found in (
        [layer for layer in rasters if layer.id() == wanted["id"]],
        [layer for layer in of_source if layer.name() == wanted["name"]],
        of_source,
    ):
        if found:
            return found[0]
    return None


def areas_state(layer: QgsVectorLayer) -> dict[str, Any] | None:
    """Features of a layer in memory, which QGIS does not save; None for any other layer."""
    if layer.providerType() != "memory":
        return None
    names = layer.fields().names()
    features = []
    for feature in layer.getFeatures():
        values = [None if value == NULL else value for value in feature.attributes()]
        features.append([bytes(feature.geometry().asWkb()).hex(), dict(zip(names, values))])
    return {"layer": layer.id(), "features": features}


def fill_areas(layer: QgsVectorLayer, state: dict[str, Any]) -> bool:
    """Give a layer in memory that came back empty its features again; tell whether it did."""
    if layer.providerType() != "memory" or layer.featureCount() or not layer.isValid():
        return False
    features = []
    try:
        for wkb, values in state["features"]:
            geometry = QgsGeometry()
            geometry.fromWkb(bytes.fromhex(wkb))
            feature = QgsFeature(layer.fields())
            feature.setGeometry(geometry)
            for name in set(values) & set(layer.fields().names()):
                feature.setAttribute(name, values[name])
            features.append(feature)
    except (KeyError, TypeError, ValueError) as error:
        log.warning(f"The areas in the project cannot be read: {error!r}.")
        return False
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    layer.triggerRepaint()
    return bool(features)

"""Joins the section of the areas to the areas themselves."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QObject

from .area_tools import EDIT
from .areas import Areas
from .areas_section import AreasSection
from .suggesting import Suggesting

translate = QCoreApplication.translate


class AreasWiring(QObject):
    """Passes what the user does to the areas, and what becomes of them to the section.

    Parameters
    ----------
    section : AreasSection
    areas : Areas
    suggesting : Suggesting
    is_ready : callable
        Whether there is a raster to measure.
    """

    def __init__(
        self,
        section: AreasSection,
        areas: Areas,
        suggesting: Suggesting,
        is_ready: Callable[[], bool],
    ) -> None:
        super().__init__(areas)
        self._section, self._areas, self._is_ready = section, areas, is_ready
        tools, store = section.tools, areas.store
        tools.tool_toggled.connect(self._on_tool)
        tools.layer_chosen.connect(self._on_layer_chosen)
        tools.new_asked.connect(store.new_layer)
        tools.save_as_asked.connect(store.save_as)
        tools.suggest_asked.connect(suggesting.start)
        tools.undo.triggered.connect(lambda: store.undo(False))
        tools.redo.triggered.connect(lambda: store.undo(True))
        tools.save.triggered.connect(store.save)
        section.selected.connect(areas.select)
        section.zoom_asked.connect(areas.zoom_to)
        section.delete_asked.connect(store.remove)
        section.lock_asked.connect(store.lock)
        section.colour_asked.connect(store.recolour)
        section.list.renamed.connect(store.rename)
        areas.live.connect(section.show_live)
        areas.changed.connect(self._on_areas)
        areas.measured.connect(section.show_measured)
        areas.tool_left.connect(self._on_tool_left)
        store.layer_changed.connect(tools.set_layer)
        store.told.connect(section.tell)
        suggesting.told.connect(section.tell)
        suggesting.found.connect(self._on_found)
        tools.set_layer(store.layer)

    def _on_tool(self, tool: str) -> None:
        if tool and not self._is_ready():
            self._section.set_tool("")
            self._section.show_live(None, translate("Speckless", "Choose a raster first."))
        elif tool == EDIT:
            self._areas.edit()
            self._section.set_tool(tool)
        elif tool:
            self._areas.draw(tool)
            self._section.set_tool(tool)
        else:
            self._areas.stop_drawing()

    def _on_tool_left(self) -> None:
        self._section.set_tool("")

    def _on_layer_chosen(self, layer: QgsVectorLayer | None) -> None:
        self._areas.store.set_layer(layer)

    def _on_areas(self) -> None:
        areas, layer = self._areas, self._areas.layer
        self._section.set_features(
            areas.features(),
            areas.chosen,
            areas.store.locked(),
            layer is not None and layer.isEditable(),
        )

    def _on_found(self, outlines: object, crs: object) -> None:
        self._areas.add(outlines, crs, translate("Speckless", "Suggested {number}"))

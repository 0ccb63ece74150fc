"""Areas on the map: drawn, kept in their layer, outlined over the preview, and measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsCsException, QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor

from ...processing_provider.areas import area_in_raster
from ..core.errors import Cancelled, SpecklessError
from ..jobs.areas import AreaRequest, PixelCache, measure_drawn
from ..jobs.pictures import Picture
from ..jobs.statistics import AreaRecord
from . import area_layer
from .area_store import AreaStore
from .background import Background
from .edit_tool import AreaEditTool, Editable
from .live import Live
from .map_tools import AreaTool

# What is measured: path, band, domain, and the raster's layer; None where nothing can be.
Subject = tuple[str, int, str, Any]


class Areas(QObject):
    """Keeps list, outlines and numbers in step with the layer.

    Parameters
    ----------
    canvas : QgsMapCanvas
    subject : callable
        Gives what is to be measured now.
    picture : callable
        Gives the preview's picture, or None.
    parent : QObject
    """

    live = pyqtSignal(object, str)  # AreaStatistics or None of the sketch, problem
    changed = pyqtSignal()  # the list
    measured = pyqtSignal(int, object, str)  # feature id, AreaStatistics or None, problem
    tool_left = pyqtSignal()

    def __init__(
        self,
        canvas: QgsMapCanvas,
        subject: Callable[[], Subject | None],
        picture: Callable[[], Picture | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._canvas, self._subject, self._picture = canvas, subject, picture
        self.store = AreaStore(self._raster, self)
        self.store.edited.connect(lambda: self._refresh_timer.start(0))
        self.store.layer_changed.connect(self._on_layer)
        self.tool = AreaTool(canvas)
        self.tool.sketched.connect(self._on_sketch)
        self.tool.finished.connect(self._on_finished)
        self.tool.undo_asked.connect(self.store.undo)
        self.tool.left.connect(self.tool_left)
        self.edit_tool = AreaEditTool(canvas, self._editables)
        self.edit_tool.sketched.connect(self._on_moving)
        self.edit_tool.moved.connect(self._on_moved)
        self.edit_tool.picked.connect(self._on_picked)
        self.edit_tool.refused.connect(self.store.tell_locked)
        self.edit_tool.undo_asked.connect(self.store.undo)
        self.edit_tool.left.connect(self.tool_left)
        self._sketch = Live("sketch", self)
        self._sketch.done.connect(self._take_live)
        self._sketch.failed.connect(self._take_live_failure)
        self._pixels = PixelCache()
        self._all = Background("areas", self)
        self._all.told.connect(self._take_measured)
        self._outlines: dict[int, QgsRubberBand] = {}
        self._selected: int | None = None
        self._selected_outline: QgsGeometry | None = None
        self._over_preview = False
        self._refresh_timer = self._timer(self.refresh)
        self._measure_timer = self._timer(self.measure_all)
        self.store.open()

    def close(self) -> None:
        """Take everything off the canvas and end the threads; the layer stays."""
        self._refresh_timer.stop()
        self._measure_timer.stop()
        self.store.close()
        self._sketch.close()
        self._all.close()
        self._clear_outlines()
        for tool in (self.tool, self.edit_tool):
            tool.close()
            tool.deleteLater()

    @property
    def chosen(self) -> int | None:
        """Feature id of the area emphasised."""
        return self._selected

    @property
    def is_measuring(self) -> bool:
        """Whether numbers of the sketch are on their way."""
        return self._sketch.is_busy

    # ---- tools ----------------------------------------------------------------------------

    def draw(self, shape: str) -> None:
        """Begin to draw areas of a shape."""
        self.tool.set_shape(shape)
        self._canvas.setMapTool(self.tool)

    def edit(self) -> None:
        """Begin to move corners and areas."""
        self._canvas.setMapTool(self.edit_tool)

    def stop_drawing(self) -> None:
        """Put the tools away."""
        self._canvas.unsetMapTool(self.tool)
        self._canvas.unsetMapTool(self.edit_tool)

    # ---- areas ----------------------------------------------------------------------------

    @property
    def layer(self) -> QgsVectorLayer | None:
        """Where the areas are kept."""
        return self.store.layer

    def features(self) -> list[QgsFeature]:
        """Areas there are."""
        return self.store.features()

    def add(self, outlines: list[QgsGeometry], crs: Any, title: str = "") -> None:
        """Add areas in some CRS, named by a title with ``{number}``, and choose the first."""
        added = self.store.add(outlines, crs, title)
        if added:
            self._choose(added[0])
            self._refresh_timer.start(0)

    def zoom_to(self, identifier: int) -> None:
        """Show an area, with some land around it."""
        if self.layer is None:
            return
        geometry = self.layer.getFeature(identifier).geometry()
        if not geometry.isNull():
            settings = self._canvas.mapSettings()
            extent = settings.layerExtentToOutputExtent(self.layer, geometry.boundingBox())
            extent.scale(2.5)
            self._canvas.setExtent(extent)
            self._canvas.refresh()

    def select(self, identifier: int | None) -> None:
        """Emphasise an area."""
        self._choose(identifier)
        for key, outline in self._outlines.items():
            outline.setWidth(4 if key == identifier else 2)

    def set_over_preview(self, shown: bool) -> None:
        """Draw outlines, because a preview covers the layer itself."""
        self._over_preview = shown
        for outline in self._outlines.values():
            outline.setVisible(shown)

    # ---- measuring ------------------------------------------------------------------------

    def measure_soon(self) -> None:
        """Measure all areas anew once what changes has come to rest."""
        self._measure_timer.start(60)

    def refresh(self) -> None:
        """Take over what the layer holds."""
        self._clear_outlines()
        layer, features = self.layer, self.features()
        self._find_chosen(features)
        for feature in features:
            outline = QgsRubberBand(self._canvas, feature.geometry().type())
            outline.setToGeometry(feature.geometry(), layer)
            outline.setStrokeColor(area_layer.colour_of(feature))
            outline.setSecondaryStrokeColor(QColor(0, 0, 0, 130))
            outline.setFillColor(QColor(0, 0, 0, 0))
            outline.setWidth(4 if feature.id() == self._selected else 2)
            outline.setVisible(self._over_preview)
            self._outlines[feature.id()] = outline
        self.store.keep_locked()
        self.edit_tool.show_handles()
        self.changed.emit()
        self.measure_all()

    def measure_all(self) -> None:
        """Measure the areas of the layer one after the other, the chosen one first."""
        subject, layer = self._subject(), self.layer
        features = sorted(self.features(), key=lambda f: f.id() != self._selected)
        if subject is None or layer is None or not features:
            self._all.cancel()
            return
        requests = [(f.id(), self._request(f.geometry(), layer.crs(), subject)) for f in features]
        preview, estimate = self._shown()
        tell = self._all.tell

        def work(is_cancelled: Callable[[], bool]) -> None:
            for identifier, request in requests:
                try:
                    record = measure_drawn(request, preview, estimate, is_cancelled)
                except Cancelled:
                    return
                except SpecklessError as error:
                    record = AreaRecord(0, problem=str(error))
                if is_cancelled():
                    return
                tell((identifier, record))

        self._all.submit(None, work)

    def _measure_live(self, geometry: QgsGeometry, crs: Any, subject: Subject) -> None:
        request = self._request(geometry, crs, subject)
        preview, estimate = self._shown()
        cache = self._pixels
        self._sketch.submit(
            None, lambda stopped: measure_drawn(request, preview, estimate, stopped, cache)
        )

    @staticmethod
    def _request(geometry: QgsGeometry, crs: Any, subject: Subject) -> AreaRequest:
        path, band, domain, raster = subject
        context = QgsProject.instance().transformContext()
        # The very polygon that the algorithm measures.
        return AreaRequest(path, band, area_in_raster(geometry, crs, raster.crs(), context), domain)

    # ---- signals --------------------------------------------------------------------------

    def _on_sketch(self, geometry: QgsGeometry | None) -> None:
        subject = self._subject()
        if geometry is None or subject is None:
            self._sketch.cancel()
            self.live.emit(None, "")
            return
        crs = (self.layer or subject[3]).crs()
        try:
            # As it will be kept: vertices move, sides stay straight in the layer's CRS.
            place = area_layer.transformed(geometry, self._map_crs(), crs)
        except QgsCsException:
            return
        self._measure_live(place, crs, subject)

    def _on_finished(self, geometry: QgsGeometry) -> None:
        if self._subject() is not None:
            self.add([geometry], self._map_crs())

    def _on_moving(self, identifier: int | None, geometry: QgsGeometry | None) -> None:
        subject, layer = self._subject(), self.layer
        if geometry is None or subject is None or layer is None:
            self._sketch.cancel()
            self.live.emit(None, "")
        else:
            self._measure_live(geometry, layer.crs(), subject)

    def _on_moved(self, identifier: int, geometry: QgsGeometry) -> None:
        self.store.move(identifier, geometry)
        self._sketch.cancel()
        self.live.emit(None, "")
        # At once: the next press must find the corner where it is now.
        self.refresh()

    def _on_picked(self, identifier: int) -> None:
        if identifier != self._selected:
            self.select(identifier)
            self.changed.emit()

    def _on_layer(self, _: object) -> None:
        self.edit_tool.reset()
        self._selected = self._selected_outline = None
        self._refresh_timer.start(0)

    def _take_live(self, key: Any, record: AreaRecord) -> None:
        self.live.emit(record.statistics, record.problem)

    def _take_live_failure(self, key: Any, error: Exception) -> None:
        self.live.emit(None, str(error))

    def _take_measured(self, message: tuple[int, AreaRecord]) -> None:
        identifier, record = message
        self.measured.emit(identifier, record.statistics, record.problem)

    # ---- helpers --------------------------------------------------------------------------

    def _editables(self) -> tuple[QgsVectorLayer | None, list[Editable]]:
        layer, locked = self.layer, self.store.locked()
        features = sorted(self.features(), key=lambda f: f.id() != self._selected)
        return layer, [Editable(f.id(), f.geometry(), f.id() in locked) for f in features]

    def _choose(self, identifier: int | None) -> None:
        self._selected, self._selected_outline = identifier, None
        if identifier is not None and self.layer is not None:
            self._selected_outline = self.layer.getFeature(identifier).geometry()

    def _find_chosen(self, features: list[QgsFeature]) -> None:
        """Follow the chosen area: features get other ids when they are saved."""
        outline = self._selected_outline
        if any(feature.id() == self._selected for feature in features):
            self._choose(self._selected)
        elif outline is not None:
            same = [f.id() for f in features if f.geometry().equals(outline)]
            self._choose(same[0] if same else None)

    def _map_crs(self) -> Any:
        return self._canvas.mapSettings().destinationCrs()

    def _shown(self) -> tuple[Any, Any]:
        picture = self._picture()
        return (None, None) if picture is None else (picture.preview, picture.estimate)

    def _raster(self) -> Any:
        subject = self._subject()
        return None if subject is None else subject[3]

    def _timer(self, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(slot)
        return timer

    def _clear_outlines(self) -> None:
        scene = self._canvas.scene()
        for outline in self._outlines.values():
            if scene is not None:
                scene.removeItem(outline)
        self._outlines = {}

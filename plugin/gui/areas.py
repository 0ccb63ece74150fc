"""Areas on the map: drawn, kept in their layer, outlined over the preview, and measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsCsException, QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor

from ..core.errors import Cancelled, SpecklessError
from ..jobs.areas import AreaRequest, measure_drawn
from ..jobs.pictures import Picture
from ..jobs.statistics import AreaRecord
from . import area_layer
from .background import Background
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
        self.layer: QgsVectorLayer | None = None
        self.tool = AreaTool(canvas)
        self.tool.sketched.connect(self._on_sketch)
        self.tool.finished.connect(self._on_finished)
        self.tool.left.connect(self.tool_left)
        self._sketch = Background("sketch", self)
        self._sketch.done.connect(self._take_live)
        self._sketch.failed.connect(self._take_live_failure)
        self._all = Background("areas", self)
        self._all.told.connect(self._take_measured)
        self._outlines: dict[int, QgsRubberBand] = {}
        self._selected: int | None = None
        self._over_preview = False
        self._refresh_timer = self._timer(self.refresh)
        self._measure_timer = self._timer(self.measure_all)
        QgsProject.instance().layersAdded.connect(self._on_layers)
        QgsProject.instance().layersRemoved.connect(self._on_layers)
        self._adopt(area_layer.find())

    def close(self) -> None:
        """Take everything off the canvas and end the threads; the layer stays."""
        QgsProject.instance().layersAdded.disconnect(self._on_layers)
        QgsProject.instance().layersRemoved.disconnect(self._on_layers)
        self._refresh_timer.stop()
        self._measure_timer.stop()
        self._let_go()
        self._sketch.close()
        self._all.close()
        self._clear_outlines()
        self.tool.close()
        self.tool.deleteLater()

    @property
    def chosen(self) -> int | None:
        """Feature id of the area emphasised."""
        return self._selected

    def draw(self, shape: str) -> None:
        """Begin to draw areas of a shape."""
        self.tool.set_shape(shape)
        self._canvas.setMapTool(self.tool)

    def stop_drawing(self) -> None:
        """Put the tool away."""
        self._canvas.unsetMapTool(self.tool)

    def features(self) -> list[QgsFeature]:
        """Areas there are."""
        return [] if self.layer is None else list(area_layer.polygons(self.layer))

    def remove(self, identifiers: list[int]) -> None:
        """Delete areas."""
        if self.layer is not None and identifiers:
            area_layer.remove(self.layer, identifiers)
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
        self._selected = identifier
        for key, outline in self._outlines.items():
            outline.setWidth(4 if key == identifier else 2)

    def set_over_preview(self, shown: bool) -> None:
        """Draw outlines, because a preview covers the layer itself."""
        self._over_preview = shown
        for outline in self._outlines.values():
            outline.setVisible(shown)

    def measure_soon(self) -> None:
        """Measure all areas anew once what changes has come to rest."""
        self._measure_timer.start(60)

    def refresh(self) -> None:
        """Take over what the layer holds."""
        self._clear_outlines()
        for feature in self.features():
            outline = QgsRubberBand(self._canvas, feature.geometry().type())
            outline.setToGeometry(feature.geometry(), self.layer)
            outline.setStrokeColor(area_layer.colour_of(feature))
            outline.setSecondaryStrokeColor(QColor(0, 0, 0, 130))
            outline.setFillColor(QColor(0, 0, 0, 0))
            outline.setWidth(4 if feature.id() == self._selected else 2)
            outline.setVisible(self._over_preview)
            self._outlines[feature.id()] = outline
        self.changed.emit()
        self.measure_all()

    def measure_all(self) -> None:
        """Measure the areas of the layer, one after the other."""
        subject, features, layer = self._subject(), self.features(), self.layer
        if subject is None or layer is None or not features:
            self._all.cancel()
            return
        path, band, domain, raster = subject
        requests = []
        for feature in features:
            try:
                place = area_layer.transformed(feature.geometry(), layer.crs(), raster.crs())
            except QgsCsException:
                continue
            requests.append((feature.id(), AreaRequest(path, band, bytes(place.asWkb()), domain)))
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

    # ---- signals --------------------------------------------------------------------------

    def _on_sketch(self, geometry: QgsGeometry | None) -> None:
        subject = self._subject()
        if geometry is None or subject is None:
            self._sketch.cancel()
            self.live.emit(None, "")
            return
        path, band, domain, raster = subject
        try:
            place = area_layer.moved(geometry, self._canvas, raster)
        except QgsCsException:
            return
        request = AreaRequest(path, band, bytes(place.asWkb()), domain)
        preview, estimate = self._shown()
        self._sketch.submit(
            None, lambda is_cancelled: measure_drawn(request, preview, estimate, is_cancelled)
        )

    def _on_finished(self, geometry: QgsGeometry) -> None:
        subject = self._subject()
        if subject is None:
            return
        if self.layer is None:
            self._adopt(area_layer.create(subject[3]))
        assert self.layer is not None
        area_layer.add(self.layer, geometry, self._canvas)
        newest = max((feature.id() for feature in self.features()), default=None)
        self._selected = newest
        self._refresh_timer.start(0)

    def _on_layers(self, _: object) -> None:
        found = area_layer.find()
        if found is not self.layer:
            self._adopt(found)

    def _take_live(self, key: Any, record: AreaRecord) -> None:
        self.live.emit(record.statistics, record.problem)

    def _take_live_failure(self, key: Any, error: Exception) -> None:
        self.live.emit(None, str(error))

    def _take_measured(self, message: tuple[int, AreaRecord]) -> None:
        identifier, record = message
        self.measured.emit(identifier, record.statistics, record.problem)

    # ---- helpers --------------------------------------------------------------------------

    def _shown(self) -> tuple[Any, Any]:
        picture = self._picture()
        return (None, None) if picture is None else (picture.preview, picture.estimate)

    def _adopt(self, layer: QgsVectorLayer | None) -> None:
        self._let_go()
        self.layer = layer
        if layer is not None:
            for signal in self._signals(layer):
                signal.connect(self._on_edit)
        self._refresh_timer.start(0)

    def _let_go(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and not sip.isdeleted(layer):
            for signal in self._signals(layer):
                signal.disconnect(self._on_edit)

    @staticmethod
    def _signals(layer: QgsVectorLayer) -> list[Any]:
        return [
            layer.geometryChanged, layer.featureAdded, layer.featuresDeleted,
            layer.attributeValueChanged, layer.editingStopped, layer.dataChanged,
        ]  # fmt: skip

    def _on_edit(self, *_: object) -> None:
        # Later: the layer may be in the middle of something.
        self._refresh_timer.start(0)

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

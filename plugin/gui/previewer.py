"""Keeps the preview on the map in step with the canvas, the knob and the choices."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QObject, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QImage

from ..core.display import Colours
from ..core.tiling import Window
from ..jobs.latest import IsCancelled
from ..jobs.pictures import Palette, Picture, draw
from ..jobs.preview import PreviewMaker
from ..jobs.preview_image import Preview
from ..jobs.scene_cache import Scene, SceneCache
from .background import Background
from .choices import Choices
from .places import Cell, mesh, step_for, visible_window
from .preview_item import PreviewItem
from .styles import diverging, layer_table, rising
from .swipe import Swipe

translate = QCoreApplication.translate

# After the last change of the extent; panning by key or wheel comes in steps.
_EXTENT_MILLISECONDS = 200
_KNOB_MILLISECONDS = 120
# A knob that turned between computed values of L comes to rest; then the network itself runs.
_EXACT_MILLISECONDS = 600


class Previewer(QObject):
    """Computes in the background and draws on the canvas.

    Parameters
    ----------
    canvas : QgsMapCanvas
    scenes : SceneCache
    parent : QObject
    """

    drawn = pyqtSignal(object)  # Picture, as it appears
    progressed = pyqtSignal(float)  # 0 to 1
    failed = pyqtSignal(object)  # exception
    idle = pyqtSignal(str)  # why there is no preview
    began = pyqtSignal()  # to use the engine
    rested = pyqtSignal()  # the engine is free again
    # 0 to 1: of what lets the knob of a network turn at once; below 1 it must run again.
    knob_progressed = pyqtSignal(float)

    def __init__(self, canvas: QgsMapCanvas, scenes: SceneCache, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.item = PreviewItem(canvas)
        self.swipe = Swipe(canvas, self.item, self)
        self.picture: Picture | None = None
        self._maker = PreviewMaker(scenes)
        self._compute = Background("preview", self)
        self._paint = Background("picture", self)
        self._compute.told.connect(self._take_part)
        self._compute.failed.connect(self._take_failure)
        self._compute.done.connect(self._take_end)
        self._paint.done.connect(self._show)
        self._paint.failed.connect(self._take_paint_failure)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._request)
        self._layer: QgsRasterLayer | None = None
        self._choices, self._scene = Choices(), None
        self._preview: Preview | None = None
        self._part = 0.0
        self._palette: Palette | None = None
        self._cells: dict[tuple[Window, int], list[Cell]] = {}
        self._active, self._view = False, "despeckled"
        self._needs_engine = False
        canvas.extentsChanged.connect(self._on_extent)
        canvas.destinationCrsChanged.connect(self._on_crs)

    @property
    def is_active(self) -> bool:
        """Whether there is to be a preview."""
        return self._active

    @property
    def needs_engine(self) -> bool:
        """Whether a preview is being computed, or soon will be."""
        return self._needs_engine or self._timer.isActive()

    @property
    def turns_at_once(self) -> bool:
        """Whether the knob turns what is shown without the engine."""
        return self._preview is not None and self._preview.turns_at_once

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return self._timer.isActive() or self._compute.is_busy or self._paint.is_busy

    def close(self) -> None:
        """Take everything off the canvas and end the threads."""
        self._timer.stop()
        self._canvas.extentsChanged.disconnect(self._on_extent)
        self._canvas.destinationCrsChanged.disconnect(self._on_crs)
        self.set_layer(None)
        self._compute.close()
        self._paint.close()
        self.swipe.close()
        self.item.set_picture(None, ())
        scene = self._canvas.scene()
        if scene is not None:
            scene.removeItem(self.item)

    def set_active(self, active: bool) -> None:
        """Turn the preview on or off."""
        self._active = active
        self.item.setVisible(active)
        if active:
            self._request()
        else:
            self._timer.stop()
            self._compute.cancel()
            self._paint.cancel()
            self._drop()
            self._rest()

    def set_layer(self, layer: QgsRasterLayer | None) -> None:
        """Preview another layer; nothing happens until `set_choices` tells how."""
        if layer is self._layer:
            return
        # A layer that was removed has taken its connections with it.
        if self._layer is not None and not sip.isdeleted(self._layer):
            self._layer.styleChanged.disconnect(self._on_style)
        self._layer, self._scene = layer, None
        if layer is not None:
            layer.styleChanged.connect(self._on_style)
        self._compute.cancel()
        self._needs_engine = False
        self._drop()

    def set_choices(self, choices: Choices, scene: Scene | None) -> None:
        """Take over what was chosen, and compute as much of it as is new."""
        before, self._choices = self._choices, choices
        known, self._scene = self._scene is scene, scene
        shown = self._preview
        same = _but_for_knob(before) == _but_for_knob(choices)
        if not same or before.band != choices.band or not known:
            self._palette = None
            # What is under way is of no use, and may fail for lack of what was chosen before.
            self._compute.cancel()
        knob = choices.knob
        if same and known and shown is not None and knob is not None and shown.turns_to(knob):
            self._draw()
            if not shown.is_exact(knob):
                self._ask(_EXACT_MILLISECONDS)
        else:
            self._ask(_KNOB_MILLISECONDS if same and known else 0)

    def set_view(self, view: str) -> None:
        """Look at another of `preview_image.VIEWS`."""
        self._view = view
        self._draw()

    def set_split(self, split: float | None) -> None:
        """Show the original left of a line; None takes the line away."""
        self.item.set_split(split)

    def _on_extent(self) -> None:
        self._ask(_EXTENT_MILLISECONDS)

    def _on_crs(self) -> None:
        self._cells.clear()
        self._ask(0)

    def _on_style(self) -> None:
        self._palette = None
        self._draw()

    def _ask(self, milliseconds: int) -> None:
        if self._active:
            self._timer.start(milliseconds)

    def _request(self) -> None:
        layer, scene = self._layer, self._scene
        if not self._active or layer is None or scene is None or self._choices.looks is None:
            return
        window = visible_window(self._canvas, layer, scene.placement)
        step = None if window is None else step_for(window)
        if window is None or step is None:
            self._compute.cancel()
            self._drop()
            self._rest()
            self.idle.emit(
                translate("Speckless", "The layer is not in view.")
                if window is None
                else translate("Speckless", "Zoom in for a preview.")
            )
            return
        request = self._choices.preview_request(window, step)
        compute, maker = self._compute, self._maker

        def report(preview: Preview, part: float) -> None:
            compute.tell((preview, part, None))

        def work(is_cancelled: IsCancelled) -> None:
            preview = maker.make(request, report, is_cancelled)
            maker.fill(
                request, preview, lambda part: compute.tell((preview, 1.0, part)), is_cancelled
            )

        self._needs_engine = True
        self.began.emit()
        compute.submit(None, work)
        self.progressed.emit(0.0)

    def _take_part(self, message: tuple[Preview, float, float | None]) -> None:
        preview, part, of_knob = message
        if not self._active or self._scene is None or preview.scene.path != self._choices.path:
            return
        if of_knob is not None:
            self.knob_progressed.emit(of_knob)
            return
        self.progressed.emit(part)
        shown = self._preview
        stack = preview.stack
        if part < 1 and shown is not None and stack is not None and stack is shown.stack:
            return  # the same pixels as are shown, but for some that are still missing
        self._preview, self._part = preview, part
        if part > 0:
            self._draw()
        self.knob_progressed.emit(1.0 if preview.turns_at_once else 0.0)

    def _take_end(self, key: Any, result: Any) -> None:
        self._rest()

    def _rest(self) -> None:
        self._needs_engine = False
        self.rested.emit()

    def _take_failure(self, key: Any, error: Exception) -> None:
        self.failed.emit(error)
        self._rest()

    def _take_paint_failure(self, key: Any, error: Exception) -> None:
        self.failed.emit(error)

    def _draw(self) -> None:
        preview, knob, layer = self._preview, self._choices.knob, self._layer
        if preview is None or knob is None or layer is None or not self._active:
            return
        if self._palette is None:
            table = layer_table(layer, preview.scene.band, preview.scene.domain)
            self._palette = Palette(table, diverging(), rising())
        palette, view, part, before = self._palette, self._view, self._part, self.picture
        self._paint.submit(None, lambda _: draw(preview, view, knob, palette, part, before))

    def _show(self, key: Any, picture: Picture) -> None:
        layer, scene = self._layer, self._scene
        preview = picture.preview
        if not self._active or layer is None or scene is None or preview is not self._preview:
            return
        place = (preview.window, preview.step)
        if place not in self._cells:
            self._cells = {
                place: mesh(self._canvas, layer, scene.placement, preview.window, preview.step)
            }
        self.picture = picture
        images = _image(picture.original), _image(picture.colours)
        self.item.set_picture(images, self._cells[place], picture.part >= 1)
        self.drawn.emit(picture)

    def _drop(self) -> None:
        self.item.set_picture(None, ())
        self.picture = self._preview = self._palette = None
        self._cells.clear()


def _image(colours: Colours) -> QImage:
    """Colours for Qt, in the same memory."""
    height, width = colours.shape
    format = QImage.Format.Format_ARGB32_Premultiplied
    image = QImage(colours.data, width, height, 4 * width, format)
    image.pixels = colours  # keeps the memory as long as the image
    return image


def _but_for_knob(choices: Choices) -> tuple[Any, ...]:
    return (
        choices.path, choices.band, choices.domain, choices.looks, choices.model,
        choices.model_file,
    )  # fmt: skip

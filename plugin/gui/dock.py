"""The dock "Speckless": sections from the layer to the run, and what joins them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import QgsRasterLayer, QgsSettings
from qgis.gui import QgisInterface, QgsDockWidget, QgsScrollArea
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QFrame

from ...processing_provider.sources import gdal_source
from ..core.errors import EngineError, SpecklessError
from ..core.models.registry import DEFAULT_MODEL, list_cards
from ..engine.client import Hello
from ..jobs.engine_state import describe_engine
from ..jobs.pictures import Picture
from ..jobs.scene_cache import Scene, SceneCache
from ..toolbelt import log
from ..toolbelt.paths import plugin_path
from ..toolbelt.settings import GROUP, Settings
from .areas import Areas, Subject
from .areas_section import AreasSection
from .areas_wiring import AreasWiring
from .background import Background
from .choices import Choices
from .finetune_section import FineTuneSection
from .help_panel import HelpPanel
from .knob_control import KnobControl
from .knob_section import KnobSection
from .layer_section import LayerSection
from .model_section import ModelSection
from .previewer import Previewer
from .project_state import ProjectState
from .run_section import RunSection
from .runs import Runs
from .suggesting import Suggesting
from .tuning_part import TuningPart
from .widgets import Content

translate = QCoreApplication.translate


class SpecklessDock(QgsDockWidget):
    """Holds the choices, and passes what changes them to what depends on them.

    Parameters
    ----------
    iface : QgisInterface
    """

    def __init__(self, iface: QgisInterface) -> None:
        super().__init__(translate("Speckless", "Speckless"), iface.mainWindow())
        self.setObjectName("SpecklessDock")
        self.setWindowIcon(QIcon(str(plugin_path("resources", "icons", "speckless.svg"))))
        self.iface = iface
        self.choices = Choices()
        self.scene: Scene | None = None
        self._given_looks: float | None = None
        self._hello: Hello | None = None

        self.scenes = SceneCache()
        self.previewer = Previewer(iface.mapCanvas(), self.scenes, self)
        self._measuring = Background("scene", self)
        self._engine = Background("engine", self)
        self._build()
        self.areas = Areas(iface.mapCanvas(), self._subject, lambda: self.previewer.picture, self)
        self.knob = KnobControl(self.knob_section, self.previewer, self.areas, self)
        self.runs = Runs(iface, self.run_section, lambda: self.choices, self)
        self.tuning = TuningPart(self, self.finetune_section)
        self._connect()
        self._connect_areas()
        self._restore()
        self.layer_section.sync()
        self.project_state = ProjectState(self)

    def _build(self) -> None:
        self.help_panel = HelpPanel()
        self.layer_section = LayerSection()
        self.model_section = ModelSection()
        self.knob_section = KnobSection()
        self.areas_section = AreasSection()
        self.finetune_section = FineTuneSection()
        self.run_section = RunSection()
        content = Content(
            [
                self.help_panel, self.layer_section, self.model_section, self.knob_section,
                self.areas_section, self.finetune_section, self.run_section,
            ]
        )  # fmt: skip
        scroll = QgsScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        bar = scroll.verticalScrollBar().sizeHint().width()
        scroll.setMinimumWidth(content.minimumSizeHint().width() + bar + 2)
        self.setWidget(scroll)

    def _connect(self) -> None:
        self.layer_section.layer_changed.connect(self._on_layer)
        self.layer_section.band_changed.connect(self._on_band)
        self.layer_section.domain_changed.connect(self._on_domain)
        self.layer_section.looks_changed.connect(self._on_looks)
        self.model_section.model_changed.connect(self._on_model)
        self.model_section.models.opening.connect(self._on_models_opening)
        self.knob_section.preview_toggled.connect(self._on_preview)
        self.knob_section.split_toggled.connect(self._on_split)
        self.knob_section.view_changed.connect(self.previewer.set_view)
        self.knob_section.turn_changed.connect(self._on_turn)
        self.help_panel.retry.connect(self._ask_engine)
        self._measuring.done.connect(self._take_scene)
        self._measuring.failed.connect(self._take_scene_failure)
        self._engine.done.connect(self._take_engine)
        self._engine.failed.connect(self._take_engine_failure)
        self.previewer.drawn.connect(self._on_drawn)
        self.previewer.progressed.connect(self.knob_section.show_progress)
        self.previewer.failed.connect(self._on_preview_failure)
        self.previewer.idle.connect(self._on_idle)
        self.previewer.swipe.moved.connect(self._on_swipe)
        self.visibilityChanged.connect(self._on_visibility)
        self.closed.connect(self._on_closed)
        # Shortcuts work wherever the focus is, as long as the dock is there.
        for action in self._window_actions():
            self.iface.mainWindow().addAction(action)
        self.iface.currentLayerChanged.connect(self._on_current_layer)

    def _window_actions(self) -> tuple[QAction, ...]:
        return *self.knob_section.shortcuts, self.finetune_section.tuned

    def _connect_areas(self) -> None:
        canvas = self.iface.mapCanvas()
        self.suggesting = Suggesting(
            canvas, lambda: (self.layer_section.current_layer(), self.scene), self
        )
        AreasWiring(self.areas_section, self.areas, self.suggesting, lambda: self.scene is not None)
        self.areas_section.looks_taken.connect(self._on_looks)

    def _restore(self) -> None:
        settings = QgsSettings()
        self.list_models(settings.value(f"{GROUP}/dock/model", DEFAULT_MODEL, type=str))
        card = self.model_section.current()
        self.choices = replace(self.choices, model=card.id if card else DEFAULT_MODEL)
        self._split = min(max(settings.value(f"{GROUP}/dock/split", 0.5, type=float), 0.02), 0.98)
        if settings.value(f"{GROUP}/dock/is_split", True, type=bool):
            self.knob_section.split.setChecked(True)

    def list_models(self, chosen: str) -> None:
        """Fill the list of models anew."""
        self.model_section.set_cards(list_cards(Settings.load().model_folders()), chosen)

    def take_choices(self, choices: Choices) -> None:
        """Take over a model and a knob for the layer as it is."""
        QgsSettings().setValue(f"{GROUP}/dock/model", choices.model)
        self.choices = choices
        self.tuning.refresh()
        self._spread()

    def take_looks(self, looks: float | None, turn: float) -> None:
        """Take over looks, None for the scene's own, and a knob, as soon as there is a scene."""
        self._given_looks, self.choices = looks, replace(self.choices, turn=turn)
        self._spread()

    @property
    def given_looks(self) -> float | None:
        """Looks entered by the user; None for the scene's own."""
        return self._given_looks

    def shut_down(self) -> None:
        """Stop all work and let go of the canvas; the dock is of no use afterwards."""
        self.iface.currentLayerChanged.disconnect(self._on_current_layer)
        for action in self._window_actions():
            self.iface.mainWindow().removeAction(action)
        self.project_state.close()
        self.runs.close()
        self.tuning.close()
        self.knob.close()
        self.areas.close()
        self.suggesting.close()
        self.previewer.close()
        self._measuring.close()
        self._engine.close()

    def settings_changed(self) -> None:
        """Take over what was chosen on the page of the options."""
        cards = list_cards(Settings.load().model_folders())
        self.model_section.set_cards(cards, self.choices.model)
        self._hello = None
        if self.isVisible():
            self._ask_engine()
        card = self.model_section.current()
        if card is not None and card.id != self.choices.model:
            self._on_model(card.id)

    # ---- what the user does ---------------------------------------------------------------

    def _on_visibility(self, visible: bool) -> None:
        if visible and self._hello is None and self.choices.path:
            self._ask_engine()
        if visible and self.scene is None:
            self._measure()

    def _on_closed(self) -> None:
        # What is over the map would be without its switches.
        self.knob_section.preview.setChecked(False)
        self.areas.stop_drawing()

    def _on_current_layer(self, layer: Any) -> None:
        # Follows the layer tree until something is being looked at.
        if isinstance(layer, QgsRasterLayer) and not self.previewer.is_active:
            self.layer_section.layers.setLayer(layer)

    def _on_layer(self, layer: QgsRasterLayer | None) -> None:
        self.scene, self._given_looks = None, None
        self.previewer.set_layer(layer)
        self.run_section.output.setFilePath("")  # it was meant for the other one
        chosen = Choices(model=self.choices.model)
        if layer is None:
            self.layer_section.show_message(translate("Speckless", "Add a SAR image to the map."))
        else:
            try:
                path = gdal_source(layer)
            except SpecklessError as error:
                self.layer_section.show_message(str(error))
            else:
                band = max(self.layer_section.bands.currentBand(), 1)
                chosen = replace(
                    chosen, layer_id=layer.id(), path=path, band=band, bands=layer.bandCount()
                )
        self._choose(chosen)
        if self.isVisible() and self.choices.path and self._hello is None:
            self._ask_engine()

    def _on_band(self, band: int) -> None:
        self._choose(replace(self.choices, band=max(band, 1)))

    def _on_domain(self, domain: str) -> None:
        self._choose(replace(self.choices, domain=domain))

    def _on_looks(self, looks: float | None) -> None:
        self._given_looks = looks
        self._spread()

    def _on_model(self, model: str) -> None:
        turn = self.tuning.untuned_turn()
        self.take_choices(replace(self.choices, model=model, model_file="", turn=turn))

    def _on_models_opening(self) -> None:
        self.list_models(self.choices.model)
        card = self.model_section.current()
        if card is not None and card.id != self.choices.model:
            self._on_model(card.id)

    def _on_turn(self, turn: float) -> None:
        self.choices = replace(self.choices, turn=turn)
        self.previewer.set_choices(self.choices, self.scene)
        self.tuning.refresh()

    def _on_preview(self, active: bool) -> None:
        self.previewer.set_active(active)
        self.areas.set_over_preview(active)
        self.areas.measure_soon()
        self.knob_section.show_progress(1.0)
        self.knob_section.status.setText("")
        if active and not self.choices.path:
            self._on_idle(translate("Speckless", "Choose a raster first."))
        elif active and self.scene is None:
            self._measure()

    def _subject(self) -> Subject | None:
        layer, scene = self.layer_section.current_layer(), self.scene
        if layer is None or scene is None:
            return None
        return scene.path, scene.band, scene.domain, layer

    def _on_split(self, on: bool) -> None:
        QgsSettings().setValue(f"{GROUP}/dock/is_split", on)
        self.previewer.set_split(self._split if on else None)

    def _on_swipe(self, split: float) -> None:
        self._split = split
        QgsSettings().setValue(f"{GROUP}/dock/split", split)

    # ---- what follows ---------------------------------------------------------------------

    def _choose(self, choices: Choices) -> None:
        """Take another layer, band or domain: the scene must be measured anew."""
        self.choices = replace(choices, looks=None)
        self.scene, self._given_looks = None, None
        self.knob_section.set_looks(None, 1.0)
        self.knob.follow(self.choices, None, None)
        self.layer_section.set_looks(None)
        self.previewer.set_choices(self.choices, None)
        self.run_section.set_ready(False)
        self.tuning.refresh()
        self._measuring.cancel()
        if choices.path and (self.isVisible() or self.previewer.is_active):
            self._measure()

    def _measure(self) -> None:
        choices = self.choices
        if not choices.path:
            return
        self.layer_section.show_message(translate("Speckless", "Measuring the band …"))
        scenes = self.scenes
        self._measuring.submit(
            choices,
            lambda stop: scenes.get(choices.path, choices.band, choices.domain, stop),
        )

    def _take_scene(self, key: Choices, scene: Scene) -> None:
        self.scene = scene
        self._spread()

    def _take_scene_failure(self, key: Choices, error: Exception) -> None:
        self._log_unexpected(error)
        self.layer_section.show_message(str(error))

    def _spread(self) -> None:
        """Let everything know of looks and model."""
        scene = self.scene
        if scene is None:
            return
        looks = self._given_looks if self._given_looks is not None else scene.looks
        self.choices = replace(self.choices, looks=looks)
        self.layer_section.show_scene(scene, looks, self._given_looks is not None)
        self.knob_section.set_looks(looks, self.choices.turn)
        self.previewer.set_choices(self.choices, scene)
        self.knob.follow(self.choices, scene, self.model_section.current())
        self.run_section.set_ready(looks is not None)
        self.run_section.set_bands(self.choices.bands)
        self.tuning.refresh()
        self.areas.measure_soon()

    def _on_drawn(self, picture: Picture) -> None:
        preview = picture.preview
        self.areas.measure_soon()
        if preview.step == 1:
            text = translate("Speckless", "Full resolution.")
        else:
            text = translate("Speckless", "Every {step}th pixel; zoom in for all.").format(
                step=preview.step
            )
        for warning in preview.warnings:
            text += " " + warning
        self.knob_section.status.setText(text)
        title = self.knob_section.views.currentText()
        if self.choices.model_file:
            title = translate("Speckless", "{view}, tuned").format(view=title)
        self.previewer.item.set_captions(translate("Speckless", "Original"), title)

    def _on_idle(self, reason: str) -> None:
        self.knob_section.show_progress(1.0)
        self.knob_section.status.setText(reason)

    def _on_preview_failure(self, error: Exception) -> None:
        self._log_unexpected(error)
        if isinstance(error, EngineError):
            self._ask_engine()
        self._on_idle(str(error).partition("\n")[0])

    # ---- the engine -----------------------------------------------------------------------

    def _ask_engine(self) -> None:
        python = Settings.load().engine_python or None
        self.model_section.show_device(translate("Speckless", "Looking for torch and a GPU …"))
        self._engine.submit(None, lambda stop: describe_engine(python, stop))

    def _take_engine(self, key: Any, state: tuple[Hello, str]) -> None:
        hello, problem = state
        if problem:
            self._show_problem(problem)
            return
        self._hello = hello
        self.help_panel.hide()
        self.model_section.show_engine(hello)

    def _take_engine_failure(self, key: Any, error: Exception) -> None:
        self._log_unexpected(error)
        self._show_problem(str(error))

    def _show_problem(self, text: str) -> None:
        self._hello = None
        self.help_panel.show_problem(text)
        self.model_section.show_device(translate("Speckless", "No engine: see above."))

    @staticmethod
    def _log_unexpected(error: Exception) -> None:
        if not isinstance(error, SpecklessError):
            log.warning(f"{type(error).__name__}: {error}")

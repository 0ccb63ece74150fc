"""Starts a fine-tuning, shows its course, and keeps or drops what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from ..core.errors import InvalidInput, SpecklessError
from ..core.models.card import ModelCard
from ..core.tiling import Window
from ..core.tuning import TuningRecipe
from ..jobs.area_tuning import AreaTuningJob
from ..jobs.finetune_result import FineTuneResult
from ..jobs.finetuning import FineTuneJob
from ..jobs.keeping import keep_model
from ..tasks.finetuning import FineTuneTask
from ..toolbelt import log
from ..toolbelt.settings import Settings
from . import area_layer, history
from .choices import TUNING_ALGORITHM, Choices
from .course_chart import Point
from .finetune_section import AREAS, FineTuneSection

translate = QCoreApplication.translate

_EPOCHS = TuningRecipe(1.0).epochs


@dataclass(frozen=True)
class Trial:
    """A tuned network that is neither kept nor dropped yet.

    Attributes
    ----------
    path : Path
        Of its weights, in the folder for temporary files.
    model : str
        Id of the one it started from.
    """

    path: Path
    model: str


class Tunings(QObject):
    """One fine-tuning at a time, and one tuned network on trial.

    Parameters
    ----------
    iface : QgisInterface
    section : FineTuneSection
    choices : callable
        Gives the choices as they are.
    window : callable
        Gives the visible part of the layer in pixels, or None where it is not in view.
    extent : callable
        Gives a window as the EXTENT of an algorithm; None where none gives these pixels.
    parent : QObject
    """

    switched = pyqtSignal(str)  # weights file to look at instead of the model chosen, or ""
    kept = pyqtSignal(str)  # id

    def __init__(
        self,
        iface: QgisInterface,
        section: FineTuneSection,
        choices: Callable[[], Choices],
        window: Callable[[], Window | None],
        extent: Callable[[Window], str | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._iface, self._section = iface, section
        self._choices, self._window, self._extent = choices, window, extent
        self.task: FineTuneTask | None = None
        self.trial: Trial | None = None
        self._points: list[Point] = []
        section.start_asked.connect(self.start)
        section.stop_asked.connect(self.stop)
        section.tuned_toggled.connect(self._on_tuned)
        section.keep_asked.connect(self.keep)
        section.drop_asked.connect(self.drop)

    def close(self) -> None:
        """End a tuning and forget what is on trial, leaving nothing."""
        task, self.task = self.task, None
        if task is not None:
            task.abandon()
        self._forget()

    def start(self) -> None:
        """Fine-tune the model chosen, at the knob as it is."""
        choices = self._choices()
        layer = QgsProject.instance().mapLayer(choices.layer_id)
        if self.task is not None or not isinstance(layer, QgsRasterLayer):
            return
        # From the network in the list: to tune a tuned one further, keep it first.
        choices = replace(choices, model_file="")
        output = QgsProcessingUtils.generateTempFilename("tuned.safetensors")
        title = translate("Speckless", "{model}, {layer}, L = {knob:.3g}").format(
            model=choices.model, layer=layer.name(), knob=choices.knob or 0.0
        )
        try:
            job, call = self._plan(choices, layer, output, title)
        except InvalidInput as error:
            self._section.say(str(error))
            return
        self._points = []
        self._section.set_points((), _EPOCHS)
        self._section.say(translate("Speckless", "Measuring the risk before …"))
        self._section.set_running(True)

        def outcome(result: FineTuneResult | None, problem: str) -> None:
            self._finish(Trial(Path(output), choices.model), title, call, result, problem)

        self.task = FineTuneTask(
            job,
            translate("Speckless", "Fine-tuning on {layer}").format(layer=layer.name()),
            outcome,
            [layer],
        )
        self.task.progressChanged.connect(self._section.show_progress)
        self.task.measured.connect(self._on_measured)
        QgsApplication.taskManager().addTask(self.task)

    def stop(self) -> None:
        """Cancel the tuning."""
        if self.task is not None:
            self._section.stop.setEnabled(False)
            self.task.cancel()

    def keep(self, name: str) -> None:
        """Put the network on trial into the user's folder of models."""
        if self.trial is None:
            return
        folders = Settings.load().model_folders()
        try:
            card = keep_model(self.trial.path, name, folders[0], folders[1:])
        except SpecklessError as error:
            self._section.say(str(error))
            return
        self.kept.emit(card.id)
        self._forget()
        self._section.say(
            translate("Speckless", "Kept as “{title}” in the list of networks.").format(
                title=card.title
            )
        )
        log.info(f"Kept the tuned model {card.id} in {folders[0]}.")

    def drop(self) -> None:
        """Forget the network on trial."""
        # Before the file goes: the preview would miss it.
        if self._section.tuned.isChecked():
            self.switched.emit("")
        self._forget()
        self._section.set_points((), _EPOCHS)
        self._section.say(translate("Speckless", "Dropped."))

    # ---- inside -------------------------------------------------------------------------------

    def _plan(
        self, choices: Choices, layer: QgsRasterLayer, output: str, title: str
    ) -> tuple[FineTuneJob | AreaTuningJob, dict[str, Any] | None]:
        """The job, and the parameters of the algorithm that make the same network, if any do.

        Raises
        ------
        InvalidInput
            When there is nothing to learn from.
        """
        depth = self._section.depth
        if self._section.source == AREAS:
            polygons = self._polygons(layer)
            if not polygons:
                raise InvalidInput(
                    translate("Speckless", "There are no areas to learn from: draw some first.")
                )
            tuning = choices.tuning_job(output, None, depth, title)
            area = _saved_areas()
            call = choices.tuning_parameters(depth, "", area) if area else None
            return AreaTuningJob(tuning, polygons), call
        window = self._window()
        if window is None:
            raise InvalidInput(translate("Speckless", "The layer is not in view: zoom to it."))
        extent = self._extent(window)
        call = None if extent is None else choices.tuning_parameters(depth, extent, "")
        return choices.tuning_job(output, window, depth, title), call

    def _polygons(self, layer: QgsRasterLayer) -> list[bytes]:
        """Areas in the CRS of a raster; vertices are moved, sides stay straight."""
        areas = area_layer.find()
        if areas is None:
            return []
        transform = QgsCoordinateTransform(
            areas.crs(), layer.crs(), QgsProject.instance().transformContext()
        )
        polygons = []
        for feature in area_layer.polygons(areas):
            geometry = feature.geometry()
            try:
                geometry.transform(transform)
            except QgsCsException:
                continue
            if geometry.boundingBox().isFinite():
                polygons.append(bytes(geometry.asWkb()))
        return polygons

    def _on_measured(self, entry: dict[str, Any]) -> None:
        if self.task is None:
            return
        self._points.append((entry["epoch"], entry["risk"], entry["change_standard_error"]))
        self._section.set_points(self._points, _EPOCHS)
        if entry["epoch"]:
            text = translate(
                "Speckless", "Epoch {epoch:g}: risk {risk:.3g}, change {change:+.2g} ± {error:.1g}."
            ).format(
                epoch=entry["epoch"],
                risk=entry["risk"],
                change=entry["change"],
                error=entry["change_standard_error"],
            )
        else:
            text = translate("Speckless", "Before: risk {risk:.3g}.").format(risk=entry["risk"])
        self._section.say(text)

    def _on_tuned(self, on: bool) -> None:
        if self.trial is not None:
            self.switched.emit(str(self.trial.path) if on else "")

    def _finish(
        self,
        trial: Trial,
        title: str,
        call: dict[str, Any] | None,
        result: FineTuneResult | None,
        problem: str,
    ) -> None:
        self.task = None
        self._section.set_running(False)
        bar = self._iface.messageBar()
        if result is None:
            self._section.say(problem or translate("Speckless", "Cancelled; nothing was left."))
            if problem:
                log.warning(problem)
                bar.pushCritical("Speckless", problem.partition("\n")[0])
            return
        if call is None:
            log.info("Not in the history: no call of the algorithm gives this fine-tuning.")
        else:
            history.record(TUNING_ALGORITHM, call)
        if not result.tuned.best_epoch:
            trial.path.unlink(missing_ok=True)
            text = translate(
                "Speckless",
                "By the held-out pixels no epoch was better than the start: the network stays as "
                "it was. Try another part, or more pixels.",
            )
            self._section.say(text)
            bar.pushWarning("Speckless", text)
            return
        former, self.trial = self.trial, trial
        change, error = result.risk_change
        text = translate(
            "Speckless",
            "Risk {before:.3g} → {after:.3g} ({change:+.2g} ± {error:.1g}), epoch {epoch}; "
            "{pixels} pixels, {seconds:.0f} s. The knob's true L now stands for L = {knob:.3g}.",
        ).format(
            before=result.risk_before, after=result.risk_after, change=change, error=error,
            epoch=result.tuned.best_epoch, pixels=result.pixels, seconds=result.seconds,
            knob=result.knob,
        )  # fmt: skip
        self._section.set_trial(title)
        self._section.show_tuned(True)
        self._section.say(text)
        log.info(text)
        bar.pushSuccess(
            "Speckless",
            translate("Speckless", "The network is fine-tuned: compare it, then keep or drop it."),
        )
        self.switched.emit(str(trial.path))
        if former is not None:
            former.path.unlink(missing_ok=True)

    def _forget(self) -> None:
        trial, self.trial = self.trial, None
        if trial is not None:
            trial.path.unlink(missing_ok=True)
            self._section.set_trial("")


def _saved_areas() -> str:
    """Id of the layer of areas where a call can name it; "" where none can.

    A call names a file. Of a layer in memory QGIS writes the definition, without the polygons,
    and what was not saved is not in the file.
    """
    areas = area_layer.find()
    if areas is None or areas.providerType() == "memory" or areas.isModified():
        return ""
    return areas.id()


def why_not(card: ModelCard | None, has_layer: bool, looks: float | None) -> str:
    """Say why a model cannot be fine-tuned; "" where it can."""
    if not has_layer:
        return translate("Speckless", "Choose a raster first.")
    if card is None:
        return translate("Speckless", "No model is installed.")
    if not card.affine:
        return translate(
            "Speckless",
            "“{title}” cannot learn from a noisy image alone: that takes a network whose estimate "
            "is a·input + b (DoPAMINE). Choose one of these above.",
        ).format(title=card.title)
    if looks is None:
        return translate("Speckless", "Enter the number of looks first.")
    return ""

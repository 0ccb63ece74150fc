"""The algorithm "Train model" (speckless:train)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.card import ModelCard
from ..plugin.core.models.registry import find
from ..plugin.core.recipe import LOSSES, Recipe
from ..plugin.engine.client import Trained
from ..plugin.jobs.limits import check_positive
from ..plugin.jobs.training import TrainJob
from ..plugin.jobs.training_settings import SPECKLES, TRAINABLE, recipe_for
from ..plugin.toolbelt.settings import Settings
from .base import Progress, told_to_qgis
from .checks import check_choice, check_device, destination
from .models import user_folder
from .network_algorithm import PRECISIONS
from .raster_algorithm import DOMAINS
from .sources import raster_paths
from .train_parameters import HALVES, TrainParameters

translate = QCoreApplication.translate

# Points of the curves, and the least seconds between two.
_POINTS, _LEAST_SECONDS = 120, 5.0

# What a killed run loses at most.
_CHECKPOINT_SECONDS = 30.0


class TrainAlgorithm(TrainParameters):
    """Makes a `TrainJob` of the parameters and runs it in the engine's process."""

    GROUP = "training"

    def name(self) -> str:
        return "train"

    def displayName(self) -> str:
        return translate("Speckless", "Train model")

    def tags(self) -> list[str]:
        return translate(
            "Speckless",
            "train,training,supervised,learn,network,neural network,deep learning,model,weights,"
            "own data,despeckle,speckle,SAR,FFDNet,DoPAMINE,reference",
        ).split(",")

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Trains a network on your own data: clean images with simulated speckle, or noisy "
            "rasters with their references.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        for name, options in (
            (self.DOMAIN, DOMAINS),
            (self.SPECKLE, list(SPECKLES)),
            (self.ARCHITECTURE, list(TRAINABLE)),
            (self.LOSS, list(LOSSES)),
            (self.HALF, HALVES),
            (self.PRECISION, PRECISIONS[:3]),
        ):
            check_choice(name, parameters.get(name), options)
        check_device(self.parameterAsString(parameters, self.DEVICE, context))
        model = destination(parameters.get(self.MODEL_OUTPUT))
        job = self._job_from(parameters, context, model, in_engine=bool(model))
        replace(job, report=destination(parameters.get(self.REPORT))).check()
        return {}

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        self.need_python()
        with told_to_qgis():
            model = self.parameterAsFileOutput(parameters, self.MODEL_OUTPUT, context)
            self._job = self._job_from(parameters, context, model)
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        report = self.asked_file(parameters, self.REPORT, context)
        adds = self.parameterAsBool(parameters, self.ADD_TO_MODELS, context)
        progress = Progress(feedback)
        with told_to_qgis():
            job = replace(
                self._job, report=report, list_folder=str(user_folder()) if adds else None
            )
            trained = job.train(progress, progress.is_cancelled)
            listed = job.listed
        feedback.pushInfo(trained.reason)
        if listed:
            feedback.pushInfo(
                translate("Speckless", "In the list of models as '{name}' ({path}).").format(
                    name=trained.card.id, path=listed
                )
            )
        return {**self._results(trained), self.MODEL_OUTPUT: job.output} | (
            {self.REPORT: report} if report else {}
        )

    def _results(self, trained: Trained) -> dict[str, Any]:
        figures = trained.card.quality.get("validation", {})
        ratios = [value for name, value in figures.items() if name.startswith("PSNR")]
        return {
            self.STEPS_DONE: trained.card.training["steps"],
            self.HELD_OUT_LOSS: figures.get("loss"),
            self.LOG_RMSE: figures.get("log-RMSE"),
            self.PSNR: sum(ratios) / len(ratios) if ratios else None,
            self.MODEL_ID: trained.card.id,
            self.DEVICE_USED: trained.device,
        }

    def _job_from(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        model: str,
        in_engine: bool = True,
    ) -> TrainJob:
        given = _Given(self, parameters, context)
        looks = self.optional_number(parameters, self.LOOKS, context)
        check_positive(self.LOOKS, looks)
        seconds, steps = 60 * given.number(self.MINUTES), self._steps(parameters, context)
        if not seconds and not steps:
            raise InvalidInput(
                translate("Speckless", "Give MINUTES, STEPS or both: else it would never end.")
            )
        settings = Settings.load()
        folders = settings.model_folders()
        recipe = self._recipe(parameters, context, model, folders)
        return TrainJob(
            recipe,
            images=given.text(self.CLEAN_FOLDER),
            output=model,
            noisy=self._rasters(parameters, self.NOISY, context),
            references=self._rasters(parameters, self.REFERENCES, context),
            noisy_folder=given.text(self.NOISY_FOLDER),
            reference_folder=given.text(self.REFERENCE_FOLDER),
            domain=given.choice(self.DOMAIN),
            looks=looks,
            validation_share=given.number(self.VALIDATION),
            validation_looks=sorted({given.number(self.LOOKS_FROM), given.number(self.LOOKS_TO)}),
            steps=steps,
            budget_seconds=seconds,
            half=given.choice(self.HALF),
            device=self.device(parameters, context),
            precision=given.choice(self.PRECISION),
            checkpoint_seconds=_CHECKPOINT_SECONDS,
            report_seconds=max(_LEAST_SECONDS, seconds / _POINTS),
            in_engine=in_engine,
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in folders],
            keep_checkpoint=False,
            temporary=not destination(parameters.get(self.MODEL_OUTPUT)),
            card_beside=False,
        )

    def _recipe(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        model: str,
        folders: list[Path],
    ) -> Recipe:
        given = _Given(self, parameters, context)
        parent = self.parameterAsFile(parameters, self.MODEL_FILE, context)
        parent = parent or str(parameters.get(self.PARENT) or "")
        card = None
        if parent:
            is_file = parent.endswith(".safetensors")
            card = ModelCard.read(parent if is_file else find(parent, folders))
        architecture = given.choice(self.ARCHITECTURE)
        return recipe_for(
            id=_model_id(model, card.architecture if card else architecture),
            title=given.text(self.TITLE),
            architecture=architecture,
            arguments=given.text(self.ARGUMENTS),
            parent=parent,
            parent_card=card,
            loss=given.choice(self.LOSS),
            looks=(given.number(self.LOOKS_FROM), given.number(self.LOOKS_TO)),
            speckle=given.choice(self.SPECKLE),
            stretch=self.parameterAsBool(parameters, self.STRETCH, context),
            patch=given.whole(self.PATCH),
            batch=given.whole(self.BATCH),
            learning_rate=given.number(self.LEARNING_RATE),
            seed=given.whole(self.SEED),
        )

    def _steps(self, parameters: dict[str, Any], context: QgsProcessingContext) -> int:
        steps = self.optional_number(parameters, self.STEPS, context)
        return int(steps) if steps else 0

    def _rasters(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> list[str]:
        value = parameters.get(name)
        if value in (None, "", []):
            return []
        return raster_paths(self.parameterAsLayerList(parameters, name, context), value)


def _model_id(output: str, architecture: str) -> str:
    """Id of the model: the file's name, or one of the network for a temporary file."""
    name = Path(output).stem
    return name if name and name != TrainParameters.MODEL_OUTPUT else f"{architecture}-own"


class _Given:
    """What the user gave for a parameter, or its default."""

    def __init__(
        self,
        algorithm: TrainParameters,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
    ) -> None:
        self._algorithm, self._parameters, self._context = algorithm, parameters, context

    def number(self, name: str) -> float:
        return self._algorithm.parameterAsDouble(self._parameters, name, self._context)

    def whole(self, name: str) -> int:
        return self._algorithm.parameterAsInt(self._parameters, name, self._context)

    def choice(self, name: str) -> str:
        return self._algorithm.parameterAsEnumString(self._parameters, name, self._context)

    def text(self, name: str) -> str:
        return self._algorithm.parameterAsString(self._parameters, name, self._context)

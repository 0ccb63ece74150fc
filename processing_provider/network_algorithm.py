"""What the algorithms that run a network over a raster share beyond the raster."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import SpecklessError
from ..plugin.core.models.card import ModelCard
from ..plugin.core.models.registry import find
from ..plugin.engine.interpreter import find_python
from ..plugin.toolbelt.settings import Settings
from .raster_algorithm import RasterAlgorithm

translate = QCoreApplication.translate

PRECISIONS = ["auto", "fp32", "bf16", "fp16"]


class NetworkAlgorithm(RasterAlgorithm):
    """A raster and a model go in."""

    MODEL = "MODEL"
    MODEL_FILE = "MODEL_FILE"
    KNOB = "KNOB"
    SELF_ENSEMBLE = "SELF_ENSEMBLE"
    DEVICE = "DEVICE"
    PRECISION = "PRECISION"
    DEVICE_USED = "DEVICE_USED"

    def canExecute(self) -> tuple[bool, str]:
        """Look whether there is a Python for the engine; what it lacks the engine says."""
        try:
            find_python(Settings.load().engine_python or None)
        except SpecklessError as error:
            return False, str(error)
        return True, ""

    def need_python(self) -> None:
        """Ask `canExecute`, as QGIS 3.22 does not for qgis_process and scripts.

        Raises
        ------
        QgsProcessingException
        """
        ready, problem = self.canExecute()
        if not ready:
            raise QgsProcessingException(problem)

    def model_card(
        self, parameters: dict[str, Any], context: QgsProcessingContext, default: str
    ) -> ModelCard:
        """Card of the model chosen.

        Raises
        ------
        ModelError
            When there is no such model, or the file is none.
        """
        file = self.parameterAsFile(parameters, self.MODEL_FILE, context)
        if file:
            return ModelCard.read(file)
        # Not as an enum: that would make an unknown model the default one.
        model = str(parameters.get(self.MODEL) or default)
        return ModelCard.read(find(model, Settings.load().model_folders()))

    def device(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """DEVICE, or that of the options where it is left to them."""
        device = self.parameterAsString(parameters, self.DEVICE, context)
        return Settings.load().device if device == "auto" else device

    def add_model(self, models: list[str], default: str, help: str) -> None:
        """Declare MODEL and MODEL_FILE."""
        self.add_choice(
            self.MODEL,
            translate("Speckless", "Model"),
            models if default in models else [default, *models],
            help,
            default,
        )
        self.add(
            QgsProcessingParameterFile(
                self.MODEL_FILE,
                translate("Speckless", "Own model file"),
                QgsProcessingParameterFile.Behavior.File,
                optional=True,
                fileFilter=translate("Speckless", "Speckless models (*.safetensors)"),
            ),
            translate(
                "Speckless",
                "Weights written by Speckless, used instead of the model above. Files in the "
                "folder speckless/models of the user profile appear in the list by themselves.",
            ),
        )

    def add_self_ensemble(self) -> None:
        """Declare SELF_ENSEMBLE."""
        self.add(
            QgsProcessingParameterBoolean(
                self.SELF_ENSEMBLE,
                translate("Speckless", "Average over the 8 flips and rotations (self-ensemble)"),
                defaultValue=False,
            ),
            translate(
                "Speckless",
                "Despeckles the image in all 8 positions and takes the mean: about 0.2 dB better "
                "with the DoPAMINE models on white speckle, at 8 times the cost.",
            ),
            advanced=True,
        )

    def add_device(self, precisions: list[str]) -> None:
        """Declare DEVICE and PRECISION."""
        self.add(
            QgsProcessingParameterString(
                self.DEVICE, translate("Speckless", "Device"), defaultValue="auto"
            ),
            translate(
                "Speckless",
                "auto, cpu, cuda, cuda:1 or mps. auto takes the device of the options, else the "
                "fastest that works; the log says which and why.",
            ),
            advanced=True,
        )
        self.add_choice(
            self.PRECISION,
            translate("Speckless", "Precision of the network"),
            precisions,
            translate(
                "Speckless",
                "{coarser}: faster where the hardware has it, to about three digits.",
            ).format(coarser=" / ".join(precisions[2:])),
            advanced=True,
        )

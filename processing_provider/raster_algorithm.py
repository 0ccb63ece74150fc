"""What the algorithms that run a network over a raster share: parameters, and what they mean."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import SpecklessError
from ..plugin.core.models.card import ModelCard
from ..plugin.core.models.registry import find
from ..plugin.core.tiling import Window
from ..plugin.engine.interpreter import find_python
from ..plugin.toolbelt.settings import Settings
from .base import SpecklessAlgorithm
from .extents import pixel_window
from .sources import open_options, raster_layer

translate = QCoreApplication.translate

DOMAINS = ["auto", "intensity", "amplitude", "db", "complex"]
PRECISIONS = ["auto", "fp32", "bf16", "fp16"]


class RasterAlgorithm(SpecklessAlgorithm):
    """A raster and a model go in. Names of parameters are stable: scripts and models use them."""

    INPUT = "INPUT"
    BANDS = "BANDS"
    MODEL = "MODEL"
    MODEL_FILE = "MODEL_FILE"
    DOMAIN = "DOMAIN"
    LOOKS = "LOOKS"
    KNOB = "KNOB"
    EXTENT = "EXTENT"
    DEVICE = "DEVICE"
    PRECISION = "PRECISION"
    LOOKS_USED = "LOOKS_USED"
    DEVICE_USED = "DEVICE_USED"

    def canExecute(self) -> tuple[bool, str]:
        """Look whether there is a Python for the engine; what it lacks the engine says."""
        try:
            find_python(Settings.load().engine_python or None)
        except SpecklessError as error:
            return False, str(error)
        return True, ""

    def input_layer(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> QgsRasterLayer:
        """The layer of INPUT, also where QGIS's own look-up finds none."""
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        return raster_layer(layer, parameters.get(self.INPUT))

    def warn_of_options(self, layer: QgsRasterLayer, feedback: QgsProcessingFeedback) -> None:
        """Say that the options a layer is opened with do not count."""
        if open_options(layer.source()):
            feedback.pushWarning(
                translate(
                    "Speckless",
                    "The options this layer is opened with are not used: the file is read as "
                    "it is.",
                )
            )

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

    def window(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        layer: QgsRasterLayer,
    ) -> Window | None:
        """EXTENT in pixels; None where it was left empty.

        Raises
        ------
        InvalidInput, RasterError
        """
        if self.parameterAsExtent(parameters, self.EXTENT, context).isEmpty():
            return None
        # As a polygon: turned into another CRS, a rectangle is none any more.
        area = self.parameterAsExtentGeometry(parameters, self.EXTENT, context, layer.crs())
        return pixel_window(source, [(point.x(), point.y()) for point in area.vertices()])

    def device(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """DEVICE, or that of the options where it is left to them."""
        device = self.parameterAsString(parameters, self.DEVICE, context)
        return Settings.load().device if device == "auto" else device

    def add_raster(self, bands_help: str) -> None:
        """Declare INPUT and BANDS."""
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, translate("Speckless", "SAR image")),
            translate("Speckless", "With speckle as it is: not filtered, best not resampled."),
        )
        self.add(
            QgsProcessingParameterBand(
                self.BANDS,
                translate("Speckless", "Bands (all if empty)"),
                None,
                self.INPUT,
                optional=True,
                allowMultiple=True,
            ),
            bands_help,
        )

    def add_model(self, models: list[str], default: str, help: str) -> None:
        """Declare MODEL and MODEL_FILE."""
        self.add(
            QgsProcessingParameterEnum(
                self.MODEL,
                translate("Speckless", "Model"),
                options=models if default in models else [default, *models],
                defaultValue=default,
                usesStaticStrings=True,
            ),
            help,
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

    def add_domain(self, result: str) -> None:
        """Declare DOMAIN; ``result`` says what domain results have."""
        self.add(
            QgsProcessingParameterEnum(
                self.DOMAIN,
                translate("Speckless", "Domain of the pixel values"),
                options=DOMAINS,
                defaultValue="auto",
                usesStaticStrings=True,
            ),
            translate(
                "Speckless",
                "auto decides by data type, values and metadata, and says in the log what it took "
                "them for: complex (SLC), integers are amplitude, floats with negative values dB, "
                "other floats intensity.",
            )
            + " "
            + result,
        )

    def add_looks(self) -> None:
        """Declare LOOKS."""
        self.add_number_of_looks(
            self.LOOKS,
            translate("Speckless", "Looks (estimated if empty)"),
            translate(
                "Speckless",
                "Equivalent number of looks: 1 for single-look data, about 4.4 for Sentinel-1 IW "
                "GRD high resolution. The estimate comes from the most even parts of the whole "
                "scene.",
            ),
        )

    def add_number_of_looks(self, name: str, title: str, help: str) -> None:
        """Declare an optional number of looks."""
        number = QgsProcessingParameterNumber(
            name,
            title,
            QgsProcessingParameterNumber.Type.Double,
            None,
            optional=True,
            minValue=0.01,
            maxValue=10000.0,
        )
        self.add(number, help)

    def add_extent(self, help: str) -> None:
        """Declare EXTENT."""
        self.add(
            QgsProcessingParameterExtent(
                self.EXTENT,
                translate("Speckless", "Extent (all if empty)"),
                optional=True,
            ),
            help,
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
        self.add(
            QgsProcessingParameterEnum(
                self.PRECISION,
                translate("Speckless", "Precision of the network"),
                options=precisions,
                defaultValue="auto",
                usesStaticStrings=True,
            ),
            translate(
                "Speckless",
                "{coarser}: faster where the hardware has it, to about three digits.",
            ).format(coarser=" / ".join(precisions[2:])),
            advanced=True,
        )

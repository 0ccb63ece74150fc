"""What speckless:despeckle asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.models.registry import DEFAULT_MODEL, list_cards
from ..plugin.toolbelt.settings import Settings
from .base import SpecklessAlgorithm
from .checks import TILE_SIZES

translate = QCoreApplication.translate

DOMAINS = ["auto", "intensity", "amplitude", "db", "complex"]
PRECISIONS = ["auto", "fp32", "bf16", "fp16"]


class DespeckleParameters(SpecklessAlgorithm):
    """The declaration of "Despeckle SAR image". Names are stable: scripts and models use them."""

    INPUT = "INPUT"
    BANDS = "BANDS"
    MODEL = "MODEL"
    MODEL_FILE = "MODEL_FILE"
    DOMAIN = "DOMAIN"
    LOOKS = "LOOKS"
    KNOB = "KNOB"
    KNOB_AUTO = "KNOB_AUTO"
    EXTENT = "EXTENT"
    DEVICE = "DEVICE"
    PRECISION = "PRECISION"
    TILE_SIZE = "TILE_SIZE"
    CREATION_OPTIONS = "CREATION_OPTIONS"
    OUTPUT = "OUTPUT"
    RATIO = "RATIO"
    SLOPE = "SLOPE"
    BIAS = "BIAS"
    LOOKS_USED = "LOOKS_USED"
    KNOB_USED = "KNOB_USED"
    CORRELATION = "CORRELATION"
    MEAN_RATIO = "MEAN_RATIO"
    VARIANCE_RATIO = "VARIANCE_RATIO"
    DOMAIN_USED = "DOMAIN_USED"
    DEVICE_USED = "DEVICE_USED"
    MODEL_USED = "MODEL_USED"

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "Any raster that GDAL reads, of any size: it is read, despeckled and written tile "
                "by tile, and the tiles do not show. Georeferencing, nodata and metadata are kept. "
                "The network runs in a process of its own, on the GPU where there is one.",
            ),
            translate(
                "Speckless",
                "Judge the result by the ratio image: where despeckling took nothing but speckle, "
                "it has mean 1, variance 1/looks, and shows no trace of roads, edges or fields.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        return [
            (
                self.LOOKS_USED,
                translate("Speckless", "Number of looks, as given or estimated from the scene."),
            ),
            (
                self.KNOB_USED,
                translate("Speckless", "Looks the result is made for: the knob given or chosen."),
            ),
            (
                self.CORRELATION,
                translate(
                    "Speckless",
                    "Correlation of the speckle of neighbouring pixels: near 0 in data as the "
                    "radar's processor leaves independent samples, 0.2 to 0.8 in most products. "
                    "DoPAMINE models expect 0. Texture adds some hundredths.",
                ),
            ),
            (
                f"{self.MEAN_RATIO}, {self.VARIANCE_RATIO}",
                translate(
                    "Speckless",
                    "Mean and variance of input/estimate in intensity. Speckle of L looks has "
                    "mean 1 and variance 1/L.",
                ),
            ),
            (
                f"{self.DOMAIN_USED}, {self.DEVICE_USED}, {self.MODEL_USED}",
                translate("Speckless", "What the input was taken for, and what did the work."),
            ),
        ]

    def references(self) -> list[str]:
        return [
            "Joo, S., Cha, S., Moon, T. (2019). DoPAMINE: Double-sided masked CNN for pixel "
            "adaptive multiplicative noise despeckling. AAAI 33, 4031-4038. "
            "doi:10.1609/aaai.v33i01.33014031",
            "Zhang, K., Zuo, W., Zhang, L. (2018). FFDNet: Toward a fast and flexible solution "
            "for CNN-based image denoising. IEEE Transactions on Image Processing 27(9), "
            "4608-4622. doi:10.1109/TIP.2018.2839891",
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_raster()
        self._add_model()
        self._add_speckle()
        self._add_advanced()
        self._add_outputs()
        self._add_figures()

    def _add_raster(self) -> None:
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
            translate(
                "Speckless",
                "Each band is despeckled by itself. By default all but alpha and mask bands.",
            ),
        )

    def _add_model(self) -> None:
        folders = Settings.load().model_folders()
        models = [card.id for card in list_cards(folders)]
        self.add(
            QgsProcessingParameterEnum(
                self.MODEL,
                translate("Speckless", "Model"),
                options=models if DEFAULT_MODEL in models else [DEFAULT_MODEL, *models],
                defaultValue=DEFAULT_MODEL,
                usesStaticStrings=True,
            ),
            translate(
                "Speckless",
                "{default} is made for real SAR scenes. The DoPAMINE models are affine: they give "
                "the maps a and b, and turn with the knob at no cost; 'blind' ones work at any "
                "number of looks.",
            ).format(default=DEFAULT_MODEL),
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

    def _add_speckle(self) -> None:
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
                "other floats intensity. The result has the same domain; of complex input, "
                "intensity.",
            ),
        )
        self.add(
            QgsProcessingParameterNumber(
                self.LOOKS,
                translate("Speckless", "Looks (estimated if empty)"),
                QgsProcessingParameterNumber.Type.Double,
                None,
                optional=True,
                minValue=0.01,
                maxValue=10000.0,
            ),
            translate(
                "Speckless",
                "Equivalent number of looks: 1 for single-look data, about 4.4 for Sentinel-1 IW "
                "GRD high resolution. The estimate comes from the most even parts of the whole "
                "scene.",
            ),
        )
        self.add(
            QgsProcessingParameterNumber(
                self.KNOB,
                translate("Speckless", "Knob, in looks"),
                QgsProcessingParameterNumber.Type.Double,
                None,
                optional=True,
                minValue=0.01,
                maxValue=10000.0,
            ),
            translate(
                "Speckless",
                "Looks to filter for; by default the number of looks. A lower value gives a "
                "smoother result, a higher one keeps more texture, and more speckle.",
            ),
        )
        self.add(
            QgsProcessingParameterExtent(
                self.EXTENT,
                translate("Speckless", "Extent (all if empty)"),
                optional=True,
            ),
            translate(
                "Speckless",
                "In any CRS; snapped outwards to whole pixels. The pixels are those that the "
                "whole image would give.",
            ),
        )

    def _add_advanced(self) -> None:
        self.add(
            QgsProcessingParameterBoolean(
                self.KNOB_AUTO,
                translate("Speckless", "Choose the knob of least estimated risk"),
                defaultValue=False,
            ),
            translate(
                "Speckless",
                "For DoPAMINE models, in place of a knob: the setting at which the error, as "
                "estimated without a clean image on a sample of the whole scene, is least "
                "(KNOB_USED). Sound where the speckle of neighbouring pixels is independent; where "
                "it is not, a warning says so, and the knob chosen tends to be too low.",
            ),
            advanced=True,
        )
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
                options=PRECISIONS,
                defaultValue="auto",
                usesStaticStrings=True,
            ),
            translate(
                "Speckless",
                "bf16 and fp16 are faster where the hardware has them, to about three digits.",
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber(
                self.TILE_SIZE,
                translate("Speckless", "Tile size (pixels, 0 for automatic)"),
                QgsProcessingParameterNumber.Type.Integer,
                0,
                minValue=0,
                maxValue=TILE_SIZES[1],
            ),
            translate(
                "Speckless",
                "Changes memory and speed, not the result. Halved when GPU memory is short.",
            ),
            advanced=True,
        )
        options = QgsProcessingParameterString(
            self.CREATION_OPTIONS,
            translate("Speckless", "Creation options of the output files"),
            defaultValue="",
            optional=True,
        )
        options.setMetadata({"widget_wrapper": {"widget_type": "rasteroptions"}})
        self.add(
            options,
            translate(
                "Speckless",
                "NAME=VALUE, separated by |. By default GeoTIFFs are tiled and DEFLATE compressed, "
                "BigTIFF where needed; DRIVER=COG writes a cloud optimised GeoTIFF.",
            ),
            advanced=True,
        )

    def _add_outputs(self) -> None:
        self.add(
            QgsProcessingParameterRasterDestination(
                self.OUTPUT, translate("Speckless", "Despeckled")
            ),
            translate("Speckless", "Shown in the style of the input."),
        )
        maps = [
            (
                self.RATIO,
                translate("Speckless", "Ratio image"),
                translate("Speckless", "Input/estimate in intensity: what was taken away."),
            ),
            (
                self.SLOPE,
                translate("Speckless", "Slope a (affine models)"),
                translate(
                    "Speckless",
                    "Estimate = a·input + b in intensity: a near 0 is smoothed, near 1 kept.",
                ),
            ),
            (
                self.BIAS,
                translate("Speckless", "Bias b (affine models)"),
                translate("Speckless", "b of the same, in the unit of the input's intensity."),
            ),
        ]
        for name, title, help in maps:
            self.add(
                QgsProcessingParameterRasterDestination(
                    name, title, optional=True, createByDefault=False
                ),
                help,
            )

    def _add_figures(self) -> None:
        for name, title in (
            (self.LOOKS_USED, translate("Speckless", "Number of looks used")),
            (self.KNOB_USED, translate("Speckless", "Knob used, in looks")),
            (self.CORRELATION, translate("Speckless", "Correlation of neighbouring speckle")),
            (self.MEAN_RATIO, translate("Speckless", "Mean of the ratio")),
            (self.VARIANCE_RATIO, translate("Speckless", "Variance of the ratio")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))
        for name, title in (
            (self.DOMAIN_USED, translate("Speckless", "Domain used")),
            (self.DEVICE_USED, translate("Speckless", "Device used")),
            (self.MODEL_USED, translate("Speckless", "Model used")),
        ):
            self.addOutput(QgsProcessingOutputString(name, title))

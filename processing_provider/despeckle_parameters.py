"""What speckless:despeckle asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterBoolean,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.models.registry import DEFAULT_MODEL
from ..plugin.jobs.limits import TILE_SIZES
from .models import installed_models
from .network_algorithm import PRECISIONS, NetworkAlgorithm
from .papers import AINDNET, DESPECKNET, DOPAMINE

translate = QCoreApplication.translate


class DespeckleParameters(NetworkAlgorithm):
    """The declaration of "Despeckle SAR image"."""

    KNOB_AUTO = "KNOB_AUTO"
    LOOKS_MAP = "LOOKS_MAP"
    CLASS_MAP = "CLASS_MAP"
    TILE_SIZE = "TILE_SIZE"
    OUTPUT = "OUTPUT"
    RATIO = "RATIO"
    SLOPE = "SLOPE"
    BIAS = "BIAS"
    NOISE = "NOISE"
    NOISE_LEVEL = "NOISE_LEVEL"
    STAGES = "STAGES"
    RASTERS = (OUTPUT, RATIO, SLOPE, BIAS, NOISE, NOISE_LEVEL)
    KNOB_USED = "KNOB_USED"
    CORRELATION = "CORRELATION"
    MEAN_RATIO = "MEAN_RATIO"
    VARIANCE_RATIO = "VARIANCE_RATIO"
    DOMAIN_USED = "DOMAIN_USED"
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
            DOPAMINE,
            "Zhang, K., Zuo, W., Zhang, L. (2018). FFDNet: Toward a fast and flexible solution "
            "for CNN-based image denoising. IEEE Transactions on Image Processing 27(9), "
            "4608-4622. doi:10.1109/TIP.2018.2839891",
            DESPECKNET,
            AINDNET,
            "Ren, C., Pan, Y., Huang, J. (2022). Enhanced latent space blind model for real image "
            "denoising via alternative optimization. NeurIPS.",
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_raster(
            translate(
                "Speckless",
                "Each band is despeckled by itself. By default all but alpha and mask bands.",
            )
        )
        self._add_model()
        self._add_speckle()
        self.add_device(PRECISIONS)
        self._add_advanced()
        self._add_outputs()
        self._add_figures()

    def _add_model(self) -> None:
        self.add_model(
            [card.id for card in installed_models()],
            DEFAULT_MODEL,
            translate(
                "Speckless",
                "{default} and the others whose names end in -sar are made for real SAR scenes; "
                "the others it brings for photographs with white speckle, to compare with; some of "
                "those fail on radar images. The DoPAMINE models are affine: they give "
                "the maps a and b, and turn with the knob at no cost; 'blind' ones work at any "
                "number of looks.",
            ).format(default=DEFAULT_MODEL),
        )

    def _add_speckle(self) -> None:
        self.add_domain(
            translate("Speckless", "The result has the same domain; of complex input, intensity.")
        )
        self.add_looks()
        self.add_number_of_looks(
            self.KNOB,
            translate("Speckless", "Knob, in looks"),
            translate(
                "Speckless",
                "Looks to filter for; by default the number of looks. A lower value gives a "
                "smoother result, a higher one keeps more texture, and more speckle.",
            ),
        )
        self.add_extent(
            translate(
                "Speckless",
                "In any CRS; snapped outwards to whole pixels. The pixels are those that the "
                "whole image would give.",
            )
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
        self.add_self_ensemble()
        self.add(
            QgsProcessingParameterRasterLayer(
                self.LOOKS_MAP, translate("Speckless", "Map of looks"), optional=True
            ),
            translate(
                "Speckless",
                "For FFDNet models: a raster on the input's pixel grid whose first band holds the "
                "number of looks of every pixel, as in mosaics, multilooked or averaged stacks. "
                "Where it has no value, the number of looks above holds; a knob turns both alike.",
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterRasterLayer(
                self.CLASS_MAP, translate("Speckless", "Map of classes"), optional=True
            ),
            translate(
                "Speckless",
                "For class-aware models: a raster on the input's pixel grid whose first band holds "
                "the class of every pixel, numbered from 1 in the order the model lists them. "
                "Where it has no value, the model's own classifier decides.",
            ),
            advanced=True,
        )
        self.add_number(
            self.TILE_SIZE,
            translate("Speckless", "Tile size (pixels, 0 for automatic)"),
            0,
            translate(
                "Speckless",
                "Changes memory and speed, not the result. Halved when GPU memory is short.",
            ),
            least=0,
            most=TILE_SIZES[1],
            whole=True,
            advanced=True,
        )
        self.add_number(
            self.STAGES,
            translate("Speckless", "Stages (ScaoedNet, 0 for all)"),
            0,
            translate("Speckless", "Fewer stages are faster, and leave more error."),
            least=0,
            whole=True,
            advanced=True,
        )
        self.add_creation_options()

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
            (
                self.NOISE,
                translate("Speckless", "Estimated speckle (deSpeckNet, ScaoedNet)"),
                translate(
                    "Speckless",
                    "The speckle as the network itself estimates it, of mean about 1: deSpeckNet "
                    "by its second network, apart from the despeckled image. The log says which "
                    "Gamma and exponential density fit it.",
                ),
            ),
            (
                self.NOISE_LEVEL,
                translate("Speckless", "Noise level (AINDNet)"),
                translate(
                    "Speckless",
                    "Estimated relative standard deviation of the speckle around each pixel: "
                    "1/sqrt(looks), so that 1/level² is the local number of looks.",
                ),
            ),
        ]
        for name, title, help in maps:
            self.add_extra_raster(name, title, help)

    def _add_figures(self) -> None:
        self.add_figures(
            [
                (self.LOOKS_USED, translate("Speckless", "Number of looks used")),
                (self.KNOB_USED, translate("Speckless", "Knob used, in looks")),
                (self.CORRELATION, translate("Speckless", "Correlation of neighbouring speckle")),
                (self.MEAN_RATIO, translate("Speckless", "Mean of the ratio")),
                (self.VARIANCE_RATIO, translate("Speckless", "Variance of the ratio")),
            ],
            [
                (self.DOMAIN_USED, translate("Speckless", "Domain used")),
                (self.DEVICE_USED, translate("Speckless", "Device used")),
                (self.MODEL_USED, translate("Speckless", "Model used")),
            ],
        )

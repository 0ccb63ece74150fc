"""What speckless:roistatistics asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBand,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from .base import SpecklessAlgorithm
from .raster_algorithm import DOMAINS

translate = QCoreApplication.translate


class RoiStatisticsParameters(SpecklessAlgorithm):
    """The declaration of "Statistics of homogeneous areas". Names are stable."""

    INPUT = "INPUT"
    RASTER = "RASTER"
    DESPECKLED = "DESPECKLED"
    BAND = "BAND"
    DESPECKLED_BAND = "DESPECKLED_BAND"
    DOMAIN = "DOMAIN"
    DESPECKLED_DOMAIN = "DESPECKLED_DOMAIN"
    OUTPUT = "OUTPUT"
    TABLE = "TABLE"
    DOMAIN_USED = "DOMAIN_USED"

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "Draw polygons where the ground is uniform: what varies in them is speckle. All "
                "figures are of linear intensity, whatever the domain of the raster. A pixel "
                "belongs to the polygon that holds its centre; nodata is left out.",
            ),
            translate(
                "Speckless",
                "The interval holds the true number of looks 95 times in 100 if the area is "
                "uniform: it widens where neighbouring pixels share their speckle. Texture lowers "
                "the ENL; then it also lies below gamma_l, and ks is large.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        return [
            (
                "n_area, n_valid, n",
                translate(
                    "Speckless",
                    "Pixels in the polygon, valid ones (an estimate where much of a large polygon "
                    "was not read), and those measured (of areas above a megapixel a sample).",
                ),
            ),
            (
                "mean, std, cx",
                translate("Speckless", "Mean, standard deviation and their ratio std/mean."),
            ),
            (
                "enl, enl_low, enl_high, n_eff, too_small",
                translate(
                    "Speckless",
                    "Equivalent number of looks mean²/variance, its 95 % interval, how many "
                    "independent pixels it rests on, and 1 where that is too few.",
                ),
            ),
            (
                "corr_x, corr_y",
                translate("Speckless", "Correlation of neighbours in a row and in a column."),
            ),
            (
                "gamma_l, ks",
                translate(
                    "Speckless",
                    "Number of looks of the Gamma law fitted by maximum likelihood, and the "
                    "Kolmogorov-Smirnov distance from it.",
                ),
            ),
            (
                "d_..., mor, vor, enl_gain",
                translate(
                    "Speckless",
                    "With a despeckled raster: the same of it, mean and variance of the ratio "
                    "original/despeckled (1 and 1/looks are ideal), and ENL after over before.",
                ),
            ),
            (
                "COUNT, PIXELS, MEAN_..., MEDIAN_ENL, VARIANCE_RATIO",
                translate(
                    "Speckless",
                    "Numbers for models: areas and pixels measured, and means over the areas, "
                    "each counted once; empty where no area has the figure.",
                ),
            ),
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_inputs()
        self._add_advanced()
        self._add_outputs()

    def _add_inputs(self) -> None:
        self.add(
            QgsProcessingParameterFeatureSource(
                self.INPUT,
                translate("Speckless", "Homogeneous areas"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
            ),
            translate("Speckless", "Polygons in any CRS."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(self.RASTER, translate("Speckless", "SAR image")),
            translate("Speckless", "The raster with its speckle."),
        )
        self.add(
            # Optional, for QGIS's check of a band takes no notice of its default.
            QgsProcessingParameterBand(
                self.BAND, translate("Speckless", "Band"), 1, self.RASTER, optional=True
            ),
            translate("Speckless", "Band of the SAR image; the first if empty."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(
                self.DESPECKLED, translate("Speckless", "Despeckled image"), optional=True
            ),
            translate(
                "Speckless",
                "Result of any despeckling of that raster, on the same pixels; it may cover a "
                "part.",
            ),
        )
        self.add_choice(
            self.DOMAIN,
            translate("Speckless", "Domain of the values"),
            DOMAINS,
            translate("Speckless", "What auto found, and why, is in the log."),
        )

    def _add_advanced(self) -> None:
        self.add(
            QgsProcessingParameterBand(
                self.DESPECKLED_BAND,
                translate("Speckless", "Band of the despeckled image (empty: as above)"),
                None,
                self.DESPECKLED,
                optional=True,
            ),
            translate("Speckless", "By default the same number, or its only band."),
            advanced=True,
        )
        self.add_choice(
            self.DESPECKLED_DOMAIN,
            translate("Speckless", "Domain of the despeckled values"),
            DOMAINS,
            translate("Speckless", "To be given where auto takes it for another than it is."),
            advanced=True,
        )

    def _add_outputs(self) -> None:
        self.add(
            QgsProcessingParameterFeatureSink(
                self.OUTPUT,
                translate("Speckless", "Areas with statistics"),
                QgsProcessing.SourceType.TypeVectorPolygon,
            ),
            translate("Speckless", "The polygons with their attributes and the figures below."),
        )
        self.add_table(
            translate("Speckless", "The attributes as a file: .csv for spreadsheets, or .html.")
        )
        self.add_figures(
            [
                ("COUNT", translate("Speckless", "Areas measured")),
                ("PIXELS", translate("Speckless", "Pixels measured")),
                ("MEAN_ENL", translate("Speckless", "Mean ENL")),
                ("MEDIAN_ENL", translate("Speckless", "Median ENL")),
                ("MEAN_CX", translate("Speckless", "Mean coefficient of variation")),
                ("MEAN_CORRELATION_X", translate("Speckless", "Mean correlation in rows")),
                ("MEAN_CORRELATION_Y", translate("Speckless", "Mean correlation in columns")),
                ("MEAN_ENL_DESPECKLED", translate("Speckless", "Mean ENL after despeckling")),
                ("MEAN_ENL_GAIN", translate("Speckless", "Mean gain of ENL")),
                ("MEAN_RATIO", translate("Speckless", "Mean of the ratio")),
                ("VARIANCE_RATIO", translate("Speckless", "Variance of the ratio")),
            ],
            [
                (self.DOMAIN_USED, translate("Speckless", "Domain used")),
            ],
        )

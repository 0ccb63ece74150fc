"""What speckless:temporalreference asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.temporal_reference import SPREADS, STATISTICS
from .raster_algorithm import RasterAlgorithm

translate = QCoreApplication.translate


class TemporalReferenceParameters(RasterAlgorithm):
    """The declaration of "Temporal reference of a stack"."""

    THRESHOLD = "THRESHOLD"
    SPREAD_MEASURE = "SPREAD_MEASURE"
    STATISTIC = "STATISTIC"
    MIN_DATES = "MIN_DATES"
    MULTILOOK = "MULTILOOK"
    OUTPUT = "OUTPUT"
    COUNT = "COUNT"
    SPREAD = "SPREAD"
    MASK = "MASK"
    RASTERS = (OUTPUT, COUNT, SPREAD, MASK)
    DATES = "DATES"
    STABLE_SHARE = "STABLE_SHARE"
    DOMAIN_USED = "DOMAIN_USED"

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "For each pixel Z = √(Σ (x − mean)² / (N − 1)) over its N valid dates; where Z is "
                "not above the threshold the reference is the mean (or the median) of the dates, "
                "elsewhere nodata. Intensity is averaged, whatever the domain of the rasters.",
            ),
            translate(
                "Speckless",
                "Speckle of L looks alone has Z = mean/√L. So in single-look data, or in "
                "uncalibrated ones, the paper's threshold of 0.1 masks nearly everything: take "
                "the variation as measure there, and a threshold above 1/√L.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        return [
            (self.DATES, translate("Speckless", "Number of dates in the stack.")),
            (
                self.STABLE_SHARE,
                translate("Speckless", "Share of the pixels of two dates or more that is stable."),
            ),
            (self.DOMAIN_USED, translate("Speckless", "What the input was taken for.")),
        ]

    def references(self) -> list[str]:
        return [
            "Mullissa, A. G., Marcos, D., Tuia, D., Herold, M., Reiche, J. (2022). deSpeckNet: "
            "Generalizing deep learning-based SAR image despeckling. IEEE Transactions on "
            "Geoscience and Remote Sensing 60, 1-15. doi:10.1109/TGRS.2020.3042694",
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_stack()
        self._add_spread()
        self._add_average()
        self.add_creation_options()
        self._add_outputs()

    def _add_stack(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                self.INPUT, translate("Speckless", "Stack of dates"), QgsProcessing.TypeRaster
            ),
            translate(
                "Speckless",
                "One raster, whose bands are the dates; or a raster for each date, where every "
                "band (polarisation) gets a reference of its own. Co-registered, on one pixel "
                "grid, of one track and calibrated alike. The first gives the extent.",
            ),
        )
        self.add(
            QgsProcessingParameterString(
                self.BANDS, translate("Speckless", "Bands (all if empty)"), optional=True
            ),
            translate("Speckless", "Numbers from 1, separated by commas; the same of each raster."),
        )
        self.add_domain(translate("Speckless", "The reference has the same domain."))

    def _add_spread(self) -> None:
        self.add(
            # With a default, and yet it may be left empty.
            QgsProcessingParameterNumber(
                self.THRESHOLD,
                translate("Speckless", "Threshold (empty: mask nothing)"),
                QgsProcessingParameterNumber.Type.Double,
                0.1,
                optional=True,
                minValue=0.0,
            ),
            translate("Speckless", "Largest spread that counts as stable; 0.1 in the paper."),
        )
        self.add_choice(
            self.SPREAD_MEASURE,
            translate("Speckless", "Measure of the spread"),
            SPREADS,
            translate(
                "Speckless",
                "deviation: standard deviation of intensity, in its unit, as in the paper. "
                "variation: that over the mean, for data without calibration.",
            ),
        )

    def _add_average(self) -> None:
        self.add_choice(
            self.STATISTIC,
            translate("Speckless", "Statistic over the dates"),
            STATISTICS,
            translate(
                "Speckless",
                "The median withstands single changed dates, but of speckle of L looks it lies "
                "below the mean, by about 1/(3L) of it.",
            ),
        )
        self.add_number(
            self.MIN_DATES,
            translate("Speckless", "Valid dates needed"),
            2,
            translate("Speckless", "Pixels with fewer are nodata."),
            whole=True,
            least=1,
        )
        self.add_number(
            self.MULTILOOK,
            translate("Speckless", "Spatial multilooking (pixels)"),
            1,
            translate(
                "Speckless",
                "Side of the window, odd, over which the reference is averaged on the same grid, "
                "where the dates are few; 1 for none.",
            ),
            whole=True,
            least=1,
            most=101,
        )

    def _add_outputs(self) -> None:
        self.add(
            QgsProcessingParameterRasterDestination(
                self.OUTPUT, translate("Speckless", "Temporal reference")
            ),
            translate("Speckless", "Nodata where the stack is not stable."),
        )
        for name, title, help in (
            (
                self.COUNT,
                translate("Speckless", "Count of dates"),
                translate("Speckless", "Valid dates of each pixel."),
            ),
            (
                self.SPREAD,
                translate("Speckless", "Spread over the dates"),
                translate("Speckless", "Z, or Z over the mean; nodata below two dates."),
            ),
            (
                self.MASK,
                translate("Speckless", "Stable pixels"),
                translate("Speckless", "1 where the spread is not above the threshold, else 0."),
            ),
        ):
            self.add_extra_raster(name, title, help)
        self.add_figures(
            [
                (self.DATES, translate("Speckless", "Number of dates")),
                (self.STABLE_SHARE, translate("Speckless", "Share of stable pixels")),
            ],
            [(self.DOMAIN_USED, translate("Speckless", "Domain used"))],
        )

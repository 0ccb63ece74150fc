"""What the classical filters ask for and give: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any, ClassVar

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterRasterDestination,
)
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.base import SpeckleFilter
from ..raster_algorithm import RasterAlgorithm

translate = QCoreApplication.translate


class FilterParameters(RasterAlgorithm):
    """The declaration of a filter."""

    RADIUS = "RADIUS"
    VARIANT = "VARIANT"
    OUTPUT = "OUTPUT"
    MEAN_RATIO = "MEAN_RATIO"
    VARIANCE_RATIO = "VARIANCE_RATIO"
    DOMAIN_USED = "DOMAIN_USED"

    filter_class: ClassVar[type[SpeckleFilter]]
    has_radius: ClassVar[bool] = True

    def formula(self) -> list[str]:
        """Paragraphs (HTML) that say what the filter computes."""
        return []

    def variant_help(self) -> str:
        """What the variants are, where there are several."""
        return ""

    def add_own(self) -> None:
        """Add parameters of this filter alone."""

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        """Arguments of the filter's class that come from `add_own`."""
        return {}

    def introduction(self) -> list[str]:
        return [
            *self.formula(),
            translate(
                "Speckless",
                "Computed on intensity whatever the domain of the raster, so that amplitudes and "
                "decibels are not averaged as such. Only valid pixels count; nodata stays nodata "
                "and the tiles of large rasters do not show.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        rows = [
            (
                f"{self.MEAN_RATIO}, {self.VARIANCE_RATIO}",
                translate(
                    "Speckless",
                    "Mean and variance of input/estimate in intensity. Speckle of L looks has "
                    "mean 1 and variance 1/L.",
                ),
            ),
            (self.DOMAIN_USED, translate("Speckless", "What the input was taken for.")),
        ]
        if self.filter_class.takes_looks:
            looks = translate("Speckless", "Number of looks, as given or estimated.")
            rows.insert(0, (self.LOOKS_USED, looks))
        return rows

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_raster(
            translate(
                "Speckless",
                "The dates of the stack, two at least. By default all but alpha and mask bands.",
            )
            if self.filter_class.together
            else translate(
                "Speckless",
                "Each band is filtered by itself. By default all but alpha and mask bands.",
            )
        )
        self.add_domain(
            translate(
                "Speckless",
                "The result has the same domain; of complex input, intensity. To filter amplitudes "
                "as if they were intensities, as OTB does, choose intensity.",
            )
        )
        if self.has_radius:
            self._add_radius()
        if self.filter_class.takes_looks:
            self.add_looks(translate("Speckless", "Fewer looks smooth more."))
        if len(self.filter_class.variants) > 1:
            self._add_variant()
        self.add_own()
        self.add_extent(
            translate(
                "Speckless",
                "In any CRS; snapped outwards to whole pixels. The pixels are those that the "
                "whole image would give.",
            )
        )
        self.add_creation_options(compressed=False)
        self._add_results()

    def _add_radius(self) -> None:
        self.add_number(
            self.RADIUS,
            translate("Speckless", "Radius of the window (pixels)"),
            self.filter_class.default_radius(),
            translate("Speckless", "The window is 2·radius + 1 pixels wide: 1 is 3×3, 3 is 7×7."),
            least=1,
            most=self.filter_class.max_radius,
            whole=True,
        )

    def _add_variant(self) -> None:
        variants = list(self.filter_class.variants)
        self.add_choice(
            self.VARIANT,
            translate("Speckless", "Variant"),
            variants,
            self.variant_help(),
        )

    def _add_results(self) -> None:
        self.add(
            QgsProcessingParameterRasterDestination(
                self.OUTPUT, translate("Speckless", "Filtered")
            ),
            translate("Speckless", "Shown in the style of the input."),
        )
        numbers = [
            (self.MEAN_RATIO, translate("Speckless", "Mean of the ratio")),
            (self.VARIANCE_RATIO, translate("Speckless", "Variance of the ratio")),
        ]
        if self.filter_class.takes_looks:
            numbers.insert(0, (self.LOOKS_USED, translate("Speckless", "Number of looks used")))
        self.add_figures(numbers, [(self.DOMAIN_USED, translate("Speckless", "Domain used"))])

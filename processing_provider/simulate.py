"""The algorithm "Simulate speckle" (speckless:simulate)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterRasterDestination,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.speckle_field import MAX_CORRELATION
from ..plugin.jobs.simulating import OUTPUT_DOMAINS, SimulateJob
from .base import Progress, told_to_qgis
from .checks import check_choice, planned_file
from .raster_algorithm import DOMAINS, RasterAlgorithm
from .sources import gdal_source

translate = QCoreApplication.translate

_MOST_SEED = 2**31 - 1


class SimulateAlgorithm(RasterAlgorithm):
    """Makes a `SimulateJob` of the parameters and runs it."""

    GROUP = "quality"
    RESULT_DOMAIN = "RESULT_DOMAIN"
    CORRELATION_X = "CORRELATION_X"
    CORRELATION_Y = "CORRELATION_Y"
    SEED = "SEED"
    OUTPUT = "OUTPUT"
    DOMAIN_USED = "DOMAIN_USED"

    def name(self) -> str:
        return "simulate"

    def displayName(self) -> str:
        return translate("Speckless", "Simulate speckle")

    def tags(self) -> list[str]:
        return translate(
            "Speckless", "speckle,simulation,noise,multiplicative,Gamma,SAR,radar,looks,test"
        ).split(",")

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Lays speckle of a given number of looks, white or correlated, over a clean raster: "
            "for tests against a known truth.",
        )

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "The intensity is multiplied by fully developed speckle: Gamma distributed, of "
                "mean 1 and variance 1/L. The same seed gives the same speckle, whatever the "
                "tiles; bands get speckle of their own. Nodata stays nodata. Nothing is clipped.",
            )
        ]

    def output_help(self) -> list[tuple[str, str]]:
        return [(self.DOMAIN_USED, translate("Speckless", "What the input was taken for."))]

    def references(self) -> list[str]:
        return [
            "J. W. Goodman, Some fundamental properties of speckle, J. Opt. Soc. Am. 66(11), "
            "1145-1150, 1976."
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_raster(translate("Speckless", "By default all but alpha and mask bands."))
        parameter = self.parameterDefinition(self.INPUT)
        parameter.setDescription(translate("Speckless", "Clean raster"))
        parameter.setHelp(
            translate(
                "Speckless",
                "Without speckle: a despeckled image, the mean of many dates, or any raster "
                "without negative values, which is then taken for backscatter.",
            )
        )
        self.add_number(
            self.LOOKS,
            translate("Speckless", "Looks"),
            1.0,
            translate(
                "Speckless", "Any number of white speckle, a whole one up to 100 of correlated."
            ),
            least=0.01,
            most=10000.0,
        )
        self.add_domain(translate("Speckless", "That of the input."))
        self.add_choice(
            self.RESULT_DOMAIN,
            translate("Speckless", "Domain of the result"),
            list(OUTPUT_DOMAINS),
            translate("Speckless", "same is that of the input; of complex values, intensity."),
            "same",
        )
        for name, title in (
            (self.CORRELATION_X, translate("Speckless", "Correlation of neighbours in a row")),
            (self.CORRELATION_Y, translate("Speckless", "Correlation of neighbours in a column")),
        ):
            self.add_number(
                name,
                title,
                0.0,
                translate(
                    "Speckless",
                    "Of the intensity: 0 for white speckle; Sentinel-1 has 0.2 (SLC) to 0.7 "
                    "(resampled products). It falls off as a Gaussian with the distance.",
                ),
                least=0.0,
                most=MAX_CORRELATION,
            )
        self.add_number(
            self.SEED,
            translate("Speckless", "Seed"),
            0,
            translate("Speckless", "The same seed gives the same speckle."),
            least=0,
            most=_MOST_SEED,
            whole=True,
        )
        self.add_creation_options()
        self.add(
            QgsProcessingParameterRasterDestination(
                self.OUTPUT, translate("Speckless", "With speckle")
            ),
            translate("Speckless", "On the pixels of the input."),
        )
        self.add_figures([], [(self.DOMAIN_USED, translate("Speckless", "Domain used"))])

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        layer = self.input_layer(parameters, context)
        check_choice(self.DOMAIN, parameters.get(self.DOMAIN), DOMAINS)
        check_choice(self.RESULT_DOMAIN, parameters.get(self.RESULT_DOMAIN), list(OUTPUT_DOMAINS))
        output = planned_file(self.OUTPUT, parameters.get(self.OUTPUT))
        self._job(parameters, context, gdal_source(layer), output).check()
        return {self.INPUT: layer}

    def _job(
        self, parameters: dict[str, Any], context: QgsProcessingContext, source: str, output: str
    ) -> SimulateJob:
        return SimulateJob(
            input=source,
            output=output,
            looks=self.parameterAsDouble(parameters, self.LOOKS, context),
            bands=self.parameterAsInts(parameters, self.BANDS, context) or None,
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            result_domain=self.parameterAsEnumString(parameters, self.RESULT_DOMAIN, context),
            correlation=(
                self.parameterAsDouble(parameters, self.CORRELATION_X, context),
                self.parameterAsDouble(parameters, self.CORRELATION_Y, context),
            ),
            seed=self.parameterAsInt(parameters, self.SEED, context),
            creation_options=self.creation_options(parameters, context),
        )

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        with told_to_qgis():
            layer = self.input_layer(parameters, context)
            self._prepared = self._job(parameters, context, gdal_source(layer), "")
        self.warn_of_options(layer, feedback)
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        output = self.parameterAsOutputLayer(parameters, self.OUTPUT, context)
        progress = Progress(feedback)
        with told_to_qgis():
            result = replace(self._prepared, output=output).run(progress, progress.is_cancelled)
        return {self.OUTPUT: result.path, self.DOMAIN_USED: result.domain}

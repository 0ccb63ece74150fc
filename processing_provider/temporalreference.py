"""The algorithm "Temporal reference of a stack" (speckless:temporalreference)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.core.temporal_reference import SPREADS, STATISTICS, TemporalReference
from ..plugin.jobs.temporal_reference import TemporalReferenceJob
from .base import Progress, number_or_none, told_to_qgis
from .checks import check_choice, is_asked, planned_file
from .raster_algorithm import DOMAINS, RasterAlgorithm
from .sources import raster_paths

translate = QCoreApplication.translate


class TemporalReferenceAlgorithm(RasterAlgorithm):
    """Makes a `TemporalReferenceJob` of the parameters and runs it."""

    THRESHOLD = "THRESHOLD"
    SPREAD_MEASURE = "SPREAD_MEASURE"
    STATISTIC = "STATISTIC"
    MIN_DATES = "MIN_DATES"
    MULTILOOK = "MULTILOOK"
    OUTPUT = "OUTPUT"
    COUNT = "COUNT"
    SPREAD = "SPREAD"
    MASK = "MASK"
    DATES = "DATES"
    STABLE_SHARE = "STABLE_SHARE"
    DOMAIN_USED = "DOMAIN_USED"

    def name(self) -> str:
        return "temporalreference"

    def displayName(self) -> str:
        return translate("Speckless", "Temporal reference of a stack")

    def tags(self) -> list[str]:
        return translate(
            "Speckless",
            "multi-temporal,time series,stack,mean,median,average,reference,label,ground truth,"
            "training,deSpeckNet,SAR,speckle,multilook,stable",
        ).split(",")

    def group(self) -> str:
        return translate("Speckless", "Training")

    def groupId(self) -> str:
        return "training"

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Averages a co-registered stack of dates where it is stable in time: a reference "
            "almost without speckle, to train on or to measure against.",
        )

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
        number = QgsProcessingParameterNumber
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
        self.add(
            number(
                self.THRESHOLD, translate("Speckless", "Threshold (empty: mask nothing)"),
                number.Type.Double, 0.1, optional=True, minValue=0.0,
            ),
            translate("Speckless", "Largest spread that counts as stable; 0.1 in the paper."),
        )  # fmt: skip
        for name, title, options, help in (
            (
                self.SPREAD_MEASURE, translate("Speckless", "Measure of the spread"), SPREADS,
                translate(
                    "Speckless",
                    "deviation: standard deviation of intensity, in its unit, as in the paper. "
                    "variation: that over the mean, for data without calibration.",
                ),
            ),
            (
                self.STATISTIC, translate("Speckless", "Statistic over the dates"), STATISTICS,
                translate(
                    "Speckless",
                    "The median withstands single changed dates, but of speckle of L looks it lies "
                    "below the mean, by about 1/(3L) of it.",
                ),
            ),
        ):  # fmt: skip
            self.add(
                QgsProcessingParameterEnum(
                    name, title, options=list(options), defaultValue=options[0],
                    usesStaticStrings=True,
                ),
                help,
            )  # fmt: skip
        self.add(
            number(
                self.MIN_DATES, translate("Speckless", "Valid dates needed"),
                number.Type.Integer, 2, minValue=1,
            ),
            translate("Speckless", "Pixels with fewer are nodata."),
        )  # fmt: skip
        self.add(
            number(
                self.MULTILOOK, translate("Speckless", "Spatial multilooking (pixels)"),
                number.Type.Integer, 1, minValue=1, maxValue=101,
            ),
            translate(
                "Speckless",
                "Side of the window, odd, over which the reference is averaged on the same grid, "
                "where the dates are few; 1 for none.",
            ),
        )  # fmt: skip
        self.add_creation_options()
        for name, title, help in (
            (self.OUTPUT, translate("Speckless", "Temporal reference"), ""),
            (
                self.COUNT, translate("Speckless", "Count of dates"),
                translate("Speckless", "Valid dates of each pixel."),
            ),
            (
                self.SPREAD, translate("Speckless", "Spread over the dates"),
                translate("Speckless", "Z, or Z over the mean; nodata below two dates."),
            ),
            (
                self.MASK, translate("Speckless", "Stable pixels"),
                translate("Speckless", "1 where the spread is not above the threshold, else 0."),
            ),
        ):  # fmt: skip
            main = name == self.OUTPUT
            self.add(
                QgsProcessingParameterRasterDestination(
                    name, title, optional=not main, createByDefault=main
                ),
                help or translate("Speckless", "Nodata where the stack is not stable."),
            )
        for name, title in (
            (self.DATES, translate("Speckless", "Number of dates")),
            (self.STABLE_SHARE, translate("Speckless", "Share of stable pixels")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, title))
        title = translate("Speckless", "Domain used")
        self.addOutput(QgsProcessingOutputString(self.DOMAIN_USED, title))

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        for name, options in (
            (self.DOMAIN, DOMAINS),
            (self.SPREAD_MEASURE, list(SPREADS)),
            (self.STATISTIC, list(STATISTICS)),
        ):
            check_choice(name, parameters.get(name), options)
        outputs = {
            name: planned_file(name, parameters.get(name))
            for name in (self.OUTPUT, self.COUNT, self.SPREAD, self.MASK)
        }
        job = self._job_from(parameters, context)
        wanted = {name: path for name, path in outputs.items() if path}
        replace(job, outputs=wanted).check()
        return {}

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        with told_to_qgis():
            self._job = self._job_from(parameters, context)
        return True

    def _job_from(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> TemporalReferenceJob:
        threshold = self.optional_number(parameters, self.THRESHOLD, context)
        if self.THRESHOLD not in parameters:
            threshold = 0.1
        return TemporalReferenceJob(
            inputs=raster_paths(
                self.parameterAsLayerList(parameters, self.INPUT, context),
                parameters.get(self.INPUT),
            ),
            outputs={},
            method=TemporalReference(
                threshold=threshold,
                spread=self.parameterAsEnumString(parameters, self.SPREAD_MEASURE, context),
                statistic=self.parameterAsEnumString(parameters, self.STATISTIC, context),
                least=self.parameterAsInt(parameters, self.MIN_DATES, context),
                side=self.parameterAsInt(parameters, self.MULTILOOK, context),
            ),
            bands=_band_numbers(self.parameterAsString(parameters, self.BANDS, context)),
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            creation_options=self.creation_options(parameters, context),
        )

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        outputs = {
            name: self.parameterAsOutputLayer(parameters, name, context)
            for name in (self.OUTPUT, self.COUNT, self.SPREAD, self.MASK)
            if is_asked(parameters.get(name))
        }
        progress = Progress(feedback)
        with told_to_qgis():
            job = replace(self._job, outputs=outputs)
            result = job.run(progress, progress.is_cancelled)
        feedback.pushInfo(
            translate(
                "Speckless",
                "{dates} dates, {count:.3g} valid ones a pixel; {share:.1%} of the pixels are "
                "stable. {seconds:.1f} s.",
            ).format(
                dates=result.dates, count=result.mean_count, share=result.stable_share,
                seconds=result.seconds,
            )
        )  # fmt: skip
        return {
            **result.paths,
            self.DATES: result.dates,
            self.STABLE_SHARE: number_or_none(result.stable_share),
            self.DOMAIN_USED: result.domain,
        }


def _band_numbers(text: str) -> list[int] | None:
    """Numbers of a list such as "1, 3"; None for an empty one."""
    try:
        numbers = [int(part) for part in text.replace(";", ",").split(",") if part.strip()]
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise InvalidInput(
            translate(
                "Speckless", "BANDS must be numbers from 1, separated by commas, got '{text}'."
            ).format(text=text)
        )
    return numbers or None

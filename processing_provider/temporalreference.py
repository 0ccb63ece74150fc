"""The algorithm "Temporal reference of a stack" (speckless:temporalreference)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.core.temporal_reference import SPREADS, STATISTICS, TemporalReference
from ..plugin.jobs.temporal_reference import TemporalReferenceJob
from .base import Progress, number_or_none, told_to_qgis
from .checks import check_choice, is_asked, planned_file
from .raster_algorithm import DOMAINS
from .sources import raster_paths
from .temporalreference_parameters import TemporalReferenceParameters

translate = QCoreApplication.translate


class TemporalReferenceAlgorithm(TemporalReferenceParameters):
    """Makes a `TemporalReferenceJob` of the parameters and runs it."""

    GROUP = "training"

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

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Averages a co-registered stack of dates where it is stable in time: a reference "
            "almost without speckle, to train on or to measure against.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        for name, options in (
            (self.DOMAIN, DOMAINS),
            (self.SPREAD_MEASURE, list(SPREADS)),
            (self.STATISTIC, list(STATISTICS)),
        ):
            check_choice(name, parameters.get(name), options)
        outputs = {name: planned_file(name, parameters.get(name)) for name in self.RASTERS}
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
            for name in self.RASTERS
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

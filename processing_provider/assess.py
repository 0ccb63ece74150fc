"""The algorithm "Assess despeckling" (speckless:assess)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.jobs.assessing import AssessJob
from ..plugin.jobs.assessment import Assessment
from ..plugin.jobs.assessment_outputs import check_report_file, write_figures, write_report
from ..plugin.jobs.assessment_report import verdicts
from ..plugin.jobs.statistics_table import check_table
from .assess_parameters import AssessParameters
from .base import Progress, told_to_qgis
from .checks import check_choice, destination, is_asked, planned_file
from .raster_algorithm import DOMAINS

translate = QCoreApplication.translate


class AssessAlgorithm(AssessParameters):
    """Makes an `AssessJob` of the parameters and runs it."""

    GROUP = "quality"

    def name(self) -> str:
        return "assess"

    def displayName(self) -> str:
        return translate("Speckless", "Assess despeckling")

    def tags(self) -> list[str]:
        return translate(
            "Speckless",
            "quality,assessment,evaluation,speckle,SAR,radar,ENL,PSNR,SSIM,EPI,EPD-ROA,ratio,MoR,"
            "VoR,M-index,edge preservation,point target,despeckling gain,report",
        ).split(",")

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Compares a despeckled SAR image with its input: smoothing, level, edges, point "
            "targets, structure in the ratio; with a clean reference also PSNR, SSIM and more.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        rasters = (self.INPUT, self.DESPECKLED, self.REFERENCE, self.SLOPE, self.BIAS)
        found = self.rasters(parameters, rasters, context)
        for name in (self.DOMAIN, self.DESPECKLED_DOMAIN, self.REFERENCE_DOMAIN):
            check_choice(name, parameters.get(name), DOMAINS)
        table, report = (destination(parameters.get(n)) for n in (self.TABLE, self.REPORT))
        if table:
            check_table(table)
        if report:
            check_report_file(report)
        ratio = planned_file(self.RATIO, parameters.get(self.RATIO))
        self._job(parameters, context, ratio).check()
        return found

    def _band(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> int | None:
        number = self.optional_number(parameters, name, context)
        return None if number is None else int(number)

    def _job(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        ratio: str,
        areas: Sequence[bytes] = (),
    ) -> AssessJob:
        def domain(name: str) -> str:
            return str(self.parameterAsEnumString(parameters, name, context))

        return AssessJob(
            input=self.raster_path(parameters, self.INPUT, context) or "",
            despeckled=self.raster_path(parameters, self.DESPECKLED, context) or "",
            reference=self.raster_path(parameters, self.REFERENCE, context),
            band=self._band(parameters, self.BAND, context) or 1,
            despeckled_band=self._band(parameters, self.DESPECKLED_BAND, context),
            reference_band=self._band(parameters, self.REFERENCE_BAND, context),
            domain=domain(self.DOMAIN),
            despeckled_domain=domain(self.DESPECKLED_DOMAIN),
            reference_domain=domain(self.REFERENCE_DOMAIN),
            looks=self.optional_number(parameters, self.LOOKS, context),
            areas=areas,
            slope=self.raster_path(parameters, self.SLOPE, context),
            bias=self.raster_path(parameters, self.BIAS, context),
            peak=self.optional_number(parameters, self.PEAK, context),
            ratio=ratio or None,
            creation_options=self.creation_options(parameters, context),
        )

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        with told_to_qgis():
            areas = self.areas(parameters, context, self.input_layer(parameters, context))
            ratio = ""
            if is_asked(parameters.get(self.RATIO)):
                ratio = self.parameterAsOutputLayer(parameters, self.RATIO, context)
            self._prepared = self._job(parameters, context, ratio, areas)
        self._files = {
            name: self.asked_file(parameters, name, context) for name in (self.REPORT, self.TABLE)
        }
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        job = self._prepared
        progress = Progress(feedback)
        with told_to_qgis():
            found = job.run(progress, progress.is_cancelled)
            if self._files[self.TABLE]:
                write_figures(self._files[self.TABLE], found)
            if self._files[self.REPORT]:
                write_report(self._files[self.REPORT], job, found)
        self._tell(found, feedback)
        outputs: dict[str, Any] = {name: path for name, path in self._files.items() if path}
        if job.ratio:
            outputs[self.RATIO] = job.ratio
        return {
            **outputs,
            **{name: figure.value for name, figure in found.figures.items()},
            self.LOOKS_USED: found.looks,
            self.DOMAIN_USED: found.domain,
            self.REASONS: "\n".join(f"{name}: {why}" for name, why in found.reasons().items()),
        }

    def _tell(self, found: Assessment, feedback: QgsProcessingFeedback) -> None:
        for text in [*found.notes, *verdicts(found)]:
            feedback.pushInfo(text)

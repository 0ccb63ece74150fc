"""The algorithm "Assess despeckling" (speckless:assess)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.jobs.assessing import AssessJob
from ..plugin.jobs.assessment import Assessment
from ..plugin.jobs.assessment_outputs import check_report_file, write_figures, write_report
from ..plugin.jobs.assessment_report import verdicts
from ..plugin.jobs.statistics_table import check_table
from .areas import source_as_wkb
from .assess_parameters import AssessParameters
from .base import Progress, told_to_qgis
from .checks import check_choice, destination, is_asked, planned_file
from .raster_algorithm import DOMAINS
from .sources import gdal_source, raster_layer

translate = QCoreApplication.translate


class AssessAlgorithm(AssessParameters):
    """Makes an `AssessJob` of the parameters and runs it."""

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

    def group(self) -> str:
        return translate("Speckless", "Quality")

    def groupId(self) -> str:
        return "quality"

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Compares a despeckled SAR image with its input: smoothing, level, edges, point "
            "targets, structure in the ratio; with a clean reference also PSNR, SSIM and more.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        found = {}
        for name in (self.INPUT, self.DESPECKLED, self.REFERENCE, self.SLOPE, self.BIAS):
            layer = self._raster(parameters, name, context)
            if layer is not None:
                gdal_source(layer)
                found[name] = layer
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

    def _raster(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> QgsRasterLayer | None:
        needed = name in (self.INPUT, self.DESPECKLED)
        if not needed and parameters.get(name) in (None, ""):
            return None
        layer = self.parameterAsRasterLayer(parameters, name, context)
        return raster_layer(layer, parameters.get(name))

    def _path(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> str | None:
        layer = self._raster(parameters, name, context)
        return None if layer is None else gdal_source(layer)

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
            input=self._path(parameters, self.INPUT, context) or "",
            despeckled=self._path(parameters, self.DESPECKLED, context) or "",
            reference=self._path(parameters, self.REFERENCE, context),
            band=self._band(parameters, self.BAND, context) or 1,
            despeckled_band=self._band(parameters, self.DESPECKLED_BAND, context),
            reference_band=self._band(parameters, self.REFERENCE_BAND, context),
            domain=domain(self.DOMAIN),
            despeckled_domain=domain(self.DESPECKLED_DOMAIN),
            reference_domain=domain(self.REFERENCE_DOMAIN),
            looks=self.optional_number(parameters, self.LOOKS, context),
            areas=areas,
            slope=self._path(parameters, self.SLOPE, context),
            bias=self._path(parameters, self.BIAS, context),
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
            layer = self._raster(parameters, self.INPUT, context)
            areas = source_as_wkb(
                self.parameterAsSource(parameters, self.AREAS_LAYER, context),
                parameters.get(self.AREAS_LAYER),
                layer.crs(),
                context,
            )
            ratio = ""
            if is_asked(parameters.get(self.RATIO)):
                ratio = self.parameterAsOutputLayer(parameters, self.RATIO, context)
            self._prepared = self._job(parameters, context, ratio, areas)
        self._files = {
            name: self.parameterAsFileOutput(parameters, name, context)
            for name in (self.REPORT, self.TABLE)
            if is_asked(parameters.get(name))
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
            if self._files.get(self.TABLE):
                write_figures(self._files[self.TABLE], found)
            if self._files.get(self.REPORT):
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

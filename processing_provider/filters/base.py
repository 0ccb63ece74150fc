"""What the algorithms of the group "Classical filters" share: all but their words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.base import SpeckleFilter
from ...plugin.core.tiling import Window
from ...plugin.jobs.filtering import FilterJob, FilterResult
from ..base import Progress, number_or_none, told_to_qgis
from ..checks import check_choice, planned_file
from ..postprocess import keep_renderer, shown_renderer
from ..raster_algorithm import DOMAINS
from ..sources import gdal_source
from .parameters import FilterParameters

translate = QCoreApplication.translate


class FilterAlgorithm(FilterParameters):
    """Makes a `FilterJob` of the parameters and runs it.

    A subclass names its filter, describes it, and adds parameters of its own where it has some.
    """

    GROUP = "classicalfilters"
    filter_class: ClassVar[type[SpeckleFilter]]

    def name(self) -> str:
        return self.filter_class.id

    def displayName(self) -> str:
        return translate("Speckless", "{filter} filter").format(filter=self.filter_class.title)

    def tags(self) -> list[str]:
        common = translate("Speckless", "speckle,despeckle,SAR,radar,filter,noise,smooth,classical")
        return [*common.split(","), self.filter_class.title, *self.words()]

    def words(self) -> list[str]:
        """Further words the algorithm is found by."""
        return []

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        layer = self.input_layer(parameters, context)
        check_choice(self.DOMAIN, parameters.get(self.DOMAIN), DOMAINS)
        variants = list(self.filter_class.variants)
        check_choice(self.VARIANT, parameters.get(self.VARIANT), variants)
        output = planned_file(self.OUTPUT, parameters.get(self.OUTPUT))
        self._job_from(parameters, context, gdal_source(layer), None, output).check()
        return {self.INPUT: layer}

    def _filter(self, parameters: dict[str, Any], context: QgsProcessingContext) -> SpeckleFilter:
        chosen: dict[str, Any] = {}
        if self.parameterDefinition(self.RADIUS) is not None:
            chosen["radius"] = self.parameterAsInt(parameters, self.RADIUS, context)
        if self.parameterDefinition(self.VARIANT) is not None:
            chosen["variant"] = self.parameterAsEnumString(parameters, self.VARIANT, context)
        return self.filter_class(**chosen, **self.own_values(parameters, context))

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        with told_to_qgis():
            layer = self.input_layer(parameters, context)
            source = gdal_source(layer)
            window = self.window(parameters, context, source, layer)
            self._job = self._job_from(parameters, context, source, window)
        self.warn_of_options(layer, feedback)
        self._renderer = shown_renderer(layer, self._job.bands or (), context)
        return True

    def _job_from(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        window: Window | None,
        output: str = "",
    ) -> FilterJob:
        return FilterJob(
            input=source,
            output=output,
            filter=self._filter(parameters, context),
            bands=self.parameterAsInts(parameters, self.BANDS, context) or None,
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            looks=self.optional_number(parameters, self.LOOKS, context),
            extent=window,
            creation_options=self.creation_options(parameters, context),
        )

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        output = self.parameterAsOutputLayer(parameters, self.OUTPUT, context)
        job = replace(self._job, output=output)
        progress = Progress(feedback)
        with told_to_qgis():
            result = job.run(progress, progress.is_cancelled)
        self._report(result, feedback)
        # Intensity made of complex values has a style of its own.
        if result.domain != "complex":
            keep_renderer(context, job.output, self._renderer)
        looks = {self.LOOKS_USED: result.looks_used} if result.looks_used is not None else {}
        return {
            self.OUTPUT: result.path,
            **looks,
            self.MEAN_RATIO: number_or_none(result.mean_ratio),
            self.VARIANCE_RATIO: number_or_none(result.variance_ratio),
            self.DOMAIN_USED: result.domain,
        }

    def _report(self, result: FilterResult, feedback: QgsProcessingFeedback) -> None:
        feedback.pushInfo(
            translate(
                "Speckless",
                "Ratio: mean {mean:.3f} (1 is unbiased), variance {variance:.3f} (pure speckle "
                "of L looks: 1/L). {pixels} pixels in {seconds:.1f} s.",
            ).format(
                mean=result.mean_ratio,
                variance=result.variance_ratio,
                pixels=result.pixels,
                seconds=result.seconds,
            )
        )

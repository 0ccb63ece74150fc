"""What the algorithms of the group "Classical filters" share: all but their words."""

from __future__ import annotations

from typing import Any, ClassVar

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.errors import Cancelled, SpecklessError
from ...plugin.core.filters.base import SpeckleFilter
from ...plugin.core.tiling import Window
from ...plugin.jobs.filtering import FilterJob, FilterResult
from ...plugin.raster.writer import check_output
from ..base import Progress, number_or_none
from ..checks import check_choice, check_positive, destination
from ..extents import pixel_window
from ..postprocess import KeepRenderer, renderer_for
from ..sources import gdal_source, open_options, raster_layer
from .parameters import DOMAINS, FilterParameters

translate = QCoreApplication.translate


class FilterAlgorithm(FilterParameters):
    """Makes a `FilterJob` of the parameters and runs it.

    A subclass names its filter, describes it, and adds parameters of its own where it has some.
    """

    filter_class: ClassVar[type[SpeckleFilter]]

    def name(self) -> str:
        return self.filter_class.id

    def displayName(self) -> str:
        return translate("Speckless", "{filter} filter").format(filter=self.filter_class.title)

    def tags(self) -> list[str]:
        common = translate("Speckless", "speckle,despeckle,SAR,radar,filter,noise,smooth,classical")
        return [*common.split(","), self.filter_class.title, *self.words()]

    def group(self) -> str:
        return translate("Speckless", "Classical filters")

    def groupId(self) -> str:
        return "classicalfilters"

    def words(self) -> list[str]:
        """Further words the algorithm is found by."""
        return []

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        # QGIS's own check says no more than "Incorrect parameter value", so ours goes first.
        try:
            layer = self._layer(parameters, context)
            check_choice(self.DOMAIN, parameters.get(self.DOMAIN), DOMAINS)
            looks = self.optional_number(parameters, self.LOOKS, context)
            check_positive(self.LOOKS, looks)
            check_choice(
                self.VARIANT, parameters.get(self.VARIANT), list(self.filter_class.variants)
            )
            self._filter(parameters, context)
            path = destination(parameters.get(self.OUTPUT))
            if path:
                check_output(path, [gdal_source(layer)])
        except SpecklessError as error:
            return False, str(error)
        return super().checkParameterValues({**parameters, self.INPUT: layer}, context)

    def _layer(self, parameters: dict[str, Any], context: QgsProcessingContext) -> QgsRasterLayer:
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        return raster_layer(layer, parameters.get(self.INPUT))

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
        try:
            layer = self._layer(parameters, context)
            source = gdal_source(layer)
            window = self._window(parameters, context, source, layer)
            self._chosen = self._filter(parameters, context)
        except SpecklessError as error:
            raise QgsProcessingException(str(error)) from error
        if open_options(layer.source()):
            feedback.pushWarning(
                translate(
                    "Speckless",
                    "The options this layer is opened with are not used: the file is read as "
                    "it is.",
                )
            )
        self._source, self._extent = source, window
        self._bands = self.parameterAsInts(parameters, self.BANDS, context)
        project = context.project()
        shown = project is not None and project.mapLayer(layer.id()) is not None
        self._renderer = renderer_for(layer, self._bands) if shown else None
        return True

    def _window(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        layer: QgsRasterLayer,
    ) -> Window | None:
        if self.parameterAsExtent(parameters, self.EXTENT, context).isEmpty():
            return None
        # As a polygon: turned into another CRS, a rectangle is none any more.
        area = self.parameterAsExtentGeometry(parameters, self.EXTENT, context, layer.crs())
        return pixel_window(source, [(point.x(), point.y()) for point in area.vertices()])

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        options = self.parameterAsString(parameters, self.CREATION_OPTIONS, context)
        job = FilterJob(
            input=self._source,
            output=self.parameterAsOutputLayer(parameters, self.OUTPUT, context),
            filter=self._chosen,
            bands=self._bands or None,
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            looks=self.optional_number(parameters, self.LOOKS, context),
            extent=self._extent,
            creation_options=[option for option in options.split("|") if option],
        )
        progress = Progress(feedback)
        try:
            result = job.run(progress, progress.is_cancelled)
        except Cancelled as error:
            # Returning would leave qgis_process with exit code 0 and no file.
            raise QgsProcessingException(translate("Speckless", "cancelled")) from error
        except SpecklessError as error:
            raise QgsProcessingException(str(error)) from error
        self._report(result, feedback)
        # Intensity made of complex values has a style of its own.
        loads = context.willLoadLayerOnCompletion(job.output)
        if self._renderer is not None and loads and result.domain != "complex":
            details = context.layerToLoadOnCompletionDetails(job.output)
            details.setPostProcessor(KeepRenderer(self._renderer))
        looks = {self.LOOKS_USED: result.looks_used} if result.looks_used is not None else {}
        return {
            self.OUTPUT: result.path,
            **looks,
            self.MEAN_RATIO: number_or_none(result.mean_ratio),
            self.VARIANCE_RATIO: number_or_none(result.variance_ratio),
            self.DOMAIN_USED: result.domain,
        }

    def _report(self, result: FilterResult, feedback: QgsProcessingFeedback) -> None:
        for warning in result.warnings:
            feedback.pushWarning(warning)
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

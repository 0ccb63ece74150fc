"""The algorithm "Despeckle SAR image" (speckless:despeckle)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import Cancelled, SpecklessError
from ..plugin.core.tiling import Window
from ..plugin.engine.interpreter import find_python
from ..plugin.jobs.despeckling import DespeckleJob, DespeckleResult
from ..plugin.toolbelt.settings import Settings
from .base import Progress, number_or_none
from .checks import check_choice, check_device, planned_file
from .despeckle_parameters import DOMAINS, PRECISIONS, DespeckleParameters
from .extents import pixel_window
from .postprocess import KeepRenderer, renderer_for
from .sources import gdal_source, open_options, raster_layer

translate = QCoreApplication.translate


class DespeckleAlgorithm(DespeckleParameters):
    """Makes a `DespeckleJob` of the parameters and runs it."""

    def name(self) -> str:
        return "despeckle"

    def displayName(self) -> str:
        return translate("Speckless", "Despeckle SAR image")

    def tags(self) -> list[str]:
        return translate(
            "Speckless",
            "despeckle,speckle,SAR,radar,Sentinel-1,denoise,noise,filter,multiplicative,"
            "backscatter,GRD,SLC,ENL,looks,neural network,deep learning,DoPAMINE,FFDNet,Lee",
        ).split(",")

    def group(self) -> str:
        return translate("Speckless", "Despeckling")

    def groupId(self) -> str:
        return "despeckling"

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Removes the speckle of a SAR image with a trained network and reports the mean and "
            "variance of what was removed.",
        )

    def canExecute(self) -> tuple[bool, str]:
        """Look whether there is a Python for the engine; what it lacks the engine says."""
        try:
            find_python(Settings.load().engine_python or None)
        except SpecklessError as error:
            return False, str(error)
        return True, ""

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        # QGIS's own check says no more than "Incorrect parameter value", so ours goes first.
        try:
            layer = self._layer(parameters, context)
            self._check(parameters, context, gdal_source(layer))
        except SpecklessError as error:
            return False, str(error)
        return super().checkParameterValues({**parameters, self.INPUT: layer}, context)

    def _layer(self, parameters: dict[str, Any], context: QgsProcessingContext) -> QgsRasterLayer:
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        return raster_layer(layer, parameters.get(self.INPUT))

    def _check(
        self, parameters: dict[str, Any], context: QgsProcessingContext, source: str
    ) -> None:
        check_choice(self.DOMAIN, parameters.get(self.DOMAIN), DOMAINS)
        check_choice(self.PRECISION, parameters.get(self.PRECISION), PRECISIONS)
        check_device(self.parameterAsString(parameters, self.DEVICE, context))
        files = {
            name.lower(): planned_file(name, parameters.get(name))
            for name in (self.OUTPUT, self.RATIO, self.SLOPE, self.BIAS)
        }
        replace(self._job_from(parameters, context, source, None), **files).check()

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        # QGIS 3.22 does not ask by itself when run by qgis_process or from a script.
        ready, problem = self.canExecute()
        if not ready:
            raise QgsProcessingException(problem)
        try:
            layer = self._layer(parameters, context)
            source = gdal_source(layer)
            window = self._window(parameters, context, source, layer)
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
        self._job = self._job_from(parameters, context, source, window)
        project = context.project()
        shown = project is not None and project.mapLayer(layer.id()) is not None
        self._renderer = renderer_for(layer, self._job.bands or ()) if shown else None
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

    def _job_from(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        window: Window | None,
    ) -> DespeckleJob:
        settings = Settings.load()
        device = self.parameterAsString(parameters, self.DEVICE, context)
        options = self.parameterAsString(parameters, self.CREATION_OPTIONS, context)
        return DespeckleJob(
            input=source,
            output="",
            bands=self.parameterAsInts(parameters, self.BANDS, context) or None,
            # Not as an enum: that would make an unknown model the default one.
            model=self.parameterAsString(parameters, self.MODEL, context),
            model_file=self.parameterAsFile(parameters, self.MODEL_FILE, context) or None,
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            looks=self.optional_number(parameters, self.LOOKS, context),
            knob=self.optional_number(parameters, self.KNOB, context),
            extent=window,
            device=settings.device if device == "auto" else device,
            precision=self.parameterAsEnumString(parameters, self.PRECISION, context),
            tile_size=self.parameterAsInt(parameters, self.TILE_SIZE, context),
            creation_options=[option for option in options.split("|") if option],
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in settings.model_folders()],
        )

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        paths = {
            name: self.parameterAsOutputLayer(parameters, name, context)
            for name in (self.OUTPUT, self.RATIO, self.SLOPE, self.BIAS)
        }
        job = replace(
            self._job,
            output=paths[self.OUTPUT],
            ratio=paths[self.RATIO] or None,
            slope=paths[self.SLOPE] or None,
            bias=paths[self.BIAS] or None,
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
        return {
            **result.paths,
            self.LOOKS_USED: result.looks_used,
            self.MEAN_RATIO: number_or_none(result.mean_ratio),
            self.VARIANCE_RATIO: number_or_none(result.variance_ratio),
            self.DOMAIN_USED: result.domain,
            self.DEVICE_USED: result.device,
            self.MODEL_USED: result.model,
        }

    def _report(self, result: DespeckleResult, feedback: QgsProcessingFeedback) -> None:
        feedback.pushInfo(
            translate(
                "Speckless",
                "Ratio: mean {mean:.3f} (1 is unbiased), variance {variance:.3f} (pure speckle of "
                "{looks:.2f} looks: {expected:.3f}). {pixels} pixels in {seconds:.1f} s.",
            ).format(
                mean=result.mean_ratio,
                variance=result.variance_ratio,
                looks=result.looks_used,
                expected=1 / result.looks_used,
                pixels=result.pixels,
                seconds=result.seconds,
            )
        )

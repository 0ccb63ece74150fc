"""The algorithm "Despeckle SAR image" (speckless:despeckle)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.tiling import Window
from ..plugin.jobs.despeckling import DespeckleJob, DespeckleResult
from ..plugin.toolbelt.settings import Settings
from .base import Progress, number_or_none, told_to_qgis
from .checks import check_choice, check_device, planned_file
from .despeckle_parameters import DespeckleParameters
from .network_algorithm import PRECISIONS
from .postprocess import keep_renderer, shown_renderer
from .raster_algorithm import DOMAINS
from .sources import gdal_source

translate = QCoreApplication.translate


class DespeckleAlgorithm(DespeckleParameters):
    """Makes a `DespeckleJob` of the parameters and runs it."""

    GROUP = "despeckling"

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

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Removes the speckle of a SAR image with a trained network and reports the mean and "
            "variance of what was removed.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        layer = self.input_layer(parameters, context)
        source = gdal_source(layer)
        check_choice(self.DOMAIN, parameters.get(self.DOMAIN), DOMAINS)
        check_choice(self.PRECISION, parameters.get(self.PRECISION), PRECISIONS)
        check_device(self.parameterAsString(parameters, self.DEVICE, context))
        files = {name.lower(): planned_file(name, parameters.get(name)) for name in self.RASTERS}
        replace(self._job_from(parameters, context, source, None), **files).check()
        return {self.INPUT: layer}

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        self.need_python()
        with told_to_qgis():
            layer = self.input_layer(parameters, context)
            source = gdal_source(layer)
            window = self.window(parameters, context, source, layer)
        self.warn_of_options(layer, feedback)
        self._job = self._job_from(parameters, context, source, window)
        self._renderer = shown_renderer(layer, self._job.bands or (), context)
        return True

    def _job_from(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        window: Window | None,
    ) -> DespeckleJob:
        settings = Settings.load()
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
            device=self.device(parameters, context),
            precision=self.parameterAsEnumString(parameters, self.PRECISION, context),
            tile_size=self.parameterAsInt(parameters, self.TILE_SIZE, context),
            creation_options=self.creation_options(parameters, context),
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in settings.model_folders()],
            stages=self.parameterAsInt(parameters, self.STAGES, context),
            knob_auto=self.parameterAsBool(parameters, self.KNOB_AUTO, context),
            ensemble=self.parameterAsBool(parameters, self.SELF_ENSEMBLE, context),
            looks_map=self.raster_path(parameters, self.LOOKS_MAP, context),
            class_map=self.raster_path(parameters, self.CLASS_MAP, context),
        )

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        paths = {
            name: self.parameterAsOutputLayer(parameters, name, context) for name in self.RASTERS
        }
        job = replace(
            self._job,
            output=paths[self.OUTPUT],
            ratio=paths[self.RATIO] or None,
            slope=paths[self.SLOPE] or None,
            bias=paths[self.BIAS] or None,
            noise=paths[self.NOISE] or None,
            noise_level=paths[self.NOISE_LEVEL] or None,
        )
        progress = Progress(feedback)
        with told_to_qgis():
            result = job.run(progress, progress.is_cancelled)
        self._report(result, feedback)
        # Intensity made of complex values has a style of its own.
        if result.domain != "complex":
            keep_renderer(context, job.output, self._renderer)
        return {
            **result.paths,
            self.LOOKS_USED: result.looks_used,
            self.KNOB_USED: result.knob_used,
            self.CORRELATION: result.correlation,
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

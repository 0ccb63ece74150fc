"""The algorithm "Fine-tune model on SAR image" (speckless:finetune)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.core.tiling import Window
from ..plugin.core.tuning import DEPTHS, METHODS
from ..plugin.jobs.adapting import AdaptJob, AdaptResult, check_report
from ..plugin.jobs.checks import settle_method
from ..plugin.jobs.finetuning import FineTuneJob
from ..plugin.jobs.limits import check_positive
from ..plugin.jobs.tuning_report import STRAY
from ..plugin.raster.polygons import PolygonMask
from ..plugin.raster.writer import check_output
from ..plugin.toolbelt.settings import Settings
from .areas import learning_window, polygon_mask
from .base import Progress, number_or_none, told_to_qgis
from .checks import (
    check_choice,
    check_device,
    destination,
    is_asked,
)
from .finetune_parameters import AUGMENTS, FineTuneParameters
from .models import affine_models, user_folder
from .network_algorithm import PRECISIONS
from .postprocess import keep_renderer, shown_renderer
from .raster_algorithm import DOMAINS
from .sources import gdal_source

translate = QCoreApplication.translate


class FineTuneAlgorithm(FineTuneParameters):
    """Makes an `AdaptJob` of the parameters and runs it."""

    GROUP = "despeckling"

    def name(self) -> str:
        return "finetune"

    def displayName(self) -> str:
        return translate("Speckless", "Fine-tune model on SAR image")

    def tags(self) -> list[str]:
        return translate(
            "Speckless",
            "fine-tune,finetune,train,adapt,self-supervised,AFT,despeckle,speckle,SAR,radar,"
            "Sentinel-1,neural network,deep learning,DoPAMINE,model,risk",
        ).split(",")

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Adapts a DoPAMINE network to the image it is to despeckle, without a clean one, and "
            "tells by how much its estimated error fell.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        layer = self.input_layer(parameters, context)
        source = gdal_source(layer)
        for name in (self.LOOKS, self.KNOB, self.LEARNING_RATE):
            check_positive(name, self.optional_number(parameters, name, context))
        for name, options in (
            (self.DOMAIN, DOMAINS),
            (self.AUGMENT, AUGMENTS),
            (self.DEPTH, list(DEPTHS)),
            (self.PRECISION, PRECISIONS[:3]),
        ):
            check_choice(name, parameters.get(name), options)
        check_device(self.parameterAsString(parameters, self.DEVICE, context))
        check_choice(self.METHOD, parameters.get(self.METHOD), ["auto", *METHODS])
        settle_method(
            self.model_card(parameters, context, affine_models()[1]),
            self.parameterAsEnumString(parameters, self.METHOD, context),
            self.reference(parameters, context),
        )
        targets = {
            name: destination(parameters.get(name))
            for name in (self.MODEL_OUTPUT, self.OUTPUT, self.REPORT)
        }
        if targets[self.OUTPUT]:
            check_output(targets[self.OUTPUT], [source])
        if targets[self.REPORT]:
            check_report(targets[self.REPORT])
        if targets[self.MODEL_OUTPUT]:
            job = self._tuning(parameters, context, source)
            replace(job, output=targets[self.MODEL_OUTPUT]).check_output()
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
            window = learn = self.window(parameters, context, source, layer)
            area = self._area(parameters, context, feedback)
            if area is not None:
                learn = learning_window(area, window)
        self.warn_of_options(layer, feedback)
        tuning = self._tuning(parameters, context, source, learn, area)
        ensemble = self.parameterAsBool(parameters, self.SELF_ENSEMBLE, context)
        self._job = AdaptJob(tuning, extent=window, ensemble=ensemble)
        self._renderer = shown_renderer(layer, tuning.bands or (), context)
        return True

    def reference(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str | None:
        """GDAL's name of REFERENCE, or None.

        Raises
        ------
        InvalidInput
            When it is given and cannot be read as a raster layer.
        """
        value = parameters.get(self.REFERENCE)
        if value in (None, ""):
            return None
        layer = self.parameterAsRasterLayer(parameters, self.REFERENCE, context)
        if layer is None:
            raise InvalidInput(
                translate(
                    "Speckless", "The reference '{value}' cannot be read as a raster layer."
                ).format(value=value)
            )
        return gdal_source(layer)

    def _area(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> PolygonMask | None:
        value = parameters.get(self.TRAINING_AREA)
        if value in (None, ""):
            return None
        features = self.parameterAsSource(parameters, self.TRAINING_AREA, context)
        if features is None:
            raise InvalidInput(
                translate(
                    "Speckless", "The training area '{value}' cannot be read as a layer."
                ).format(value=value)
            )
        layer = self.input_layer(parameters, context)
        return polygon_mask(features, layer.crs(), gdal_source(layer), context, feedback)

    def _tuning(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        learn: Window | None = None,
        area: PolygonMask | None = None,
    ) -> FineTuneJob:
        settings = Settings.load()
        rate = self.optional_number(parameters, self.LEARNING_RATE, context)
        return FineTuneJob(
            input=source,
            output="",
            bands=self.parameterAsInts(parameters, self.BANDS, context) or None,
            model=self.parameterAsEnumString(parameters, self.MODEL, context),
            model_file=self.parameterAsFile(parameters, self.MODEL_FILE, context) or None,
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            looks=self.optional_number(parameters, self.LOOKS, context),
            knob=self.optional_number(parameters, self.KNOB, context),
            extent=learn,
            area=area,
            epochs=self.parameterAsInt(parameters, self.EPOCHS, context),
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            reference=self.reference(parameters, context),
            clean=self.parameterAsDouble(parameters, self.MU, context),
            noisy=self.parameterAsDouble(parameters, self.XI, context),
            variation=self.parameterAsDouble(parameters, self.LAMBDA, context),
            learning_rate=rate or 0.0,
            augment=self.parameterAsEnumString(parameters, self.AUGMENT, context) == "AFT",
            depth=self.parameterAsEnumString(parameters, self.DEPTH, context),
            seed=self.parameterAsInt(parameters, self.SEED, context),
            stride=self.parameterAsInt(parameters, self.STRIDE, context),
            pixels=self.parameterAsInt(parameters, self.PIXELS, context),
            device=self.device(parameters, context),
            precision=self.parameterAsEnumString(parameters, self.PRECISION, context),
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in settings.model_folders()],
        )

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        model = self.parameterAsFileOutput(parameters, self.MODEL_OUTPUT, context)
        asked = is_asked(parameters.get(self.OUTPUT))
        output = self.parameterAsOutputLayer(parameters, self.OUTPUT, context) if asked else ""
        report = self.asked_file(parameters, self.REPORT, context)
        adds = self.parameterAsBool(parameters, self.ADD_TO_MODELS, context)
        tuning = self._job.tuning
        progress = Progress(feedback)
        with told_to_qgis():
            job = replace(
                self._job,
                tuning=replace(tuning, output=model, model_id=_model_id(tuning, model)),
                despeckled=output or None,
                report=report or None,
                list_folder=str(user_folder()) if adds else None,
            )
            result = job.run(progress, progress.is_cancelled)
        self._report(result, feedback)
        if result.tuned.domain != "complex":
            keep_renderer(context, output, self._renderer)
        return self._results(result)

    def _results(self, result: AdaptResult) -> dict[str, Any]:
        tuned = result.tuned
        change, error = tuned.risk_change
        results = {
            self.MODEL_OUTPUT: tuned.path,
            self.RISK_BEFORE: number_or_none(tuned.risk_before),
            self.RISK_AFTER: number_or_none(tuned.risk_after),
            self.RISK_CHANGE: number_or_none(change),
            self.RISK_CHANGE_ERROR: number_or_none(error),
            self.BEST_EPOCH: tuned.tuned.best_epoch,
            self.STRIDE_USED: tuned.stride,
            self.LOOKS_USED: tuned.looks,
            self.MODEL_ID: tuned.tuned.card.id,
            self.DEVICE_USED: tuned.tuned.device,
        }
        if result.despeckled is not None:
            results[self.OUTPUT] = result.despeckled.paths["OUTPUT"]
        if result.report:
            results[self.REPORT] = result.report
        return results

    def _report(self, result: AdaptResult, feedback: QgsProcessingFeedback) -> None:
        tuned = result.tuned
        if not tuned.tuned.best_epoch:
            feedback.pushWarning(
                translate(
                    "Speckless",
                    "By the held-out pixels no epoch was better than the start: the tuned model "
                    "is the one it started from. Try a lower learning rate, more pixels, or "
                    "another area.",
                )
            )
        change, error = tuned.risk_change
        feedback.pushInfo(
            translate(
                "Speckless",
                "Estimated risk of the held-out pixels: {before:.4g} before, {after:.4g} after, "
                "change {change:+.3g} ± {error:.2g} (epoch {epoch}). {pixels} pixels in "
                "{seconds:.1f} s.",
            ).format(
                before=tuned.risk_before,
                after=tuned.risk_after,
                change=change,
                error=error,
                epoch=tuned.tuned.best_epoch,
                pixels=tuned.pixels,
                seconds=tuned.seconds,
            )
        )
        ratio = result.despeckled.mean_ratio if result.despeckled else 1.0
        if not abs(ratio - 1) <= STRAY:
            feedback.pushWarning(
                translate(
                    "Speckless",
                    "The mean of the ratio input/despeckled strays from 1 ({ratio:.3g}): somewhere "
                    "the tuned model does not keep the level, most likely in dark areas, where "
                    "errors weigh little in the risk. Use a lower learning rate, or another model.",
                ).format(ratio=ratio)
            )
        if result.listed:
            feedback.pushInfo(
                translate("Speckless", "In the list of models as '{name}' ({path}).").format(
                    name=tuned.tuned.card.id, path=result.listed
                )
            )


def _model_id(tuning: FineTuneJob, output: str) -> str:
    """Id of the tuned model: the file's name, or one of start and image for a temporary file."""
    name = Path(output).stem
    if name != FineTuneParameters.MODEL_OUTPUT:
        return name
    parent = Path(tuning.model_file).stem if tuning.model_file else tuning.model
    # A subdataset's name holds quotes, colons and slashes.
    scene = re.sub(r"[^\w.-]+", "-", Path(tuning.input).stem).strip("-")
    return f"{parent}-{scene}"

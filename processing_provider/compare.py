"""The algorithm "Compare despeckling methods" (speckless:compare)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.core.filters.base import SpeckleFilter
from ..plugin.core.filters.registry import FILTERS
from ..plugin.core.tiling import Window
from ..plugin.jobs.assessment_outputs import check_report_file, write_page
from ..plugin.jobs.comparing import CompareJob, Comparison
from ..plugin.jobs.comparison_report import answer, comparison_page, efficient, write_comparison
from ..plugin.jobs.statistics_table import check_table
from ..plugin.toolbelt.settings import Settings
from .base import Progress, told_to_qgis
from .checks import check_choice, check_device, destination, is_asked
from .compare_parameters import CompareParameters
from .filters import FILTER_ALGORITHMS
from .raster_algorithm import DOMAINS
from .sources import gdal_source, raster_layer

translate = QCoreApplication.translate


class CompareAlgorithm(CompareParameters):
    """Makes a `CompareJob` of the parameters and runs it."""

    GROUP = "quality"

    def name(self) -> str:
        return "compare"

    def displayName(self) -> str:
        return translate("Speckless", "Compare despeckling methods")

    def tags(self) -> list[str]:
        return translate(
            "Speckless",
            "comparison,benchmark,which filter,speckle,SAR,radar,filter,quality,ENL,edge "
            "preservation,trade-off,report,Lee,Frost,Gamma MAP,neural network",
        ).split(",")

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Which filter? Despeckles one image by several methods, measures all in the same way, "
            "and shows them side by side: figures, pictures, smoothing against edges.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        found = self.rasters(parameters, (self.INPUT, self.REFERENCE), context)
        check_choice(self.DOMAIN, parameters.get(self.DOMAIN), DOMAINS)
        check_device(self.parameterAsString(parameters, self.DEVICE, context))
        table, report = (destination(parameters.get(n)) for n in (self.TABLE, self.REPORT))
        if table:
            check_table(table)
        if report:
            check_report_file(report)
        self._job(parameters, context, gdal_source(found[self.INPUT]), None).check()
        return found

    def _filters(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> list[SpeckleFilter]:
        radius = self.parameterAsInt(parameters, self.RADIUS, context)
        sized = {kind.filter_class.id for kind in FILTER_ALGORITHMS if kind.has_radius}
        found = []
        for name in self._chosen(parameters, self.FILTERS, list(FILTERS)):
            kind = FILTERS[name]
            own = radius and name in sized
            found.append(kind(radius=min(radius, kind.max_radius)) if own else kind())
        return found

    def _models(self, parameters: dict[str, Any]) -> list[str]:
        return self._chosen(parameters, self.MODELS, self.models())

    def _chosen(self, parameters: dict[str, Any], name: str, options: list[str]) -> list[str]:
        """Values of a choice of several; names in a list or separated by commas or semicolons."""
        value = parameters.get(name, self.parameterDefinition(name).defaultValue())
        if value is None:
            return []
        if isinstance(value, str):
            value = [part.strip() for part in value.replace(";", ",").split(",")]
        elif not isinstance(value, (list, tuple)):
            value = [value]
        chosen = [str(part) for part in value if str(part)]
        wrong = [part for part in chosen if part not in options]
        if wrong:
            raise InvalidInput(
                translate("Speckless", "{name}: there is no '{value}'; choose {options}.").format(
                    name=name, value=wrong[0], options=", ".join(options)
                )
            )
        return list(dict.fromkeys(chosen))

    def _rasters(self, parameters: dict[str, Any], context: QgsProcessingContext) -> list[str]:
        layers = self.parameterAsLayerList(parameters, self.RASTERS, context)
        given = parameters.get(self.RASTERS)
        names = given if isinstance(given, (list, tuple)) else [given] if given else []
        if len(layers) < len(names):
            # QGIS passes over what it cannot open; say which that is.
            for name in names:
                if isinstance(name, str):
                    raster_layer(None, name)
        return [gdal_source(layer) for layer in layers]

    def _job(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        window: Window | None,
        areas: Sequence[bytes] = (),
    ) -> CompareJob:
        settings = Settings.load()
        band = self.optional_number(parameters, self.BAND, context)
        folder = ""
        if is_asked(parameters.get(self.OUTPUT_FOLDER)):
            folder = self.parameterAsString(parameters, self.OUTPUT_FOLDER, context)
        device = self.parameterAsString(parameters, self.DEVICE, context)
        return CompareJob(
            input=source,
            filters=self._filters(parameters, context),
            models=self._models(parameters),
            rasters=self._rasters(parameters, context),
            reference=self.raster_path(parameters, self.REFERENCE, context),
            band=1 if band is None else int(band),
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            looks=self.optional_number(parameters, self.LOOKS, context),
            areas=areas,
            extent=window,
            folder=folder or None,
            device=settings.device if device == "auto" else device,
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in settings.model_folders()],
        )

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
            areas = self.areas(parameters, context, layer)
            job = self._job(parameters, context, source, window, areas)
        if job.folder:
            folder = self.parameterAsFileOutput(parameters, self.OUTPUT_FOLDER, context)
            job = replace(job, folder=folder)
        self.warn_of_options(layer, feedback)
        self._prepared = job
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
                write_comparison(self._files[self.TABLE], found)
            if self._files[self.REPORT]:
                write_page(self._files[self.REPORT], comparison_page(job, found))
        feedback.pushInfo(answer(found))
        return {**self._outputs(job, found), self.LOOKS_USED: found.looks}

    def _outputs(self, job: CompareJob, found: Comparison) -> dict[str, Any]:
        outputs: dict[str, Any] = {name: path for name, path in self._files.items() if path}
        if job.folder:
            outputs[self.OUTPUT_FOLDER] = job.folder
        return {
            **outputs,
            self.METHODS: len(found.assessed),
            self.EFFICIENT: ", ".join(method.name for method in efficient(found)),
            self.FAILED: "\n".join(
                f"{method.name}: {method.problem}" for method in found.methods if method.problem
            ),
        }

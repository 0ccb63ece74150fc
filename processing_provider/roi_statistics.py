"""The algorithm "Statistics of homogeneous areas" (speckless:roistatistics)."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingUtils,
)
from qgis.PyQt.QtCore import QCoreApplication, QMetaType, QVariant

from ..plugin.jobs.statistics import StatisticsJob, StatisticsResult, figures
from ..plugin.jobs.statistics_table import check_table, write_table
from .areas import areas_as_wkb
from .base import Progress, told_to_qgis
from .checks import check_choice, destination
from .raster_algorithm import DOMAINS
from .roi_statistics_parameters import RoiStatisticsParameters
from .sources import gdal_source

translate = QCoreApplication.translate


class RoiStatisticsAlgorithm(RoiStatisticsParameters):
    """Makes a `StatisticsJob` of the parameters and its records attributes of the polygons."""

    GROUP = "quality"

    def name(self) -> str:
        return "roistatistics"

    def displayName(self) -> str:
        return translate("Speckless", "Statistics of homogeneous areas")

    def tags(self) -> list[str]:
        return translate(
            "Speckless",
            "ENL,equivalent number of looks,speckle,SAR,radar,ROI,region of interest,zonal,"
            "coefficient of variation,Cx,homogeneous,ratio,correlation,Gamma,quality,assessment",
        ).split(",")

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Measures speckle in polygons: equivalent number of looks with its interval, "
            "coefficient of variation, correlation, fitted Gamma law; and what despeckling "
            "changed.",
        )

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        found = self.rasters(parameters, (self.RASTER, self.DESPECKLED), context)
        for name in (self.DOMAIN, self.DESPECKLED_DOMAIN):
            check_choice(name, parameters.get(name), DOMAINS)
        table = destination(parameters.get(self.TABLE))
        if table:
            check_table(table)
        return found

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        with told_to_qgis():
            raster = self.raster(parameters, self.RASTER, context)
            self._path = gdal_source(raster)
            self._despeckled = self.raster_path(parameters, self.DESPECKLED, context)
        self._crs = raster.crs()
        self._table = self.parameterAsFileOutput(parameters, self.TABLE, context)
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        source = self.parameterAsSource(parameters, self.INPUT, context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, self.INPUT))
        # Outlines drawn by hand may cross themselves; pixels can be counted all the same.
        as_they_are = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
        features = list(source.getFeatures(QgsFeatureRequest(), as_they_are))
        progress = Progress(feedback)
        with told_to_qgis():
            areas = areas_as_wkb(features, source.sourceCrs(), self._crs, context)
            result = self._job(areas, parameters, context).run(progress, progress.is_cancelled)
        summary = result.summary()
        if not summary["COUNT"]:
            feedback.pushWarning(
                translate(
                    "Speckless",
                    "No polygon holds a valid pixel of the raster: check that both lie in the "
                    "same place. The attribute 'note' says what was wrong with each.",
                )
            )
        outputs = self._written(source, features, result, parameters, context)
        return {**outputs, **summary, self.DOMAIN_USED: result.domain}

    def _job(
        self, areas: list[bytes], parameters: dict[str, Any], context: QgsProcessingContext
    ) -> StatisticsJob:
        band = self.optional_number(parameters, self.BAND, context)
        despeckled_band = self.optional_number(parameters, self.DESPECKLED_BAND, context)
        return StatisticsJob(
            raster=self._path,
            areas=areas,
            despeckled=self._despeckled,
            band=1 if band is None else int(band),
            despeckled_band=None if despeckled_band is None else int(despeckled_band),
            domain=self.parameterAsEnumString(parameters, self.DOMAIN, context),
            despeckled_domain=self.parameterAsEnumString(
                parameters, self.DESPECKLED_DOMAIN, context
            ),
        )

    def _written(
        self,
        source: QgsProcessingFeatureSource,
        features: list[QgsFeature],
        result: StatisticsResult,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
    ) -> dict[str, Any]:
        """Write the layer, and the table if one is asked for, now that nothing can fail."""
        compared = self._despeckled is not None
        columns = figures(compared)
        own = QgsFields()
        for name, kind in columns:
            own.append(QgsField(name, _TYPES[kind]))
        fields = QgsProcessingUtils.combineFields(source.fields(), own)
        sink, layer = self.parameterAsSink(
            parameters, self.OUTPUT, context, fields, source.wkbType(), source.sourceCrs()
        )
        if sink is None:
            raise QgsProcessingException(self.invalidSinkError(parameters, self.OUTPUT))
        rows = [record.values(compared) for record in result.records]
        for feature, row in zip(features, rows):
            written = QgsFeature(fields)
            written.setGeometry(feature.geometry())
            written.setAttributes([*feature.attributes(), *row])
            if not sink.addFeature(written, QgsFeatureSink.Flag.FastInsert):
                raise QgsProcessingException(self.writeFeatureError(sink, parameters, self.OUTPUT))
        outputs = {self.OUTPUT: layer}
        if self._table:
            names = [field.name() for field in fields]
            table = [
                [*map(_plain, feature.attributes()), *row] for feature, row in zip(features, rows)
            ]
            with told_to_qgis():
                write_table(self._table, self.displayName(), names, table)
            outputs[self.TABLE] = self._table
        return outputs


if Qgis.QGIS_VERSION_INT >= 33800:
    _TYPES = {
        int: QMetaType.Type.LongLong,
        float: QMetaType.Type.Double,
        str: QMetaType.Type.QString,
    }
else:  # QgsField takes no others
    _TYPES = {int: QVariant.LongLong, float: QVariant.Double, str: QVariant.String}


def _plain(value: Any) -> Any:
    """Attribute as a table takes it: number, text or None."""
    if value is None or (isinstance(value, QVariant) and value.isNull()):
        return None
    return value if isinstance(value, (int, float, str)) else str(value)

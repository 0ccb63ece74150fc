"""What the algorithms over a raster share: parameters, and what they mean."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.tiling import Window
from .areas import source_as_wkb
from .base import SpecklessAlgorithm
from .extents import pixel_window
from .sources import open_options

translate = QCoreApplication.translate

DOMAINS = ["auto", "intensity", "amplitude", "db", "complex"]


class RasterAlgorithm(SpecklessAlgorithm):
    """A raster goes in. Names of parameters are stable: scripts and models use them."""

    INPUT = "INPUT"
    BANDS = "BANDS"
    DOMAIN = "DOMAIN"
    LOOKS = "LOOKS"
    EXTENT = "EXTENT"
    CREATION_OPTIONS = "CREATION_OPTIONS"
    LOOKS_USED = "LOOKS_USED"
    AREAS_LAYER = "HOMOGENEOUS_AREAS"

    def input_layer(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> QgsRasterLayer:
        """The layer of INPUT."""
        return self.raster(parameters, self.INPUT, context)

    def warn_of_options(self, layer: QgsRasterLayer, feedback: QgsProcessingFeedback) -> None:
        """Say that the options a layer is opened with do not count."""
        if open_options(layer.source()):
            feedback.pushWarning(
                translate(
                    "Speckless",
                    "The options this layer is opened with are not used: the file is read as "
                    "it is.",
                )
            )

    def window(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        source: str,
        layer: QgsRasterLayer,
    ) -> Window | None:
        """EXTENT in pixels; None where it was left empty.

        Raises
        ------
        InvalidInput, RasterError
        """
        if self.parameterAsExtent(parameters, self.EXTENT, context).isEmpty():
            return None
        # As a polygon: turned into another CRS, a rectangle is none any more.
        area = self.parameterAsExtentGeometry(parameters, self.EXTENT, context, layer.crs())
        return pixel_window(source, [(point.x(), point.y()) for point in area.vertices()])

    def areas(
        self, parameters: dict[str, Any], context: QgsProcessingContext, layer: QgsRasterLayer
    ) -> list[bytes]:
        """HOMOGENEOUS_AREAS in the CRS of a raster, see `source_as_wkb`.

        Raises
        ------
        InvalidInput
        """
        source = self.parameterAsSource(parameters, self.AREAS_LAYER, context)
        return source_as_wkb(source, parameters.get(self.AREAS_LAYER), layer.crs(), context)

    def creation_options(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> list[str]:
        """CREATION_OPTIONS, one "NAME=VALUE" each."""
        options = self.parameterAsString(parameters, self.CREATION_OPTIONS, context)
        return [option for option in options.split("|") if option]

    def add_raster(self, bands_help: str) -> None:
        """Declare INPUT and BANDS."""
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, translate("Speckless", "SAR image")),
            translate("Speckless", "With speckle as it is: not filtered, best not resampled."),
        )
        self.add(
            QgsProcessingParameterBand(
                self.BANDS,
                translate("Speckless", "Bands (all if empty)"),
                None,
                self.INPUT,
                optional=True,
                allowMultiple=True,
            ),
            bands_help,
        )

    def add_domain(self, result: str) -> None:
        """Declare DOMAIN; ``result`` says what domain results have."""
        self.add_choice(
            self.DOMAIN,
            translate("Speckless", "Domain of the pixel values"),
            DOMAINS,
            translate(
                "Speckless",
                "auto decides by data type, values and metadata, and says in the log what it took "
                "them for: complex (SLC), integers are amplitude, floats with negative values dB, "
                "other floats intensity.",
            )
            + " "
            + result,
        )

    def add_looks(self, more: str = "") -> None:
        """Declare LOOKS; ``more`` is added to its help."""
        self.add_number_of_looks(
            self.LOOKS,
            translate("Speckless", "Looks (estimated if empty)"),
            translate(
                "Speckless",
                "Equivalent number of looks: 1 for single-look data, about 4.4 for Sentinel-1 IW "
                "GRD high resolution. The estimate comes from the most even parts of the whole "
                "scene.",
            )
            + (" " + more if more else ""),
        )

    def add_number_of_looks(self, name: str, title: str, help: str) -> None:
        """Declare an optional number of looks."""
        self.add_number(name, title, None, help, least=0.01, most=10000.0)

    def add_extent(self, help: str) -> None:
        """Declare EXTENT."""
        self.add(
            QgsProcessingParameterExtent(
                self.EXTENT,
                translate("Speckless", "Extent (all if empty)"),
                optional=True,
            ),
            help,
        )

    def add_areas(self) -> None:
        """Declare HOMOGENEOUS_AREAS."""
        self.add(
            QgsProcessingParameterFeatureSource(
                self.AREAS_LAYER,
                translate("Speckless", "Homogeneous areas"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            translate(
                "Speckless",
                "Polygons in any CRS, drawn where the ground is uniform. Without them the five "
                "most homogeneous windows of the input are found.",
            ),
        )

    def add_creation_options(self, compressed: bool = True) -> None:
        """Declare CREATION_OPTIONS."""
        options = QgsProcessingParameterString(
            self.CREATION_OPTIONS,
            translate("Speckless", "Creation options of the output files"),
            defaultValue="",
            optional=True,
        )
        options.setMetadata({"widget_wrapper": {"widget_type": "rasteroptions"}})
        self.add(
            options,
            translate(
                "Speckless",
                "NAME=VALUE, separated by |. By default GeoTIFFs are tiled and DEFLATE compressed, "
                "BigTIFF where needed; DRIVER=COG writes a cloud optimised GeoTIFF.",
            )
            if compressed
            else translate(
                "Speckless",
                "NAME=VALUE, separated by |. By default GeoTIFFs are tiled and, as that would take "
                "longer than the filter, not compressed; COMPRESS=DEFLATE makes them about a fifth "
                "smaller. BigTIFF where needed; DRIVER=COG writes a cloud optimised GeoTIFF.",
            ),
            advanced=True,
        )

"""What speckless:compare asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBand,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.filters.registry import FILTERS
from ..plugin.core.models.registry import DEFAULT_MODEL
from .models import installed_models
from .raster_algorithm import RasterAlgorithm

translate = QCoreApplication.translate

_USUAL = ["boxcar", "lee", "refinedlee", "gammamap", "frost", "totalvariation"]


class CompareParameters(RasterAlgorithm):
    """The declaration of "Compare despeckling methods". Names are stable."""

    BAND = "BAND"
    FILTERS = "FILTERS"
    RADIUS = "RADIUS"
    MODELS = "MODELS"
    RASTERS = "RASTERS"
    REFERENCE = "REFERENCE"
    DEVICE = "DEVICE"
    REPORT = "REPORT"
    TABLE = "TABLE"
    OUTPUT_FOLDER = "OUTPUT_FOLDER"
    METHODS = "METHODS"
    EFFICIENT = "EFFICIENT"
    FAILED = "FAILED"

    def models(self) -> list[str]:
        """Ids of the networks there are."""
        return [card.id for card in installed_models()]

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "Each method despeckles the same pixels, told the same number of looks, and is "
                "measured as speckless:assess does. A method that fails is listed with the "
                "reason; the others go on.",
            ),
            translate(
                "Speckless",
                "Filters run with their defaults but for the radius. Choose an extent with "
                "uniform ground, edges and bright targets: a few hundred pixels square tell as "
                "much as the whole scene, and sooner.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        return [
            (self.METHODS, translate("Speckless", "Methods that gave a result.")),
            (
                self.EFFICIENT,
                translate(
                    "Speckless",
                    "Those that no other beats in both smoothing and edges, the smoothest first; "
                    "without those that change the mean level by more than half a decibel.",
                ),
            ),
            (self.FAILED, translate("Speckless", "Methods without result, and why.")),
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, translate("Speckless", "SAR image")),
            translate("Speckless", "With speckle as it is: not filtered, best not resampled."),
        )
        self.add(
            # Optional, for QGIS's check of a band takes no notice of its default.
            QgsProcessingParameterBand(
                self.BAND, translate("Speckless", "Band"), 1, self.INPUT, optional=True
            ),
            translate("Speckless", "The first if empty."),
        )
        self._add_methods()
        self.add_extent(
            translate(
                "Speckless",
                "Part of the image to compare, in any CRS. The pixels are those that the whole "
                "image would give.",
            )
        )
        self.add_domain(translate("Speckless", "Results have the same domain."))
        self.add_looks()
        self._add_truth()
        self._add_results()

    def _add_methods(self) -> None:
        self.add(
            QgsProcessingParameterEnum(
                self.FILTERS,
                translate("Speckless", "Classical filters"),
                options=list(FILTERS),
                allowMultiple=True,
                defaultValue=_USUAL,
                optional=True,
                usesStaticStrings=True,
            ),
            translate(
                "Speckless",
                "Names as in the group of that name; idan, mulog take long, sarbm3d longest.",
            ),
        )
        self.add_number(
            self.RADIUS,
            translate("Speckless", "Radius of the filters (0: each its own)"),
            0,
            translate("Speckless", "The window is 2·radius + 1 pixels wide."),
            least=0,
            most=50,
            whole=True,
        )
        models = self.models()
        self.add(
            QgsProcessingParameterEnum(
                self.MODELS,
                translate("Speckless", "Networks"),
                options=models if DEFAULT_MODEL in models else [DEFAULT_MODEL, *models],
                allowMultiple=True,
                defaultValue=[DEFAULT_MODEL],
                optional=True,
                usesStaticStrings=True,
            ),
            translate("Speckless", "Models of speckless:despeckle, your own among them."),
        )
        self.add(
            QgsProcessingParameterMultipleLayers(
                self.RASTERS,
                translate("Speckless", "Despeckled images"),
                QgsProcessing.SourceType.TypeRaster,
                optional=True,
            ),
            translate(
                "Speckless",
                "Results of other programs, on the pixels of the SAR image. What they do not all "
                "cover is left out of the comparison.",
            ),
        )

    def _add_truth(self) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(
                self.REFERENCE, translate("Speckless", "Clean reference"), optional=True
            ),
            translate("Speckless", "The same place without speckle, on the same pixels."),
        )
        self.add_areas()
        self.add(
            QgsProcessingParameterString(
                self.DEVICE, translate("Speckless", "Device"), defaultValue="auto"
            ),
            translate("Speckless", "Of the networks: auto, cpu, cuda, cuda:1 or mps."),
            advanced=True,
        )

    def _add_results(self) -> None:
        self.add_report(
            translate(
                "Speckless",
                "One HTML file to read and print: which methods are worth choosing from, smoothing "
                "against edges, figures, pictures and ratios side by side.",
            ),
            by_default=True,
        )
        self.add_table(
            translate("Speckless", "One line a method, with all figures of speckless:assess.")
        )
        self.add(
            QgsProcessingParameterFolderDestination(
                self.OUTPUT_FOLDER,
                translate("Speckless", "Folder for the results"),
                optional=True,
                createByDefault=False,
            ),
            translate("Speckless", "Keeps the despeckled rasters, named after their methods."),
        )
        self.add_figures(
            [
                (self.METHODS, translate("Speckless", "Methods compared")),
                (self.LOOKS_USED, translate("Speckless", "Number of looks used")),
            ],
            [
                (self.EFFICIENT, translate("Speckless", "Methods to choose from")),
                (self.FAILED, translate("Speckless", "Methods that failed")),
            ],
        )

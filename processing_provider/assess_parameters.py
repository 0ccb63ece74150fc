"""What speckless:assess asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterBand,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.jobs.assessment import KINDS
from .raster_algorithm import DOMAINS, RasterAlgorithm

translate = QCoreApplication.translate


class AssessParameters(RasterAlgorithm):
    """The declaration of "Assess despeckling". Names are stable."""

    DESPECKLED = "DESPECKLED"
    REFERENCE = "REFERENCE"
    BAND = "BAND"
    DESPECKLED_BAND = "DESPECKLED_BAND"
    REFERENCE_BAND = "REFERENCE_BAND"
    DESPECKLED_DOMAIN = "DESPECKLED_DOMAIN"
    REFERENCE_DOMAIN = "REFERENCE_DOMAIN"
    SLOPE = "SLOPE"
    BIAS = "BIAS"
    PEAK = "PEAK"
    REPORT = "REPORT"
    TABLE = "TABLE"
    RATIO = "RATIO"
    DOMAIN_USED = "DOMAIN_USED"
    REASONS = "REASONS"

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "Any despeckled image against its input, with or without a clean reference. All "
                "figures are of linear intensity, whatever the domains of the rasters, and of the "
                "pixels valid in all of them. Smoothing alone does not make a good result: ENL "
                "stands beside what happened to edges, point targets, the level and the ratio "
                "image.",
            ),
            translate(
                "Speckless",
                "All pixels count, read in tiles. Structure in the ratio is tested, and "
                "homogeneous windows are sought, in samples of large rasters: the report says "
                "which part.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        rows = []
        for group, kinds in KINDS.items():
            ideals = [f"{kind.name} ({kind.ideal})" if kind.ideal else kind.name for kind in kinds]
            rows.append((group, ", ".join(ideals)))
        rows.append(
            (
                self.REASONS,
                translate("Speckless", "Why figures are missing, name: reason, one a line."),
            )
        )
        return rows

    def references(self) -> list[str]:
        return [
            "L. Gomez, R. Ospina, A. C. Frery, Unassisted quantitative evaluation of despeckling "
            "filters, Remote Sensing 9(4), 389, 2017. doi:10.3390/rs9040389",
            "G. Di Martino, M. Poderico, G. Poggi, D. Riccio, L. Verdoliva, Benchmarking framework "
            "for SAR despeckling, IEEE TGRS 52(3), 1596-1615, 2014.",
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_images()
        self.add_looks()
        self._add_advanced()
        self._add_outputs()

    def _add_images(self) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, translate("Speckless", "SAR image")),
            translate("Speckless", "The raster with its speckle."),
        )
        self.add_band(self.BAND, self.INPUT, translate("Speckless", "Band"))
        self.add(
            QgsProcessingParameterRasterLayer(
                self.DESPECKLED, translate("Speckless", "Despeckled image")
            ),
            translate(
                "Speckless",
                "Result of any despeckling of that raster, by any program, on the same pixels; it "
                "may cover a part.",
            ),
        )
        self.add(
            QgsProcessingParameterRasterLayer(
                self.REFERENCE, translate("Speckless", "Clean reference"), optional=True
            ),
            translate(
                "Speckless",
                "The same place without speckle, on the same pixels: of a simulation, or the mean "
                "of many dates, whose own speckle and changes then count as errors.",
            ),
        )
        self.add_areas()
        self.add_domain(translate("Speckless", "That of the SAR image."))

    def add_band(self, name: str, layer: str, title: str, advanced: bool = False) -> None:
        """Declare a band that may be left out."""
        help = (
            translate("Speckless", "By default the same number, or its only band.")
            if advanced
            else translate("Speckless", "Band of the SAR image; the first if empty.")
        )
        # Optional, for QGIS's check of a band takes no notice of its default.
        band = QgsProcessingParameterBand(
            name, title, None if advanced else 1, layer, optional=True
        )
        self.add(band, help, advanced)

    def _add_advanced(self) -> None:
        for name, layer, title in (
            (
                self.DESPECKLED_BAND,
                self.DESPECKLED,
                translate("Speckless", "Band of the despeckled image (empty: as above)"),
            ),
            (
                self.REFERENCE_BAND,
                self.REFERENCE,
                translate("Speckless", "Band of the reference (empty: as above)"),
            ),
        ):
            self.add_band(name, layer, title, advanced=True)
        for name, title in (
            (
                self.DESPECKLED_DOMAIN,
                translate("Speckless", "Domain of the despeckled values"),
            ),
            (self.REFERENCE_DOMAIN, translate("Speckless", "Domain of the reference's values")),
        ):
            self.add_choice(
                name,
                title,
                DOMAINS,
                translate("Speckless", "To be given where auto takes it for another than it is."),
                advanced=True,
            )
        for name, title in (
            (self.SLOPE, translate("Speckless", "Slope a of an affine model")),
            (self.BIAS, translate("Speckless", "Bias b of an affine model")),
        ):
            self.add(
                QgsProcessingParameterRasterLayer(name, title, optional=True),
                translate(
                    "Speckless",
                    "As speckless:despeckle writes them, both: they tell the mean squared error "
                    "without a reference.",
                ),
                advanced=True,
            )
        self.add_number(
            self.PEAK,
            translate("Speckless", "Peak of the PSNR (the reference's maximum if empty)"),
            None,
            translate("Speckless", "In intensity."),
            advanced=True,
        )
        self.add_creation_options()

    def _add_outputs(self) -> None:
        self.add_report(
            translate(
                "Speckless",
                "One HTML file to read and print: figures with their meaning, a part before and "
                "after, ratio, cuts across edges, histograms.",
            ),
            by_default=True,
        )
        self.add_table(translate("Speckless", "The figures, and why some are missing, one a line."))
        self.add_extra_raster(
            self.RATIO,
            translate("Speckless", "Ratio"),
            translate("Speckless", "Input over despeckled, in intensity."),
        )
        self.add_figures(
            [
                *((kind.name, kind.title) for kinds in KINDS.values() for kind in kinds),
                (self.LOOKS_USED, translate("Speckless", "Number of looks used")),
            ],
            [
                (self.DOMAIN_USED, translate("Speckless", "Domain used")),
                (self.REASONS, translate("Speckless", "Why figures are missing")),
            ],
        )

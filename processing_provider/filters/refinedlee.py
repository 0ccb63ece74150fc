"""The algorithm speckless:refinedlee."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.refinedlee import RefinedLee
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class RefinedLeeAlgorithm(FilterAlgorithm):
    filter_class = RefinedLee
    has_radius = False

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Lee's filter on the pixel's own side of an edge: even areas smooth, edges sharp.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "In the 7×7 window, the means of nine 3×3 sub-areas give the direction of the "
                "steepest edge. Mean m and coefficient of variation Ci of the half window on the "
                "pixel's side of it give x̂ = m + b (z − m), b = max(0, 1 − σ²/Ci²)/(1 + σ²), σ² "
                "the variance of speckle of mean 1.",
            )
        ]

    def variant_help(self) -> str:
        return translate(
            "Speckless",
            "speckless: σ² = 1/L, the same in the whole scene. snap: σ² is found pixel by pixel, "
            "as SNAP does: the mean of the five least of the sub-areas' squared coefficients of "
            "variation. It uses no number of looks and keeps more speckle.",
        )

    def references(self) -> list[str]:
        return [
            "Lee, J.-S. (1981). Refined filtering of image noise using local statistics. Computer "
            "Graphics and Image Processing 15(4), 380-389. doi:10.1016/S0146-664X(81)80018-4",
        ]

    def words(self) -> list[str]:
        return ["edge", "directional"]

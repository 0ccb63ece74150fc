"""The algorithm speckless:boxcar."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.boxcar import Boxcar
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class BoxcarAlgorithm(FilterAlgorithm):
    filter_class = Boxcar

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Mean of each pixel's window: multilooking without losing pixels.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "x̂ = m, the mean intensity of the valid pixels in the window. It smooths n-fold "
                "(ENL = looks · n for independent speckle) and blurs whatever is smaller than the "
                "window.",
            )
        ]

    def references(self) -> list[str]:
        return [
            "Oliver, C., Quegan, S. (2004). Understanding Synthetic Aperture Radar Images, "
            "chapter 6. SciTech Publishing.",
        ]

    def words(self) -> list[str]:
        return ["mean", "average", "multilook"]

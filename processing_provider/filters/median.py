"""The algorithm speckless:median."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.median import Median
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class MedianAlgorithm(FilterAlgorithm):
    filter_class = Median

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Median of each pixel's window, without the loss of brightness it brings to speckle.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "The median intensity of the valid pixels in the window. It removes bright points "
                "and keeps straight edges. The median of speckle lies below its mean, by 1.6 dB "
                "at one look.",
            )
        ]

    def variant_help(self) -> str:
        return translate(
            "Speckless",
            "speckless: divided by the expected median of so many pixels of L-look speckle, so "
            "that even areas keep their mean (needs scipy). snap: the plain median, as SNAP's.",
        )

    def references(self) -> list[str]:
        return [
            "Tukey, J. W. (1977). Exploratory Data Analysis. Addison-Wesley.",
        ]

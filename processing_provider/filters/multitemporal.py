"""The algorithm speckless:multitemporal."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.multitemporal import Multitemporal
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class MultitemporalAlgorithm(FilterAlgorithm):
    filter_class = Multitemporal

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Averages speckle over the dates of a stack, while each date keeps its own brightness.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "J of date k = (m of date k / N) · Σ I/m over the N dates valid at the pixel, m "
                "the mean of a date in the window. Independent speckle of L looks comes out as of "
                "about N·L looks. All bands must be calibrated images of one sensor and orbit, "
                "co-registered; the output has a band for each.",
            )
        ]

    def references(self) -> list[str]:
        return [
            "Quegan, S., Yu, J. J. (2001). Filtering of multichannel SAR images. IEEE "
            "Transactions on Geoscience and Remote Sensing 39(11), 2373-2379. "
            "doi:10.1109/36.964973",
        ]

    def words(self) -> list[str]:
        return ["time series", "stack", "Quegan", "multichannel"]

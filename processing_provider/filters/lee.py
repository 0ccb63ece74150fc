"""The algorithm speckless:lee."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.lee import Lee
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class LeeAlgorithm(FilterAlgorithm):
    filter_class = Lee

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Lee's local statistics filter: the mean in even areas, the pixel where there is "
            "detail.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "x̂ = m + W (z − m), W = max(0, 1 − Cu²/Ci²): m and Ci are mean and coefficient "
                "of variation of intensity in the window, Cu² = 1/L that of speckle. OTB and SNAP "
                "compute the same.",
            )
        ]

    def references(self) -> list[str]:
        return [
            "Lee, J.-S. (1980). Digital image enhancement and noise filtering by use of local "
            "statistics. IEEE Transactions on Pattern Analysis and Machine Intelligence 2(2), "
            "165-168. doi:10.1109/TPAMI.1980.4766994",
        ]

    def words(self) -> list[str]:
        return ["MMSE", "local statistics"]

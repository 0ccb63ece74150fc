"""The algorithm speckless:kuan."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.kuan import Kuan
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class KuanAlgorithm(FilterAlgorithm):
    filter_class = Kuan

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Kuan's filter: as Lee's, with the weight that is exact for multiplicative noise.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "x̂ = m + W (z − m), W = max(0, 1 − Cu²/Ci²) / (1 + Cu²): m and Ci are mean and "
                "coefficient of variation of intensity in the window, Cu² = 1/L that of speckle. "
                "OTB computes the same.",
            )
        ]

    def references(self) -> list[str]:
        return [
            "Kuan, D. T., Sawchuk, A. A., Strand, T. C., Chavel, P. (1985). Adaptive noise "
            "smoothing filter for images with signal-dependent noise. IEEE Transactions on "
            "Pattern Analysis and Machine Intelligence 7(2), 165-177. "
            "doi:10.1109/TPAMI.1985.4767641",
        ]

    def words(self) -> list[str]:
        return ["MMSE"]

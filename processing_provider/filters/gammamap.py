"""The algorithm speckless:gammamap."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.gammamap import GammaMap
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class GammaMapAlgorithm(FilterAlgorithm):
    filter_class = GammaMap

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "The most probable backscatter for Gamma distributed speckle on Gamma distributed "
            "scenes.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "The mean m where Ci ≤ Cu; the pixel z where Ci ≥ √2·Cu; between them the "
                "positive root of α x² − (α − L − 1) m x − L m z = 0, α = (1 + Cu²)/(Ci² − Cu²). "
                "Ci is the coefficient of variation of intensity in the window, Cu² = 1/L that of "
                "speckle. The mode lies below the mean: the result is a few percent darker. OTB "
                "and SNAP compute the same.",
            )
        ]

    def references(self) -> list[str]:
        return [
            "Lopes, A., Nezry, E., Touzi, R., Laur, H. (1990). Maximum a posteriori speckle "
            "filtering and first order texture models in SAR images. IGARSS 1990, 2409-2412. "
            "doi:10.1109/IGARSS.1990.689026",
        ]

    def words(self) -> list[str]:
        return ["MAP", "maximum a posteriori"]

"""The algorithm speckless:leesigma."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.leesigma import LeeSigma
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class LeeSigmaAlgorithm(FilterAlgorithm):
    SIGMA = "SIGMA"

    filter_class = LeeSigma

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Improved Lee sigma filter: averages those pixels that may be speckle on the same "
            "ground.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "An estimate x̃ from the 3×3 window says in which range [I1 x̃, I2 x̃] the share "
                "σ of speckle on it lies, with unchanged mean; mean m and coefficient of "
                "variation Ci of the window's pixels in that range give x̂ = m + b (z − m), b = "
                "max(0, 1 − η²/Ci²)/(1 + η²), η² the variance of speckle in the range. I1, I2 and "
                "η are computed for any number of looks (needs scipy). Clusters of pixels above "
                "the scene's 98th percentile are kept as they are.",
            )
        ]

    def variant_help(self) -> str:
        return translate(
            "Speckless",
            "Which bright pixels count as targets. speckless: as in the paper, those in a 3×3 "
            "window around one of them that holds at least 5. snap: those whose own 3×3 window "
            "holds more than 5. Percentiles are of the whole scene in both; SNAP's are of a tile.",
        )

    def add_own(self) -> None:
        self.add_number(
            self.SIGMA,
            translate("Speckless", "Share of speckle in the range, sigma"),
            0.9,
            translate("Speckless", "0.5 to 0.95. A smaller share smooths less."),
            least=0.5,
            most=0.95,
        )

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        return {"sigma": self.parameterAsDouble(parameters, self.SIGMA, context)}

    def references(self) -> list[str]:
        return [
            "Lee, J.-S., Wen, J.-H., Ainsworth, T. L., Chen, K.-S., Chen, A. J. (2009). Improved "
            "sigma filter for speckle filtering of SAR imagery. IEEE Transactions on Geoscience "
            "and Remote Sensing 47(1), 202-213. doi:10.1109/TGRS.2008.2002881",
        ]

    def words(self) -> list[str]:
        return ["point targets"]

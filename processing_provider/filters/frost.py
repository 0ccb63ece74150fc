"""The algorithm speckless:frost."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.frost import Frost
from .base import FilterAlgorithm
from .damping import DAMPING, add_damping

translate = QCoreApplication.translate


class FrostAlgorithm(FilterAlgorithm):
    filter_class = Frost

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Frost's filter: a mean whose weights fall with distance, faster where the scene "
            "varies.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "x̂ = Σ wᵢ zᵢ / Σ wᵢ, wᵢ = exp(−D · Ci² · dᵢ): Ci is the coefficient of variation "
                "of intensity in the window, dᵢ the distance from its centre in pixels, D the "
                "damping factor. It takes no number of looks; a smaller D smooths more.",
            )
        ]

    def variant_help(self) -> str:
        return translate(
            "Speckless",
            "speckless: Euclidean distance, damping 2. otb: the same with OTB's default damping of "
            "0.1, a much stronger smoothing. snap: the larger of row and column distance, as "
            "SNAP's, damping 2.",
        )

    def add_own(self) -> None:
        add_damping(self, translate("Speckless", "Empty: 2, for the variant otb 0.1."))

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        return {"damping": self.optional_number(parameters, DAMPING, context)}

    def references(self) -> list[str]:
        return [
            "Frost, V. S., Stiles, J. A., Shanmugan, K. S., Holtzman, J. C. (1982). A model for "
            "radar images and its application to adaptive digital filtering of multiplicative "
            "noise. IEEE Transactions on Pattern Analysis and Machine Intelligence 4(2), 157-166. "
            "doi:10.1109/TPAMI.1982.4767223",
        ]

"""The algorithm speckless:enhancedfrost."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.enhancedfrost import EnhancedFrost
from ..papers import ENHANCED
from .base import FilterAlgorithm
from .damping import DAMPING, add_damping

translate = QCoreApplication.translate


class EnhancedFrostAlgorithm(FilterAlgorithm):
    filter_class = EnhancedFrost

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Frost's filter in three classes: the mean where even, the pixel where a point, else "
            "between.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "x̂ = Σ wᵢ zᵢ / Σ wᵢ, wᵢ = exp(−D (Ci − Cu)/(Cmax − Ci) · dᵢ); the mean where Ci "
                "≤ Cu = √(1/L); the pixel where Ci ≥ Cmax = √(1 + 2/L). Ci is the coefficient of "
                "variation of intensity in the window, dᵢ the Euclidean distance from its centre "
                "in pixels, D the damping factor. As in PCI Geomatica.",
            )
        ]

    def add_own(self) -> None:
        help = translate(
            "Speckless",
            "1 if empty. A larger factor keeps more of the pixel itself.",
        )
        add_damping(self, help)

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        damping = self.optional_number(parameters, DAMPING, context)
        return {} if damping is None else {"damping": damping}

    def references(self) -> list[str]:
        return [ENHANCED]

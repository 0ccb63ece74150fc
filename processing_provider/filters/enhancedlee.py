"""The algorithm speckless:enhancedlee."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.enhancedlee import EnhancedLee
from ..papers import ENHANCED
from .base import FilterAlgorithm
from .damping import DAMPING, add_damping

translate = QCoreApplication.translate


class EnhancedLeeAlgorithm(FilterAlgorithm):
    filter_class = EnhancedLee

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Lee's filter in three classes: the mean where even, the pixel where a point, else a "
            "blend.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "The mean m where Ci ≤ Cu = √(1/L); the pixel z where Ci ≥ Cmax = √(1 + 2/L); "
                "between them m W + z (1 − W), W = exp(−D (Ci − Cu)/(Cmax − Ci)): Ci is the "
                "coefficient of variation of intensity in the window, D the damping factor. As in "
                "PCI Geomatica and ENVI.",
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

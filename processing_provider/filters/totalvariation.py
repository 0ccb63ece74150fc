"""The algorithm speckless:totalvariation."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.totalvariation import TotalVariation
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class TotalVariationAlgorithm(FilterAlgorithm):
    filter_class = TotalVariation
    has_radius = False
    STRENGTH = "STRENGTH"
    ITERATIONS = "ITERATIONS"

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "The most probable image under speckle whose logarithm has little total variation.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "Minimises Σ L (u + z exp(−u)) + λ |∇u|, x̂ = exp(u), λ = STRENGTH · √L, by a "
                "fixed number of primal-dual iterations. Even areas become flat and keep their "
                "mean, edges stay sharp, fine texture goes.",
            )
        ]

    def add_own(self) -> None:
        self.add_number(
            self.STRENGTH,
            translate("Speckless", "Strength"),
            1.0,
            translate("Speckless", "1 is meant for the number of looks given. More smooths more."),
            least=0.05,
            most=20.0,
        )
        self.add_number(
            self.ITERATIONS,
            translate("Speckless", "Iterations"),
            40,
            translate(
                "Speckless",
                "More come nearer to the minimum, and take longer; large areas become flatter.",
            ),
            least=1,
            most=200,
            whole=True,
        )

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        return {
            "strength": self.parameterAsDouble(parameters, self.STRENGTH, context),
            "iterations": self.parameterAsInt(parameters, self.ITERATIONS, context),
        }

    def references(self) -> list[str]:
        return [
            "Huang, Y.-M., Ng, M. K., Wen, Y.-W. (2009). A new total variation method for "
            "multiplicative noise removal. SIAM Journal on Imaging Sciences 2(1), 20-40. "
            "doi:10.1137/080712593",
            "Chambolle, A., Pock, T. (2011). A first-order primal-dual algorithm for convex "
            "problems with applications to imaging. Journal of Mathematical Imaging and Vision "
            "40, 120-145. doi:10.1007/s10851-010-0251-1",
        ]

    def words(self) -> list[str]:
        return ["TV", "variational"]

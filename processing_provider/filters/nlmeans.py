"""The algorithm speckless:nlmeans."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.nlmeans import NonLocalMeans
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class NonLocalMeansAlgorithm(FilterAlgorithm):
    filter_class = NonLocalMeans
    PATCH = "PATCH"
    STRENGTH = "STRENGTH"

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Averages pixels whose surroundings look alike, wherever they lie in the window.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "x̂ = Σ wᵢ zᵢ / Σ wᵢ over the window of RADIUS, wᵢ = exp(−max(0, d̄ᵢ − "
                "μ)/(STRENGTH · s)): d̄ᵢ is the mean of ln((z₁ + z₂)²/(4 z₁ z₂)) over the pixels "
                "z₁, z₂ of two patches, μ and s its mean and standard deviation if nothing but "
                "speckle of L looks tells them apart. The weights of the probabilistic "
                "patch-based filter (PPB) without its iterations.",
            )
        ]

    def add_own(self) -> None:
        self.add_number(
            self.PATCH,
            translate("Speckless", "Radius of the patches (pixels)"),
            2,
            translate(
                "Speckless",
                "Patches are 2·radius + 1 pixels wide. Larger ones tell grounds apart better and "
                "details worse.",
            ),
            least=1,
            most=10,
            whole=True,
        )
        self.add_number(
            self.STRENGTH,
            translate("Speckless", "Strength"),
            1.0,
            translate("Speckless", "1 is meant for the number of looks given. More smooths more."),
            least=0.05,
            most=20.0,
        )

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        return {
            "patch": self.parameterAsInt(parameters, self.PATCH, context),
            "strength": self.parameterAsDouble(parameters, self.STRENGTH, context),
        }

    def references(self) -> list[str]:
        return [
            "Deledalle, C.-A., Denis, L., Tupin, F. (2009). Iterative weighted maximum likelihood "
            "denoising with probabilistic patch-based weights. IEEE Transactions on Image "
            "Processing 18(12), 2661-2672. doi:10.1109/TIP.2009.2029593",
        ]

    def words(self) -> list[str]:
        return ["NLM", "PPB", "patch"]

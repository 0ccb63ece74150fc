"""The algorithm speckless:mulog."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.mulog import MuLog
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class MuLogAlgorithm(FilterAlgorithm):
    filter_class = MuLog
    has_radius = False
    ITERATIONS = "ITERATIONS"

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Lets a Gaussian denoiser take out speckle, held to the exact law of its logarithm.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "Alternates between denoising the logarithm u by wavelet shrinkage, as if its "
                "noise were Gaussian of variance 1/β, and pulling it back to the likelihood Σ L "
                "(u + z exp(−u)); β = (1 + 2/L)/ψ′(L). Plug-and-play alternating directions "
                "(ADMM), one channel.",
            )
        ]

    def add_own(self) -> None:
        self.add_number(
            self.ITERATIONS,
            translate("Speckless", "Iterations"),
            6,
            translate(
                "Speckless",
                "6 as in the paper. More keep the mean of single-look scenes better: even areas "
                "come out at 0.95 of it after 6, at 0.99 after 12.",
            ),
            least=1,
            most=20,
            whole=True,
        )

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        return {
            "iterations": self.parameterAsInt(parameters, self.ITERATIONS, context),
        }

    def references(self) -> list[str]:
        return [
            "Deledalle, C.-A., Denis, L., Tabti, S., Tupin, F. (2017). MuLoG, or how to apply "
            "Gaussian denoisers to multi-channel SAR speckle reduction? IEEE Transactions on "
            "Image Processing 26(9), 4389-4403. doi:10.1109/TIP.2017.2713946",
        ]

    def words(self) -> list[str]:
        return ["ADMM", "plug and play"]

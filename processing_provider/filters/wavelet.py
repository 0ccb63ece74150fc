"""The algorithm speckless:wavelet."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.wavelet import Wavelet
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class WaveletAlgorithm(FilterAlgorithm):
    filter_class = Wavelet
    has_radius = False
    SCALES = "SCALES"

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Shrinks the wavelet coefficients of the logarithm towards their most probable values.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "The logarithm, less its bias ψ(L) − ln L, is split into scales by an undecimated "
                "wavelet transform. A coefficient w becomes sign(w) · max(0, |w| − √2 σ²/s): σ² "
                "is the variance of speckle, ψ′(L) in the logarithm, carried through the "
                "transform, s² what the 5×5 coefficients around have beyond it.",
            )
        ]

    def add_own(self) -> None:
        self.add_number(
            self.SCALES,
            translate("Speckless", "Number of scales"),
            4,
            translate(
                "Speckless",
                "Structures of up to 2 to the power of this many pixels are told from speckle.",
            ),
            least=1,
            most=6,
            whole=True,
        )

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        return {
            "scales": self.parameterAsInt(parameters, self.SCALES, context),
        }

    def references(self) -> list[str]:
        return [
            "Şendur, L., Selesnick, I. W. (2002). Bivariate shrinkage functions for wavelet-based "
            "denoising exploiting interscale dependency. IEEE Transactions on Signal Processing "
            "50(11), 2744-2756. doi:10.1109/TSP.2002.804091",
            "Xie, H., Pierce, L. E., Ulaby, F. T. (2002). Statistical properties of "
            "logarithmically transformed speckle. IEEE Transactions on Geoscience and Remote "
            "Sensing 40(3), 721-727. doi:10.1109/TGRS.2002.1000333",
        ]

    def words(self) -> list[str]:
        return ["MAP", "homomorphic"]

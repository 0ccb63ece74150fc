"""The algorithm speckless:idan."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext
from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.idan import Idan
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class IdanAlgorithm(FilterAlgorithm):
    SIZE = "SIZE"

    filter_class = Idan

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Averages a neighbourhood grown around each pixel as far as intensities agree.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "From the median s of the 3×3 window, neighbours with |z − s| ≤ 2/3 · s/√L are "
                "taken in, connected to the pixel, until there are SIZE of them; then pixels "
                "beside them with |z − m| ≤ 2 m/√L, m their mean. Mean and coefficient of "
                "variation Ci of all give x̂ = m + b (z − m), b = max(0, 1 − Cu²/Ci²)/(1 + Cu²), "
                "Cu² = 1/L. Leaving out what is unlike darkens: even areas of 1, 2, 4 and 10 "
                "looks come out at 0.67, 0.82, 0.90 and 0.96 of their mean.",
            )
        ]

    def add_own(self) -> None:
        self.add_number(
            self.SIZE,
            translate("Speckless", "Size of the neighbourhood (pixels)"),
            50,
            translate("Speckless", "At so many pixels it stops growing."),
            least=2,
            most=225,
            whole=True,
        )

    def own_values(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        return {"size": self.parameterAsInt(parameters, self.SIZE, context)}

    def references(self) -> list[str]:
        return [
            "Vasile, G., Trouvé, E., Lee, J.-S., Buzuloiu, V. (2006). Intensity-driven "
            "adaptive-neighborhood technique for polarimetric and interferometric SAR parameters "
            "estimation. IEEE Transactions on Geoscience and Remote Sensing 44(6), 1609-1621. "
            "doi:10.1109/TGRS.2005.864142",
        ]

    def words(self) -> list[str]:
        return ["adaptive neighbourhood", "region growing"]

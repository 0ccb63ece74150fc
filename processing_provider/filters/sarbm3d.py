"""The algorithm speckless:sarbm3d."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...plugin.core.filters.sarbm3d import SarBm3d
from .base import FilterAlgorithm

translate = QCoreApplication.translate


class SarBm3dAlgorithm(FilterAlgorithm):
    filter_class = SarBm3d

    def shortDescription(self) -> str:
        return translate(
            "Speckless",
            "Stacks blocks that look alike and filters each stack as a whole: the best of the "
            "classical filters on white speckle, and the slowest.",
        )

    def formula(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "On amplitudes z, two steps. First, for each block of 8×8 pixels (every third), "
                "the 16 most like it within RADIUS, by the likelihood ratio of speckle, are turned "
                "by an undecimated wavelet transform (Daubechies 8, three levels; Haar across the "
                "blocks) and each band is multiplied by max(0, 1 − σ²/(1 + σ²) · ⟨z²⟩/⟨Z²⟩), σ² "
                "the variance of speckle of L looks in amplitude: the local linear minimum mean "
                "square error estimate. Then groups of 32, sought with the help of the first "
                "estimate p, are turned by a cosine transform and multiplied by Wiener's weights "
                "P²/(P² + σ²⟨p²⟩). Each group keeps its power; overlapping blocks are averaged.",
            ),
            translate(
                "Speckless",
                "Made for speckle independent between pixels. On Sentinel-1 and other products "
                "whose speckle is correlated, give a number of looks about half of the measured "
                "one.",
            ),
        ]

    def references(self) -> list[str]:
        return [
            "Parrilli, S., Poderico, M., Angelino, C. V., Verdoliva, L. (2012). A nonlocal SAR "
            "image denoising algorithm based on LLMMSE wavelet shrinkage. IEEE Transactions on "
            "Geoscience and Remote Sensing 50(2), 606-616. doi:10.1109/TGRS.2011.2161586",
        ]

    def words(self) -> list[str]:
        return ["BM3D", "block matching", "non-local", "LLMMSE"]

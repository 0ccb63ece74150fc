"""Kuan's filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .lee import Lee


@dataclass(frozen=True)
class Kuan(Lee):
    """Linear minimum mean square error estimate, exact for multiplicative noise [1]_.

    ``x̂ = m + W (z - m)``, ``W = max(0, 1 - Cu²/Ci²) / (1 + Cu²)``: Lee's weight, lowered by the
    term that Lee's linearisation drops. OTB's "Kuan" is this filter.

    References
    ----------
    .. [1] D. T. Kuan, A. A. Sawchuk, T. C. Strand, P. Chavel, "Adaptive noise smoothing filter
       for images with signal-dependent noise", IEEE TPAMI 7(2), 165-177, 1985.
    """

    id: ClassVar[str] = "kuan"
    title: ClassVar[str] = "Kuan"

    def _most_signal(self, looks: float) -> float:
        return 1.0 / (1.0 + 1.0 / looks)

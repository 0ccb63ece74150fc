"""The algorithms of the group "Classical filters", one file each."""

from __future__ import annotations

from .base import FilterAlgorithm
from .boxcar import BoxcarAlgorithm
from .frost import FrostAlgorithm
from .gammamap import GammaMapAlgorithm
from .kuan import KuanAlgorithm
from .lee import LeeAlgorithm
from .median import MedianAlgorithm

FILTER_ALGORITHMS: tuple[type[FilterAlgorithm], ...] = (
    BoxcarAlgorithm,
    MedianAlgorithm,
    LeeAlgorithm,
    KuanAlgorithm,
    GammaMapAlgorithm,
    FrostAlgorithm,
)

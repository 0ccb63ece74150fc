"""The algorithms of the group "Classical filters", one file each."""

from __future__ import annotations

from .base import FilterAlgorithm
from .boxcar import BoxcarAlgorithm
from .enhancedfrost import EnhancedFrostAlgorithm
from .enhancedlee import EnhancedLeeAlgorithm
from .frost import FrostAlgorithm
from .gammamap import GammaMapAlgorithm
from .idan import IdanAlgorithm
from .kuan import KuanAlgorithm
from .lee import LeeAlgorithm
from .leesigma import LeeSigmaAlgorithm
from .median import MedianAlgorithm
from .mulog import MuLogAlgorithm
from .multitemporal import MultitemporalAlgorithm
from .nlmeans import NonLocalMeansAlgorithm
from .refinedlee import RefinedLeeAlgorithm
from .sarbm3d import SarBm3dAlgorithm
from .totalvariation import TotalVariationAlgorithm
from .wavelet import WaveletAlgorithm

FILTER_ALGORITHMS: tuple[type[FilterAlgorithm], ...] = (
    BoxcarAlgorithm,
    MedianAlgorithm,
    LeeAlgorithm,
    EnhancedLeeAlgorithm,
    RefinedLeeAlgorithm,
    LeeSigmaAlgorithm,
    KuanAlgorithm,
    GammaMapAlgorithm,
    FrostAlgorithm,
    EnhancedFrostAlgorithm,
    IdanAlgorithm,
    NonLocalMeansAlgorithm,
    SarBm3dAlgorithm,
    WaveletAlgorithm,
    TotalVariationAlgorithm,
    MuLogAlgorithm,
    MultitemporalAlgorithm,
)

"""The filters by id."""

from __future__ import annotations

from ..errors import InvalidInput
from .base import SpeckleFilter
from .boxcar import Boxcar
from .enhancedfrost import EnhancedFrost
from .enhancedlee import EnhancedLee
from .frost import Frost
from .gammamap import GammaMap
from .idan import Idan
from .kuan import Kuan
from .lee import Lee
from .leesigma import LeeSigma
from .median import Median
from .mulog import MuLog
from .nlmeans import NonLocalMeans
from .refinedlee import RefinedLee
from .sarbm3d import SarBm3d
from .totalvariation import TotalVariation
from .wavelet import Wavelet

FILTERS: dict[str, type[SpeckleFilter]] = {
    kind.id: kind
    for kind in (
        Boxcar,
        Median,
        Lee,
        EnhancedLee,
        RefinedLee,
        LeeSigma,
        Kuan,
        GammaMap,
        Frost,
        EnhancedFrost,
        Idan,
        NonLocalMeans,
        SarBm3d,
        Wavelet,
        TotalVariation,
        MuLog,
    )
}


def find_filter(id: str) -> type[SpeckleFilter]:
    """Return a filter's class.

    Raises
    ------
    InvalidInput
        If there is none of that id.
    """
    if id not in FILTERS:
        raise InvalidInput(f"There is no filter '{id}'; choose one of {', '.join(FILTERS)}.")
    return FILTERS[id]

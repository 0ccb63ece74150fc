"""The filters by id."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from ..errors import InvalidInput
from .base import SpeckleFilter

# Modules are named by the ids.
_CLASSES = {
    "boxcar": "Boxcar",
    "median": "Median",
    "lee": "Lee",
    "enhancedlee": "EnhancedLee",
    "refinedlee": "RefinedLee",
    "leesigma": "LeeSigma",
    "kuan": "Kuan",
    "gammamap": "GammaMap",
    "frost": "Frost",
    "enhancedfrost": "EnhancedFrost",
    "idan": "Idan",
    "nlmeans": "NonLocalMeans",
    "sarbm3d": "SarBm3d",
    "wavelet": "Wavelet",
    "totalvariation": "TotalVariation",
    "mulog": "MuLog",
}


class _Filters(Mapping[str, type[SpeckleFilter]]):
    """Imports a filter's module when that filter is asked for: a run needs one of them."""

    def __getitem__(self, id: str) -> type[SpeckleFilter]:
        name = _CLASSES[id]
        kind: type[SpeckleFilter] = getattr(importlib.import_module(f".{id}", __package__), name)
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


FILTERS = _Filters()


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

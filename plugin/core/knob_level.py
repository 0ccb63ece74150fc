"""The level of what a network makes when it is told fewer looks than the scene has.

A network that is told L expects more of the dark tail of speckle the smaller L is, and lifts
what it smooths: turned to L/4 on a single-look scene, ffdnet-sar's estimate is a third too
bright. How much, on the speckle it was trained with, is measured once per model, over L and
over the turn L'/L; the card holds the factors that take it back, so that the mean of the ratio
input / estimate stays what it is at L. Towards sharp the level hardly moves and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import ModelError


def level_factor(table: Mapping[str, Any], looks: Any, turn: float) -> Any:
    """What an estimate must be multiplied by to keep its level.

    Parameters
    ----------
    table : mapping
        `ModelCard.knob_level`: "looks" (n,) and "turns" (m,), both rising, and "factors" (n, m);
        or empty, for no change.
    looks : float or ndarray
        True L.
    turn : float
        Told over true L.

    Returns
    -------
    float or ndarray
        Shaped like ``looks``: linear in the logarithms of L and of the turn, as at the nearest
        place of the table outside it; 1 where the turn is 1 or above.

    Raises
    ------
    ModelError
        When the table is none.
    """
    if not table or turn >= 1:
        return np.ones_like(looks, dtype=np.float32) if np.ndim(looks) else 1.0
    try:
        places, turns, factors = (
            np.array(table[name], float) for name in ("looks", "turns", "factors")
        )
        if not (factors.shape == (len(places), len(turns)) and (factors > 0).all()):
            raise ValueError("factors do not fit looks and turns")
        at_turn = [np.interp(np.log(turn), np.log(turns), np.log(row)) for row in factors]
        factor = np.exp(np.interp(np.log(looks), np.log(places), at_turn))
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"The model card's table of levels cannot be read ({error}).") from error
    return factor.astype(np.float32) if np.ndim(looks) else float(factor)

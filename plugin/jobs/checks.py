"""What can be seen to be wrong with a job before it runs. Names are those users know."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.errors import InvalidInput
from ..core.models.card import ModelCard

# Least and largest side of a tile without halo.
TILE_SIZES = (16, 8192)


def check_positive(name: str, value: float | None) -> None:
    """Refuse a number that is given and not positive."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"{name} must be a positive number, got {value:g}, or be left empty.")


def check_tile_size(size: int) -> None:
    """Refuse sizes that would be slow or burst memory; 0 chooses by itself."""
    low, high = TILE_SIZES
    if size and not low <= size <= high:
        raise InvalidInput(
            f"TILE_SIZE must be 0 (automatic) or {low} to {high} pixels, got {size}."
        )


def check_model(card: ModelCard, knob: float | None, maps: Sequence[str]) -> None:
    """Refuse what a model cannot give, going by its card.

    Parameters
    ----------
    card : ModelCard
    knob : float, optional
        L the estimate is to be made for.
    maps : sequence of str
        Names of the maps wanted: SLOPE, BIAS.
    """
    if maps and not card.affine:
        names = " / ".join(maps)
        raise InvalidInput(
            f"The model '{card.id}' is not affine, it has no {names}: choose a DoPAMINE model, "
            f"or leave {names} out."
        )
    if knob is not None and card.blind and not card.affine:
        raise InvalidInput(
            f"The model '{card.id}' has no knob: it is not told a number of looks. Leave KNOB out."
        )

"""Which numbers a job takes. Names are those users know."""

from __future__ import annotations

import math

from ..core.errors import InvalidInput

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

"""Measuring what being told fewer looks does to a network's level, see `knob_level`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import avg_pool2d

from .models.base import Despeckler
from .pairs import open_small_stream
from .recipe import Recipe

# Told over true number of looks; the last leaves the level alone.
TURNS = (0.125, 0.25, 0.5, 0.7071, 1.0)
_LOOKS = 4
_PATCHES = 64

# Of the patches that go through the network at once.
_PIXELS = 1 << 18

# Side of the blocks whose means are compared: single pixels can be dark to nothing.
_BLOCK = 8


def measure_level(
    model: Despeckler,
    images: Sequence[npt.NDArray[Any]],
    recipe: Recipe,
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> dict[str, Any]:
    """Measure the table of `level_factor` on simulated speckle.

    Parameters
    ----------
    model : Despeckler
        In evaluation mode, on ``device``; told L, not affine.
    images : sequence of ndarray, (H, W)
        Clean; patches and speckle are drawn by the recipe.
    recipe : Recipe
        Of the model's training.
    device, dtype
        Where, and in which type, the convolutions run.

    Returns
    -------
    dict
        "looks", "turns", "factors".

    Raises
    ------
    InvalidInput
        When the images hold no patch.
    """
    looks = np.unique(np.geomspace(recipe.looks[0], recipe.looks[-1], _LOOKS).round(3))
    if recipe.psf[1] > 0:
        looks = np.unique(looks.round())
    batch = min(_PATCHES, max(1, _PIXELS // recipe.patch**2))
    factors = []
    for level in looks:
        wanted = replace(recipe, looks=(level, level), batch=batch)
        stream = open_small_stream(images, wanted, device)
        count = min(_PATCHES // stream.recipe.batch, stream.steps_per_epoch)
        batches = [stream.batch(number) for number in range(count)]
        ratios = [
            np.mean([_ratio(model, batch.noisy, level * turn, dtype) for batch in batches])
            for turn in TURNS
        ]
        factors.append([float(f"{ratio / ratios[-1]:.4g}") for ratio in ratios])
    return {"looks": looks.tolist(), "turns": list(TURNS), "factors": factors}


def _ratio(model: Despeckler, noisy: torch.Tensor, told: float, dtype: torch.dtype | None) -> float:
    """Mean over blocks of input / estimate."""
    side = min(_BLOCK, *noisy.shape[-2:])
    with torch.no_grad():
        x = model(noisy, noisy.new_full((len(noisy),), told), dtype).x.float()
    return float((avg_pool2d(noisy, side) / avg_pool2d(x, side).clamp_min(1e-6)).mean())

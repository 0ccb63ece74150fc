"""Training pairs of real images: patches of a noisy image and of its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .despeckling import fill_holes
from .errors import InvalidInput
from .patches import Batch, PatchStream
from .recipe import Recipe
from .training_data import TrainingSet, patch_grid

# A patch is learnt from where so much of it is known in both images.
_LEAST_KNOWN = 0.5


class PairStream:
    """Endless, reproducible batches of pairs; batch n depends on the recipe and n alone.

    Where the reference is not known the batch's ``clean`` is NaN; invalid pixels of the noisy
    image are filled from around, as for despeckling.

    Parameters
    ----------
    data : TrainingSet
        With noisy images.
    recipe : Recipe
        Of it, the patches, batches, flips and the seed count; speckle is not simulated.
    device : torch.device
        Where batches are made.
    """

    def __init__(self, data: TrainingSet, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device, self.size = recipe, device, recipe.patch
        known = [
            np.isfinite(noisy) & np.isfinite(clean) for noisy, clean in zip(data.noisy, data.clean)
        ]
        self.has_unknown = not all(mask.all() for mask in known)
        self.looks = torch.tensor(list(data.looks), dtype=torch.float32)
        self._noisy, self._clean = [], []
        for noisy, clean, mask, scale in zip(data.noisy, data.clean, known, data.scales):
            self._noisy.append(_filled(np.asarray(noisy, np.float32) / np.float32(scale)))
            reference = np.where(mask, clean, np.nan).astype(np.float32) / np.float32(scale)
            self._clean.append(torch.from_numpy(reference))
        self.grid = patch_grid(known, self.size, recipe.stride, _LEAST_KNOWN)
        if len(self.grid) < recipe.batch:
            raise InvalidInput(
                f"{len(data)} pairs hold {len(self.grid)} patches of {self.size} pixels of which "
                f"at least half is known in both images, fewer than a batch of {recipe.batch}. "
                "Give more or larger images, or make patches or batches smaller."
            )
        self.steps_per_epoch = len(self.grid) // recipe.batch
        self._epoch = -1
        self._order = np.zeros(0, int)

    def batch(self, number: int) -> Batch:
        """Batch ``number`` of the stream."""
        recipe = self.recipe
        epoch, place = divmod(number, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order = np.random.default_rng((recipe.seed, epoch)).permutation(len(self.grid))
            self._epoch = epoch
        rng = np.random.default_rng((recipe.seed, epoch, place))
        chosen = self.grid[self._order[place * recipe.batch : (place + 1) * recipe.batch]]
        pairs = [self._patch(one, rng) for one in chosen]
        clean = torch.stack([pair[0] for pair in pairs])[:, None]
        noisy = torch.stack([pair[1] for pair in pairs])[:, None]
        looks = self.looks[torch.from_numpy(chosen[:, 0])]
        return Batch(clean.to(self.device), noisy.to(self.device), looks.to(self.device))

    def _patch(self, place: npt.NDArray[Any], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        index, row, column = (int(v) for v in place)
        part = np.s_[row : row + self.size, column : column + self.size]
        clean, noisy = self._clean[index][part], self._noisy[index][part]
        if self.recipe.flips:
            turns, mirror = int(rng.integers(4)), rng.random() < 0.5
            clean, noisy = torch.rot90(clean, turns), torch.rot90(noisy, turns)
            if mirror:
                clean, noisy = clean.flip(0), noisy.flip(0)
        return clean, noisy


def _filled(noisy: npt.NDArray[np.float32]) -> Tensor:
    valid = torch.from_numpy(np.isfinite(noisy))[None, None]
    z = torch.from_numpy(np.nan_to_num(noisy, nan=0.0, posinf=0.0, neginf=0.0))[None, None]
    return fill_holes(z, valid)[0, 0]


def open_stream(
    images: TrainingSet | Sequence[npt.NDArray[Any]], recipe: Recipe, device: torch.device
) -> PatchStream | PairStream:
    """Batches of pairs where there are noisy images, else of simulated speckle."""
    if isinstance(images, TrainingSet):
        if images.noisy:
            return PairStream(images, recipe, device)
        images = images.clean
    return PatchStream(images, recipe, device)


def open_small_stream(
    images: TrainingSet | Sequence[npt.NDArray[Any]], recipe: Recipe, device: torch.device
) -> PatchStream | PairStream:
    """As `open_stream`, in smaller batches where the images do not hold one of the recipe's."""
    batch = recipe.batch
    while True:
        try:
            return open_stream(images, replace(recipe, batch=batch), device)
        except InvalidInput:
            if batch == 1:
                raise
            batch //= 2


def known_or(clean: Tensor, estimate: Tensor) -> Tensor:
    """``clean``, and the estimate itself where that is NaN: no error and no gradient there."""
    return torch.where(clean.isnan(), estimate.detach().to(clean.dtype), clean)

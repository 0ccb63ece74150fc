"""Patches of scenes that are tuned on, batch by batch, always the same ones in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .ensemble import turned
from .errors import InvalidInput
from .tuning import TuningRecipe

# Side and step, of deSpeckNet's paper. Pairs need patches of a U-Net's reach.
_PATCHES = {"despecknet": (40, 9), "transfer": (96, 24), "retrain": (96, 24)}
_BATCHES = {"despecknet": 16, "transfer": 8, "retrain": 8}


@dataclass
class TunedImage:
    """A scene over its scale, (1, 1, H, W), and which of its pixels are learnt from or held out."""

    z: Tensor
    learn: Tensor
    held: npt.NDArray[np.bool_]
    block: int
    reference: Tensor | None
    start: npt.NDArray[Any] | None = None
    lowest: npt.NDArray[Any] | None = None


class Patches:
    """Batches of patches with pixels to learn from.

    Parameters
    ----------
    images : sequence of TunedImage
    recipe : TuningRecipe
        Its method says how large they are and how many make a batch.

    Raises
    ------
    InvalidInput
        When there is nothing to learn from.
    """

    def __init__(self, images: Sequence[TunedImage], recipe: TuningRecipe) -> None:
        self.images, self.recipe = images, recipe
        wanted, pause = _PATCHES[recipe.method]
        self.size = min(wanted, *(min(image.z.shape[-2:]) for image in images))
        places = []
        for index, image in enumerate(images):
            height, width = image.z.shape[-2:]
            for row in _starts(height, self.size, pause):
                for column in _starts(width, self.size, pause):
                    part = image.learn[..., row : row + self.size, column : column + self.size]
                    if bool(part.any()):
                        places.append((index, row, column))
        if not places:
            raise InvalidInput("There are no pixels to learn from. Choose a larger area.")
        self._places = np.array(places)
        self._batch = min(_BATCHES[recipe.method], len(places))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass over the patches."""
        return max(1, len(self._places) // self._batch)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Intensity, pixels to learn from, and reference, (B, 1, P, P), of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        rng = np.random.default_rng((self.recipe.seed, epoch, 2))
        order = rng.permutation(len(self._places))
        turns = rng.integers(8, size=len(self._places))
        chosen = order[place * self._batch : (place + 1) * self._batch]
        parts: list[list[Tensor]] = [[], [], []]
        for number in chosen:
            index, row, column = (int(v) for v in self._places[number])
            turn = int(turns[number]) if self.recipe.augment else 0
            image = self.images[index]
            for values, part in zip((image.z, image.learn, image.reference), parts):
                if values is not None:
                    patch = values[..., row : row + self.size, column : column + self.size]
                    part.append(turned(patch, turn))
        z, learn, reference = (torch.cat(part) if part else None for part in parts)
        assert z is not None and learn is not None
        return z, learn, reference


def _starts(length: int, size: int, pause: int) -> list[int]:
    """Where patches start along an axis; the last one ends with it."""
    return sorted({*range(0, length - size + 1, pause), length - size})

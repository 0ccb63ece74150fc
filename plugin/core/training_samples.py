"""Parts of images before and after, so that a training can be looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .errors import InvalidInput
from .pairs import open_stream
from .training import Trainer
from .training_data import TrainingSet

Array = npt.NDArray[Any]

_SIDE = 160
_LEAST_SIDE = 16
# A filter of the scene or the speckle takes this off a patch, see `patches.PatchStream`.
_MARGIN = 12


@dataclass(frozen=True)
class Sample:
    """A part of an image, all (H, W), over the scene scale.

    Attributes
    ----------
    noisy, estimate, clean : ndarray of float32
        Input, estimate of the network, reference (NaN where not known).
    looks : float
    """

    noisy: Array
    estimate: Array
    clean: Array
    looks: float


def cut_samples(trainer: Trainer, data: TrainingSet, count: int) -> list[Sample]:
    """Show the network, as it is now, some parts of images it was not trained on.

    Parameters
    ----------
    trainer : Trainer
    data : TrainingSet
        Drawn from like the training's, speckle included.
    count : int
        At most; fewer where the images hold fewer.
    """
    smallest = min(min(image.shape) for image in data.clean)
    side = min(_SIDE, smallest - (0 if data.noisy else _MARGIN))
    side = max(side // 2 * 2, _LEAST_SIDE)
    while count:
        recipe = replace(
            trainer.recipe, patch=side, stride=max(side // 2, 1), batch=count, flips=False, group=1
        )
        try:
            stream = open_stream(data, recipe, trainer.device)
            break
        except InvalidInput:
            count -= 1
    else:
        return []
    trainer.model.eval()
    with torch.no_grad():
        batch = stream.batch(0)
        x = trainer.model(batch.noisy, batch.looks, torch.float32).x
    return [
        Sample(_array(batch.noisy[n]), _array(x[n]), _array(batch.clean[n]), looks)
        for n, looks in enumerate(batch.looks.tolist())
    ]


def _array(image: torch.Tensor) -> Array:
    return np.array(image[0].float().cpu())


def to_arrays(samples: list[Sample]) -> dict[str, Array]:
    """For `numpy.savez`."""
    arrays: dict[str, Array] = {"looks": np.array([s.looks for s in samples], float)}
    for number, sample in enumerate(samples):
        for name in ("noisy", "estimate", "clean"):
            arrays[f"{name}{number}"] = getattr(sample, name)
    return arrays

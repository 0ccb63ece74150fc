"""Images as fine-tuning computes them: scaled, filled, divided into learnt and held-out pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .despeckling import fill_holes
from .tiling import Window
from .tuning import Scene, TuningRecipe, hold_out

BoolArray = npt.NDArray[np.bool_]

# Relative weighting: radius of the surroundings, their least mean over the scene's scale, and
# how many times as bright a pixel may be (speckle of one look is so once in e^20 pixels) before
# it is left out as a target that nothing around it foretells.
_RADIUS = 3
_LEAST_MEAN = 1e-3
_BRIGHTEST = 20.0


@dataclass
class Piece:
    """What is computed at once: an image, or every n-th pixel of one; tensors (1, 1, h, w).

    Attributes
    ----------
    z : Tensor
        Intensity over the scene scale, holes filled.
    learn : Tensor of bool
        Pixels in the loss.
    weight : Tensor, optional
        Factor on their risk.
    features : dict
        Of a frozen trunk, by flip or rotation.
    """

    z: Tensor
    learn: Tensor
    weight: Tensor | None
    features: dict[int, Tensor] = field(default_factory=dict)


@dataclass
class Image:
    """A scene in pieces.

    Attributes
    ----------
    pieces : list of Piece
    parts : list
        Where in the scene the pixels of each piece lie.
    held : ndarray of bool, (H, W)
        Pixels to measure the risk on.
    block : int
        Side of the blocks they were drawn in.
    count : int
        Pixels in the loss.
    start, lowest : ndarray, optional
        Risk before any step and after the epoch of the lowest so far, (H, W).
    """

    pieces: list[Piece]
    parts: list[tuple[slice, slice]]
    held: BoolArray
    block: int
    count: int
    start: npt.NDArray[Any] | None = None
    lowest: npt.NDArray[Any] | None = None


def prepare(
    scene: Scene, recipe: TuningRecipe, index: int, relative: bool, device: torch.device
) -> Image | None:
    """Make a scene ready; None where it holds too few pixels to learn from.

    Parameters
    ----------
    scene : Scene
    recipe : TuningRecipe
    index : int
        Of the scene: each draws its own held-out pixels.
    relative : bool
        Whether to weight by the surroundings.
    device : torch.device
    """
    usable = scene.usable()
    drawn = hold_out(usable, recipe.held_out, np.random.default_rng((recipe.seed, index)))
    if drawn is None:
        return None
    held, block = drawn
    valid = scene.valid & np.isfinite(scene.intensity)
    z = np.where(valid, scene.intensity, 0).astype(np.float32) / np.float32(scene.scale)
    step = recipe.stride
    parts = [
        (slice(row, None, step), slice(column, None, step))
        for row in range(min(step, usable.shape[0]))
        for column in range(min(step, usable.shape[1]))
    ]
    pieces = []
    for part in parts:
        image, seen = (_tensor(values[part], device) for values in (z, valid))
        weight, usual = None, seen
        if relative:
            mean = _surrounding_mean(image, seen).clamp_min(_LEAST_MEAN)
            weight, usual = mean.square().reciprocal(), image <= _BRIGHTEST * mean
        held[part] &= usual[0, 0].cpu().numpy()
        learn = _tensor((usable & ~held)[part], device) & usual
        filled = image if bool(seen.all()) else fill_holes(image, seen)
        pieces.append(Piece(filled, learn, weight))
    count = sum(int(piece.learn.sum()) for piece in pieces)
    return Image(pieces, parts, held, block, count) if count else None


def cut(image: Tensor, window: Window) -> Tensor:
    """The pixels of a window."""
    return image[..., window.y : window.bottom, window.x : window.right]


def _tensor(values: npt.NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))[None, None].to(device)


def _surrounding_mean(z: Tensor, valid: Tensor) -> Tensor:
    """Mean of the valid pixels around each one, itself left out; 1 where there are none."""
    side = 2 * _RADIUS + 1
    weight = valid.to(z.dtype)
    total, count = (avg_pool2d(v, side, 1, _RADIUS) * side**2 - v for v in (z * weight, weight))
    mean = total / count.clamp_min(0.5)
    return torch.where(count > 0.5, mean, torch.ones_like(mean))

"""Self-ensemble: the mean of a network's estimates over the 8 flips and rotations of its input.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR Workshops
2017, section 3.5. What the estimates disagree in is error, and the mean loses most of it; it
costs 8 passes. Means of affine maps are affine again, and as blind to their own pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .models.base import Estimate

TURNS = 8


def turned(image: Tensor, turn: int) -> Tensor:
    """One of the 8 flips and rotations of (..., H, W); 0 is the image itself."""
    if turn >= 4:
        image = image.flip(-1)
    return torch.rot90(image, turn % 4, (-2, -1)) if turn % 4 else image


def turned_back(image: Tensor, turn: int) -> Tensor:
    """Undo `turned`."""
    if turn % 4:
        image = torch.rot90(image, -(turn % 4), (-2, -1))
    return image.flip(-1) if turn >= 4 else image


def self_ensemble(
    network: Callable[..., Estimate],
    z: Tensor,
    looks: Tensor,
    classes: Tensor | None = None,
    divisor: int = 1,
) -> Estimate:
    """Mean estimate over all turns.

    Parameters
    ----------
    network : callable
        Estimate of intensity (1, 1, H, W), looks and classes.
    z : Tensor, (1, 1, H, W)
    looks : Tensor, (1,) or (1, 1, H, W)
    classes : Tensor, (1, H, W), optional
    divisor : int
        Grid the network lays over the image from its upper left pixel: the image is made a
        multiple of it, or turned ones would have the grid elsewhere.
    """
    height, width = z.shape[-2:]
    total: list[Tensor | None] = [None] * len(Estimate._fields)
    for turn in range(TURNS):

        def position(image: Tensor) -> Tensor:
            return turned(_extended(image, divisor), turn).contiguous()  # noqa: B023

        level = looks if looks.ndim == 1 else position(looks)
        found = network(position(z), level, None if classes is None else position(classes))
        for place, values in enumerate(found):
            if values is not None:
                share = turned_back(values.float(), turn)[..., :height, :width] / TURNS
                old = total[place]
                total[place] = share if old is None else old + share
    x, *others = total
    assert x is not None
    return Estimate(x, *others)


def _extended(image: Tensor, divisor: int) -> Tensor:
    """Repeat the last row and column up to a multiple of ``divisor``; any type of (..., H, W)."""
    for axis in (-2, -1):
        length = image.shape[axis]
        if length % divisor:
            places = torch.arange(length + -length % divisor, device=image.device)
            image = image.index_select(axis, places.clamp_max(length - 1))
    return image

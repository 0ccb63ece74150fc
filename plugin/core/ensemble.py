"""Self-ensemble: the mean of a network's estimates over the 8 flips and rotations of its input.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR Workshops
2017, section 3.5. What the estimates disagree in is error, and the mean loses most of it; it
costs 8 passes. Means of affine maps are affine again, and as blind to their own pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

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


def self_ensemble(network: Callable[[Tensor], Estimate], z: Tensor, divisor: int = 1) -> Estimate:
    """Mean estimate over all turns.

    Parameters
    ----------
    network : callable
        Estimate of intensity (1, 1, H, W).
    z : Tensor, (1, 1, H, W)
    divisor : int
        Grid the network lays over the image from its upper left pixel: the image is made a
        multiple of it, or turned ones would have the grid elsewhere.
    """
    height, width = z.shape[-2:]
    whole = pad(z, (0, -width % divisor, 0, -height % divisor), mode="replicate")
    total: list[Tensor | None] = [None, None, None]
    for turn in range(TURNS):
        for place, values in enumerate(network(turned(whole, turn).contiguous())):
            if values is not None:
                share = turned_back(values.float(), turn)[..., :height, :width] / TURNS
                old = total[place]
                total[place] = share if old is None else old + share
    x, a, b = total
    assert x is not None
    return Estimate(x, a, b)

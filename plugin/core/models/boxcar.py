"""A moving average written as a model: the lightest network there is, for checks and timing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from .base import Despeckler, Estimate
from .card import ModelCard


class Boxcar(Despeckler):
    """Mean of the (2·radius + 1)² window, of the pixels inside the image.

    Parameters
    ----------
    radius : int
        Window radius in pixels.
    """

    def __init__(self, radius: int = 1) -> None:
        super().__init__()
        side = 2 * radius + 1
        self.radius = radius
        self.weight = torch.nn.Parameter(torch.ones(1, 1, side, side), requires_grad=False)

    def describe(self, **values: Any) -> ModelCard:
        """Card; the radius is the window's."""
        return ModelCard(radius=self.radius, **values)

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        weight = self.weight.to(intensity.dtype)
        total = conv2d(intensity, weight, padding=self.radius)
        count = conv2d(torch.ones_like(intensity[:1]), weight, padding=self.radius)
        return Estimate(total / count)

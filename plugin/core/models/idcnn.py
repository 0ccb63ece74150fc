"""ID-CNN: the speckle is estimated and divided by.

Wang, Zhang and Patel, "SAR Image Despeckling Using a Convolutional Neural Network", IEEE SPL
24(12), 2017: eight 3×3 convolutions, batch normalisation in the middle six, ReLU after all of
them, then division of the image by the result and a tanh. Trained by the squared error and
0.002 times the total variation of the estimate (recipe term ``tv``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard
from .layers import ConvNorm, FirstConv2d, he_initialise

# Least speckle that the image is divided by.
_LEAST = 0.02


class IdCnn(Despeckler):
    """x̂ = c·tanh(Z / (c·f(Z))).

    Parameters
    ----------
    layers, channels : int
        Convolutions, and filters of all but the last.
    ceiling : float
        c, over the scene's scale: the tanh keeps estimates below it. The paper's images end
        at 1; 0 leaves the tanh out, for scenes of wide dynamic range.
    """

    def __init__(self, layers: int = 8, channels: int = 64, ceiling: float = 8.0) -> None:
        super().__init__()
        if ceiling < 0:
            raise ValueError(f"ceiling={ceiling}")
        self.ceiling = ceiling
        self.first = FirstConv2d(1, channels)
        self.inner = nn.ModuleList(ConvNorm(channels, channels) for _ in range(layers - 2))
        self.last = Conv2d(channels, 1, 3, padding=1)
        he_initialise(self, self.last)
        # Speckle is 1 in the mean; and a ReLU that starts at zero may never learn.
        nn.init.ones_(self.last.bias)

    def describe(self, **values: Any) -> ModelCard:
        """Card; every layer reaches one pixel farther."""
        return ModelCard(radius=len(self.inner) + 2, blind=True, **values)

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); convolutions run in ``dtype``."""
        x = self.first(intensity).relu()
        x = x.to(dtype or intensity.dtype, memory_format=torch.channels_last)
        for layer in self.inner:
            x = layer(x).relu()
        speckle = self.last(x).to(intensity.dtype).relu() + _LEAST
        ratio = intensity / speckle
        return Estimate(self.ceiling * (ratio / self.ceiling).tanh() if self.ceiling else ratio)

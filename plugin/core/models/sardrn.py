"""SAR-DRN: dilated residual network.

Zhang, Yuan, Li, Yang and Ma, "Learning a Dilated Residual Network for SAR Image Despeckling",
Remote Sensing 10(2):196, 2018. Seven 3×3 convolutions of 64 filters, dilated by 1, 2, 3, 4, 3,
2, 1, work at full resolution; the output of the first is added to that of the third, the
output of the fourth to that of the seventh's input (the paper's skip connections), and the
whole estimates the noise, which is subtracted from the intensity: x̂ = Z - f(Z).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard
from .layers import FirstConv2d, check_domain, from_domain, he_initialise, scale_last, to_domain

DILATIONS = (1, 2, 3, 4, 3, 2, 1)


class SarDrn(Despeckler):
    """The network of the paper.

    Parameters
    ----------
    channels : int
        Filters of every convolution but the last.
    domain : {"intensity", "amplitude", "log"}
        Where the residual is taken; the paper's is intensity.
    """

    def __init__(self, channels: int = 64, domain: str = "intensity") -> None:
        super().__init__()
        check_domain(domain)
        self.domain = domain
        self.first = FirstConv2d(1, channels, zero_sum=domain == "log")
        self.inner = nn.ModuleList(
            Conv2d(channels, channels, 3, padding=d, dilation=d) for d in DILATIONS[1:-1]
        )
        self.last = Conv2d(channels, 1, 3, padding=1)
        he_initialise(self, self.last)

    def describe(self, **values: Any) -> ModelCard:
        """Card; the dilations add up to the receptive radius."""
        return ModelCard(radius=sum(DILATIONS), blind=True, **values)

    def scale_output(self, factor: float) -> bool:
        """Subtract the factor's logarithm, in the domain of logarithms only."""
        if self.domain != "log":
            return False
        scale_last(self.last, "log", 1 / factor)
        return True

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); convolutions run in ``dtype``."""
        image = to_domain(intensity, self.domain)
        x = self.first(image).relu().to(dtype or image.dtype, memory_format=torch.channels_last)
        maps = [x]
        for number, layer in enumerate(self.inner):
            x = layer(x).relu()
            if number == 1:
                x = x + maps[0]
            maps.append(x)
        residual = self.last(maps[-1] + maps[3]).to(image.dtype)
        return Estimate(from_domain(image - residual, self.domain))

"""FFDNet in the logarithm of intensity: light, and told the number of looks.

Zhang, Zuo and Zhang, "FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image
Denoising", IEEE TIP 2018: the image is taken apart into half-size sub-images, a plain CNN runs
there beside a map of the noise level, and the result is put together again. Here the image is
ln Z, the noise level is the number of looks, and the network estimates the speckle, which is
subtracted (residual learning).

The first layer's kernels are made to sum to zero over the image, so a factor on the input
leaves all features as they are and comes out as the same factor: scale equivariance by
construction, whatever the sensor's calibration.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle, pixel_unshuffle

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard

# Relative to the scene's scale; ten decades below it there is no signal.
_FLOOR = 1e-10


class LogFFDNet(Despeckler):
    """ln x̂ = ln Z - f(ln Z, looks).

    Parameters
    ----------
    layers : int
        Convolutions; each reaches two pixels farther.
    channels : int
        Filters of the inner convolutions.
    """

    def __init__(self, layers: int = 15, channels: int = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, channels, 3)
        self.noise_level = nn.Conv2d(1, channels, 1, bias=False)
        self.inner = nn.ModuleList(
            Conv2d(channels, channels, 3, padding=1) for _ in range(layers - 2)
        )
        self.last = Conv2d(channels, 4, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def describe(self, **values: Any) -> ModelCard:
        """Card; a layer reaches two pixels, the half-size grid's alignment two more."""
        radius = 2 * (len(self.inner) + 2) + 2
        return ModelCard(radius=radius, divisor=2, blind=False, **values)

    def scale_output(self, factor: float) -> bool:
        """Subtract the factor's logarithm from the speckle."""
        with torch.no_grad():
            self.last.bias.sub_(math.log(factor))
        return True

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); convolutions run in ``dtype``."""
        dtype = dtype or intensity.dtype
        height, width = intensity.shape[-2:]
        log = intensity.clamp_min(_FLOOR).log()
        even = pad(log, (0, width % 2, 0, height % 2), mode="replicate")
        speckle = pixel_shuffle(self._speckle(pixel_unshuffle(even, 2), looks, dtype), 2)
        return Estimate((log - speckle[..., :height, :width]).exp())

    def _speckle(self, cells: Tensor, looks: Tensor, dtype: torch.dtype) -> Tensor:
        # In single precision: the zero-sum kernels take differences of large logarithms.
        kernel = self.first.weight - self.first.weight.mean((1, 2, 3), keepdim=True)
        bordered = pad(cells, (1, 1, 1, 1), mode="replicate")
        level = looks.clamp_min(1e-3).log2().view(-1, 1, 1, 1) / math.sqrt(10)
        x = conv2d(bordered, kernel, self.first.bias) + self.noise_level(level)
        x = x.relu_().to(dtype, memory_format=torch.channels_last)
        for layer in self.inner:
            x = layer(x).relu_()
        return self.last(x).float()

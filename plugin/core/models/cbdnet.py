"""CBDNet: an estimator of the noise level, and a U-Net that is told it.

Guo, Yan, Zhang, Zuo and Zhang, "Toward Convolutional Blind Denoising of Real Photographs",
CVPR 2019. The estimator is five 3×3 convolutions of 32 filters; the denoiser is a U-Net of
three scales with sums for skips, and estimates the noise. Trained by the reconstruction, the
asymmetric loss of the noise level, which punishes too low a level more, and the level's total
variation (recipe terms ``asymmetric`` and ``noise_tv``).

The noise level is that of the multiplicative model, σ = 1/√L, at every pixel. The estimator
works on ln Z, where speckle is additive and its level does not depend on the scene; its first
kernels sum to zero, so a factor on the scene leaves σ̂ as it is. The denoiser works on Z, where
the squared error is taken, and has no additive constants (BF-CNN, Mohan et al., ICLR 2020): told
the noise's standard deviation there, σ̂ times the local mean of Z, a factor on the scene is a
factor on the estimate. It gives the scene itself: at one look the noise is as strong as the
scene, and a residual would have to cancel every pixel first.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pixel_shuffle, softplus

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard
from .layers import FirstConv2d, even, he_initialise, scale_last, to_domain

_ESTIMATOR_LAYERS = 5
# Convolutions of the U-Net: at full size, going down and up; at half; at a quarter.
_FULL, _HALF, _QUARTER = 2, 3, 6
_DIVISOR = 4


class _Stack(nn.Module):
    """So many 3×3 convolutions with ReLU."""

    def __init__(self, inputs: int, channels: int, count: int, bias: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Conv2d(channels if i else inputs, channels, 3, padding=1, bias=bias)
            for i in range(count)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return x


class _Up(nn.Module):
    """2×2 transposed convolution of stride 2, written as a 1×1 convolution and a shuffle."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = Conv2d(inputs, 4 * outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        wide = pixel_shuffle(self.convolution(x), 2)
        return wide.contiguous(memory_format=torch.channels_last)


class CbdNet(Despeckler):
    """σ̂ = e(ln Z); x̂ = d(Z, σ̂·mean of Z).

    Parameters
    ----------
    channels : int
        Filters at full size; twice and four times as many at the coarser scales.
    estimator_channels : int
        Filters of the noise level's estimator.
    """

    def __init__(self, channels: int = 64, estimator_channels: int = 32) -> None:
        super().__init__()
        self.estimator = nn.Sequential(
            FirstConv2d(1, estimator_channels, zero_sum=True),
            nn.ReLU(),
            _Stack(estimator_channels, estimator_channels, _ESTIMATOR_LAYERS - 2, bias=True),
            Conv2d(estimator_channels, 1, 3, padding=1),
        )
        self.first = FirstConv2d(2, channels, bias=False)
        self.enter = _Stack(channels, channels, _FULL - 1)
        self.down = _Stack(channels, 2 * channels, _HALF)
        self.bottom = _Stack(2 * channels, 4 * channels, _QUARTER)
        self.up_half = _Up(4 * channels, 2 * channels)
        self.middle = _Stack(2 * channels, 2 * channels, _HALF)
        self.up_full = _Up(2 * channels, channels)
        self.full = _Stack(channels, channels, _FULL)
        self.last = Conv2d(channels, 1, 1, bias=False)
        he_initialise(self, self.last, 1.0)
        with torch.no_grad():
            # The estimate starts between one look and eight, the same everywhere.
            level: Any = self.estimator[-1]
            level.weight.mul_(0.1)
            level.bias.fill_(math.log(math.expm1(0.6)))

    def describe(self, **values: Any) -> ModelCard:
        """Card; a layer at a scale reaches so many pixels, the coarsest grid three more."""
        denoiser = 2 * _FULL + 2 * 2 * _HALF + 4 * _QUARTER + _DIVISOR - 1
        return ModelCard(
            radius=_ESTIMATOR_LAYERS + denoiser, divisor=_DIVISOR, blind=True, **values
        )

    def scale_output(self, factor: float) -> bool:
        """Scale what comes out of the last layer."""
        scale_last(self.last, "intensity", factor)
        return True

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate, with the noise level, from intensity (B, 1, H, W)."""
        dtype = dtype or intensity.dtype
        height, width = intensity.shape[-2:]
        image = even(intensity, _DIVISOR)
        level = self._noise_level(to_domain(image, "log"), dtype)
        mean = avg_pool2d(image, 3, 1, 1, count_include_pad=False)
        x = self.first(torch.cat([image, level * mean], 1)).relu()
        x = self._scene(x.to(dtype, memory_format=torch.channels_last)).to(image.dtype)
        return Estimate(x[..., :height, :width], noise_level=level[..., :height, :width])

    def _noise_level(self, log: Tensor, dtype: torch.dtype) -> Tensor:
        features = self.estimator[1](self.estimator[0](log))
        features = features.to(dtype, memory_format=torch.channels_last)
        return softplus(self.estimator[3](self.estimator[2](features)).to(log.dtype))

    def _scene(self, x: Tensor) -> Tensor:
        full = self.enter(x)
        half = self.down(avg_pool2d(full, 2))
        up = self.up_half(self.bottom(avg_pool2d(half, 2)))
        up = self.up_full(self.middle(up + half))
        return self.last(self.full(up + full))

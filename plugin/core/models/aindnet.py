"""AINDNet: adaptive instance normalisation, steered by an estimated map of the noise level.

Kim, Soh, Park and Cho, "Transfer Learning from Synthetic to Real-Noise Denoising with Adaptive
Instance Normalization", CVPR 2020. An estimator gives the noise level σ̂ at full and at quarter
size, joined as 0.8·up(σ̂₄) + 0.2·σ̂₁ (equation 1); a U-Net of AIN residual blocks, whose
normalised features are scaled and shifted by what each block makes of σ̂ (equation 2), gives the
image. The estimator's loss punishes underestimation more (equation 5), and joins the
reconstruction's with weight 0.05 (equation 6).

Adapted to speckle: the network works on ln Z, where speckle is additive, and estimates the
correction to it (the paper's global residual). The noise level is that of the multiplicative
model, the relative standard deviation of the speckle σ = 1/√L, so a map of σ̂ is one of the
local number of looks, 1/σ̂². The first kernels of both parts sum to zero: a factor on the input
comes out as the same factor. σ̂₁ is made from the full-size features and up(σ̂₄) together; the
paper's figure leaves that open.

Instance normalisation divides by statistics of the whole image. Per tile they would differ, so
in evaluation they are stored ones, which a run measures on its scene first
(`Despeckler.freeze_statistics`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    avg_pool2d,
    interpolate,
    leaky_relu,
    pixel_shuffle,
    softplus,
)

from .base import Conv2d, Despeckler, Distance, Estimate, PerScene
from .card import ModelCard
from .layers import LogConv, bounded, initialise, log_intensity, single

# Weights of the paper: of σ̂₄ in the joined map, of the two scales in the loss, of
# overestimation against underestimation, and of all that beside the reconstruction.
_COARSE = 0.8
_SCALES = {1: 0.2, 4: 0.8}
_ALPHA = 0.25
WEIGHTS = {"level": 0.05}

_SLOPE = 0.02
_EPSILON = 1e-5
_DIVISOR = 4


def asymmetric_loss(estimate: Tensor, level: Tensor) -> Tensor:
    """mean(|α - [σ̂ < σ]|·(σ̂ - σ)²) with α = 0.25 (one scale of equation 5)."""
    error = estimate - level
    weight = torch.where(error < 0, 1 - _ALPHA, _ALPHA)
    return (weight * error.square()).mean()


class _Estimator(nn.Module):
    """Noise level at full and at quarter size, of log-intensity (B, 1, H, W), H and W of 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = LogConv(1, channels)
        self.second = Conv2d(channels, channels, 3, padding=1)
        self.third = Conv2d(channels, channels, 3, padding=1)
        self.fourth = Conv2d(channels, channels, 3, padding=1)
        self.coarse = Conv2d(channels, 1, 3, padding=1)
        self.fine = Conv2d(channels + 1, 1, 3, padding=1)

    # How far σ̂₁ and up(σ̂₄) reach: two convolutions and their alignment, three at quarter
    # size, the neighbour that is interpolated with, and the last convolution.
    radius = 2 + 3 + 3 * 4 + 4 + 1

    def forward(self, log: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Joined map σ̂, σ̂₁ and σ̂₄."""
        x = self.second(self.first(log, dtype).relu_()).relu_()
        deep = self.third(avg_pool2d(x, _DIVISOR)).relu_()
        coarse = softplus(self.coarse(self.fourth(deep).relu_()))
        wide = interpolate(coarse, scale_factor=_DIVISOR, mode="bilinear", align_corners=False)
        fine = softplus(self.fine(torch.cat([x, wide], 1)))
        return _COARSE * wide + (1 - _COARSE) * fine, fine, coarse


class AdaptiveInstanceNorm(PerScene):
    """Equation 2: normalised features, scaled by 1 + γ and shifted by β of the noise level.

    Parameters
    ----------
    channels, hidden : int
        Of the features, and of the one layer between noise level and γ, β.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.level = Conv2d(1, hidden, 5, padding=2)
        self.modulation = Conv2d(hidden, 2 * channels, 3, padding=1)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    radius = 3

    def forward(self, features: Tensor, level: Tensor) -> Tensor:
        """Features (B, channels, h, w) and noise level (B, 1, h, w), of one type."""
        gamma, beta = self.modulation(self.level(level).relu_()).chunk(2, 1)
        mean, deviation = (v.to(features.dtype) for v in self._statistics(features))
        return torch.addcmul(beta, (features - mean) / deviation, 1 + gamma)

    def _statistics(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel, (B or 1, channels, 1, 1)."""
        if not (self.training or self.measuring):
            return self.mean[:, None, None], self.deviation[:, None, None]
        axes = (0, 2, 3) if self.measuring else (2, 3)
        variance, mean = torch.var_mean(single(features), axes, correction=0, keepdim=True)
        deviation = (variance + _EPSILON).sqrt()
        if self.measuring:
            self.mean.copy_(mean.flatten())
            self.deviation.copy_(deviation.flatten())
        return mean, deviation


class _AinBlock(nn.Module):
    """AIN, leaky ReLU and convolution, twice, beside the identity."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(AdaptiveInstanceNorm(channels, hidden) for _ in range(2))
        self.convs = nn.ModuleList(Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        y = x
        for norm, conv in zip(self.norms, self.convs):
            y = conv(leaky_relu(norm(y, level), _SLOPE))
        return x + y


class _Level(nn.Module):
    """Blocks of one size of the U-Net, in a row."""

    def __init__(self, channels: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_AinBlock(channels, hidden) for _ in range(blocks))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, level)
        return x


class _Up(nn.Module):
    """Transposed convolution of 2×2 and stride 2: each pixel becomes four."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv2d(inputs, 4 * outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return pixel_shuffle(self.conv(x), 2)


class Aindnet(Despeckler):
    """ln x̂ = ln Z - U-Net(ln Z, σ̂).

    Parameters
    ----------
    channels : int
        Filters at full size (the paper's 64), twice and four times as many further down.
    estimator_channels : int
        Filters of the noise level estimator.
    blocks : sequence of int
        AIN residual blocks at full, half and quarter size going down, half and full going up.
    """

    def __init__(
        self,
        channels: int = 64,
        estimator_channels: int = 32,
        blocks: tuple[int, int, int, int, int] = (2, 2, 5, 3, 2),
    ) -> None:
        super().__init__()
        full, half, quarter, half_up, full_up = blocks
        self.estimator = _Estimator(estimator_channels)
        self.first = LogConv(1, channels)
        self.down_first = _Level(channels, channels, full)
        self.to_half = Conv2d(channels, 2 * channels, 3, padding=1)
        self.down_half = _Level(2 * channels, channels, half)
        self.to_quarter = Conv2d(2 * channels, 4 * channels, 3, padding=1)
        self.quarter = _Level(4 * channels, channels, quarter)
        self.from_quarter = _Up(4 * channels, 2 * channels)
        self.up_half = _Level(2 * channels, channels, half_up)
        self.from_half = _Up(2 * channels, channels)
        self.up_full = _Level(channels, channels, full_up)
        self.last = Conv2d(channels, 1, 3, padding=1)
        self._blocks = tuple(blocks)
        initialise(self)
        with torch.no_grad():
            self.last.weight.mul_(0.02)
            # The start: next to no modulation, and the same level everywhere.
            for module in self.modules():
                if isinstance(module, AdaptiveInstanceNorm):
                    module.modulation.weight.mul_(0.1)
            for head in (self.estimator.coarse, self.estimator.fine):
                head.weight.mul_(0.1)

    def describe(self, **values: Any) -> ModelCard:
        """Card; see `_radius`."""
        return ModelCard(
            radius=self._radius(), divisor=_DIVISOR, maps=("level",), per_scene=True, **values
        )

    def _radius(self) -> int:
        """Reach of the longest way: estimator, first modulation, the whole U-Net.

        A block has two convolutions of one pixel of its size; before its first one, the noise
        level comes in through 3 pixels of its size, which reaches farthest at full size.
        Pooling aligns pixels to the coarsest grid: 3 pixels.
        """
        full, half, quarter, half_up, full_up = self._blocks
        trunk = 2 * full + 2 * (1 + 2 * half) + 4 * (1 + 2 * quarter)
        trunk += 2 * 2 * half_up + 2 * full_up + 1 + (_DIVISOR - 1)
        return trunk + _Estimator.radius + AdaptiveInstanceNorm.radius

    def scale_output(self, factor: float) -> bool:
        """Subtract the factor's logarithm from the correction."""
        with torch.no_grad():
            self.last.bias.sub_(math.log(factor))
        return True

    def transfer_parameters(self) -> list[nn.Parameter]:
        """What transfer learning updates: AIN modules, estimator and last convolution."""
        norms = [m for m in self.modules() if isinstance(m, AdaptiveInstanceNorm)]
        parts: list[nn.Module] = [self.estimator, *norms, self.last]
        return [parameter for part in parts for parameter in part.parameters()]

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); convolutions run in ``dtype``."""
        log = log_intensity(intensity, _DIVISOR)
        level = self.estimator(log, dtype or log.dtype)[0]
        return self._reconstruct(log, level, intensity.shape)

    def extra_maps(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> dict[str, Tensor]:
        """``level``: the estimated noise level σ̂, relative standard deviation of the speckle."""
        log = log_intensity(intensity, _DIVISOR)
        level = single(self.estimator(log, dtype or log.dtype)[0])
        return {"level": level[..., : intensity.shape[-2], : intensity.shape[-1]]}

    def _reconstruct(self, log: Tensor, level: Tensor, shape: torch.Size) -> Estimate:
        levels = [level, avg_pool2d(level, 2), avg_pool2d(level, 4)]
        full = self.down_first(self.first(log, level.dtype), levels[0])
        half = self.down_half(self.to_half(avg_pool2d(full, 2)), levels[1])
        deep = self.quarter(self.to_quarter(avg_pool2d(half, 2)), levels[2])
        half = self.up_half(half + self.from_quarter(deep), levels[1])
        full = self.up_full(full + self.from_half(half), levels[0])
        return Estimate((log - bounded(self.last(full)))[..., : shape[-2], : shape[-1]].exp())

    def training_loss(
        self,
        distance: Distance,
        noisy: Tensor,
        looks: Tensor,
        clean: Tensor,
        dtype: torch.dtype | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Tensor:
        """Equation 6, with ``distance`` as reconstruction loss; weight "level" of equation 5."""
        chosen = {**WEIGHTS, **(weights or {})}
        log = log_intensity(noisy, _DIVISOR)
        level, fine, coarse = self.estimator(log, dtype or log.dtype)
        loss = distance(self._reconstruct(log, level, noisy.shape), clean)
        true = looks.clamp_min(1e-3).rsqrt().view(-1, 1, 1, 1)
        for estimate, scale in ((fine, 1), (coarse, 4)):
            term = asymmetric_loss(single(estimate), true)
            loss = loss + chosen["level"] * _SCALES[scale] * term
        return loss

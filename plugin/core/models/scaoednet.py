"""ScaoedNet: alternating estimates of scene and noise in a latent space, unrolled.

Ren, Pan and Huang, "Enhanced Latent Space Blind Model for Real Image Denoising via Alternative
Optimization", NeurIPS 2022 (known here from its slides). The image is encoded, b = E(y). Then
stages alternate between the latent scene z and the noise map u, each correcting its last
estimate (equation 2):

    g = G(u),  z ← α·RE(z, g) + β·b,  u ← u + DE(z, b, u),  and at last x̂ = D(z).

RE is a row of feature multi-modulation attention blocks: convolutions, then channel and spatial
attention side by side, fused, and modulated by the guidance g. The first u comes from
convolutions and the NFAE layer, which weights features by how far they stand out. All stages
share their weights, so K, how many are run, can be chosen at inference.

Adapted to speckle: y is ln Z, u is the logarithm of the speckle, and D gives the correction to
ln Z. The first kernels sum to zero, so a factor on the input comes out as the same factor. All
runs at half size, on the four sub-images of FFDNet, as the authors' code does. The slides name
the modules without formulas: channel attention is squeeze-and-excitation here, spatial
attention a 3×3 convolution. Both their pooled values and the NFAE's moments belong to the whole
scene; in evaluation they are stored ones (`Despeckler.freeze_statistics`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from .base import Conv2d, Despeckler, Distance, Estimate, PerScene
from .card import ModelCard
from .layers import LogConv, bounded, initialise, log_intensity, single

# Of the estimates of earlier stages, and of the noise maps, beside the last estimate's loss.
WEIGHTS = {"stages": 0.2, "noise": 0.1}

_STEEPNESS = 10.0


class _Stack(nn.Module):
    """3×3 convolutions, each followed by a ReLU, but for the last where so asked."""

    def __init__(self, inputs: int, channels: int, depth: int, open_end: bool = False) -> None:
        super().__init__()
        sizes = [inputs, *[channels] * depth]
        self.layers = nn.ModuleList(
            Conv2d(a, b, 3, padding=1) for a, b in zip(sizes[:-1], sizes[1:])
        )
        self.open_end = open_end

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers, 1):
            x = layer(x)
            if number < len(self.layers) or not self.open_end:
                x = x.relu_()
        return x


class NoiseFeatureAttention(PerScene):
    """NFAE: features weighted by σ(10·d²/s²) of their distance d from means, twice.

    d is taken from the channel's mean over the scene and from the pixel's mean over channels;
    s² is the mean of d².
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("spread", torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, channels, h, w) to the same."""
        wide = single(x)
        across = (wide - wide.mean(1, keepdim=True)).square()
        if self.training or self.measuring:
            axes = (0, 2, 3) if self.measuring else (2, 3)
            mean = wide.mean(axes, keepdim=True)
            along = (wide - mean).square()
            rest = (0, 1, 2, 3) if self.measuring else (1, 2, 3)
            spread = [d.mean(rest, keepdim=True).clamp_min(1e-8) for d in (along, across)]
            if self.measuring:
                self.mean.copy_(mean.flatten())
                self.spread.copy_(torch.cat([value.flatten() for value in spread]))
        else:
            along = (wide - self.mean[:, None, None]).square()
            spread = list(self.spread)
        weight = torch.sigmoid(_STEEPNESS * along / spread[0])
        weight = weight * torch.sigmoid(_STEEPNESS * across / spread[1])
        return x * weight.to(x.dtype)


class _ChannelAttention(PerScene):
    """A factor for each channel, from the channels' means over the scene."""

    pooled: Tensor

    def __init__(self, channels: int, stages: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(channels // 4, 2))
        self.excite = nn.Linear(max(channels // 4, 2), channels)
        self.register_buffer("pooled", torch.zeros(stages, channels))

    def forward(self, x: Tensor, stage: int) -> Tensor:
        if self.measuring:
            self.pooled[stage] = single(x).mean((0, 2, 3))
        pooled = self.pooled[stage][None]
        if self.training and not self.measuring:
            pooled = single(x).mean((2, 3))
        factor = torch.sigmoid(self.excite(self.squeeze(pooled).relu()))
        return x * factor[:, :, None, None].to(x.dtype)


class _AttentionBlock(nn.Module):
    """FM2ARB: convolutions, both attentions, fusion, modulation by the guidance, identity."""

    def __init__(self, channels: int, depth: int, stages: int) -> None:
        super().__init__()
        self.body = _Stack(channels, channels, depth, open_end=True)
        self.channel = _ChannelAttention(channels, stages)
        self.spatial = Conv2d(channels, 1, 3, padding=1)
        self.fuse = Conv2d(2 * channels, channels, 1)
        self.degradation = _Modulation(channels)

    def forward(self, x: Tensor, guidance: Tensor, stage: int) -> Tensor:
        y = self.body(x)
        both = torch.cat([self.channel(y, stage), y * torch.sigmoid(self.spatial(y))], 1)
        return x + self.fuse(both) * self.degradation(guidance)


class _Modulation(nn.Module):
    """DEM: a factor within 0 and 1 for each feature, from the guidance, pixel by pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = Conv2d(channels, channels, 1)
        self.outer = Conv2d(channels, channels, 1)

    def forward(self, guidance: Tensor) -> Tensor:
        return torch.sigmoid(self.outer(self.inner(guidance).relu_()))


class ScaoedNet(Despeckler):
    """ln x̂ = ln Z - D(z_K).

    Parameters
    ----------
    channels : int
        Filters (the authors' 64).
    blocks : int
        Attention blocks of a stage (T, the authors' 16).
    block_depth : int
        Convolutions of a block (the authors' 4).
    depth : int
        Convolutions of G, of DE and of the initial noise estimate (the authors' 4).
    stages : int
        K in training, and the most at inference (the authors' 5).
    """

    def __init__(
        self,
        channels: int = 64,
        blocks: int = 16,
        block_depth: int = 4,
        depth: int = 4,
        stages: int = 5,
    ) -> None:
        super().__init__()
        if min(channels, blocks, block_depth, depth, stages) < 1:
            raise ValueError("all sizes must be at least 1")
        self.encode = LogConv(4, channels)
        self.initial = _Stack(channels, channels, depth)
        self.attention = NoiseFeatureAttention(channels)
        self.initial_noise = Conv2d(channels, 4, 3, padding=1)
        self.guide = _Stack(4, channels, depth)
        self.blocks = nn.ModuleList(
            _AttentionBlock(channels, block_depth, stages) for _ in range(blocks)
        )
        self.join = Conv2d(channels, channels, 3, padding=1)
        self.modulation = _Modulation(channels)
        self.alpha = nn.Parameter(torch.ones(()))
        self.beta = nn.Parameter(torch.ones(()))
        self.correct = _Stack(2 * channels + 4, channels, depth)
        self.correct_noise = Conv2d(channels, 4, 3, padding=1)
        self.decode = Conv2d(channels, 4, 3, padding=1)
        self._sizes = (blocks, block_depth, depth)
        self.most_stages = self.stages = stages
        initialise(self)
        with torch.no_grad():
            for layer in (self.decode, self.initial_noise, self.correct_noise):
                layer.weight.mul_(0.03)
            for block in self.blocks:
                block.fuse.weight.mul_(0.3)

    def describe(self, **values: Any) -> ModelCard:
        """Card; see `_radius`."""
        return ModelCard(
            radius=self._radius(), divisor=2, maps=("noise",), per_scene=True,
            stages=self.most_stages, **values,
        )  # fmt: skip

    def _radius(self) -> int:
        """Two pixels a convolution along the longest way, and one for the grid's alignment.

        The guidance comes in behind the convolutions of a block.
        """
        blocks, block_depth, depth = self._sizes
        block = block_depth + 1  # with the spatial attention
        scene, noise = 1, depth + 2
        for _ in range(self.most_stages):
            scene = max(scene + blocks * block, noise + depth + (blocks - 1) * block) + 1
            noise = max(scene, noise) + depth + 1
        return 2 * max(scene + 1, noise) + 1

    def set_stages(self, stages: int) -> None:
        """Run ``stages`` of the stages it was trained with; 0 for all.

        Raises
        ------
        ValueError
            When there are not so many.
        """
        if not 0 <= stages <= self.most_stages:
            raise ValueError(f"stages must be 1 to {self.most_stages}, got {stages}")
        self.stages = stages or self.most_stages

    def scale_output(self, factor: float) -> bool:
        """Subtract the factor's logarithm from the correction."""
        with torch.no_grad():
            self.decode.bias.sub_(math.log(factor))
        return True

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); convolutions run in ``dtype``."""
        log, scenes, _ = self._run(intensity, dtype)
        return Estimate(self._decode(log, scenes[-1], intensity.shape))

    def extra_maps(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> dict[str, Tensor]:
        """``noise``: the speckle, exp(u) of the last stage."""
        _, _, noises = self._run(intensity, dtype, last_noise=True)
        speckle = pixel_shuffle(bounded(noises[-1]), 2).exp()
        return {"noise": speckle[..., : intensity.shape[-2], : intensity.shape[-1]]}

    def stage_estimates(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> list[Tensor]:
        """x̂ of each stage, in one run."""
        log, scenes, _ = self._run(intensity, dtype)
        return [self._decode(log, scene, intensity.shape) for scene in scenes]

    def _run(
        self, intensity: Tensor, dtype: torch.dtype | None, last_noise: bool = False
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """ln Z at even size, the latent scene b + z of each stage, and the noise maps."""
        log = log_intensity(intensity, 2)
        encoded = self.encode(pixel_unshuffle(log, 2), dtype or log.dtype)
        noise = self.initial_noise(self.attention(self.initial(encoded)))
        scene = encoded
        scenes, noises = [], [noise]
        for stage in range(self.stages):
            guidance = self.guide(noise)
            inner = scene
            for block in self.blocks:
                inner = block(inner, guidance, stage)
            inner = self.join(inner) * self.modulation(guidance)
            alpha, beta = self.alpha.to(inner.dtype), self.beta.to(inner.dtype)
            scene = alpha * inner + beta * encoded
            scenes.append(encoded + scene)
            if stage + 1 < self.stages or last_noise:
                features = self.correct(torch.cat([scene, encoded, noise], 1))
                noise = noise + self.correct_noise(features)
                noises.append(noise)
        return log, scenes, noises

    def _decode(self, log: Tensor, scene: Tensor, shape: torch.Size) -> Tensor:
        correction = pixel_shuffle(bounded(self.decode(scene)), 2)
        return (log - correction)[..., : shape[-2], : shape[-1]].exp()

    def training_loss(
        self,
        distance: Distance,
        noisy: Tensor,
        looks: Tensor,
        clean: Tensor,
        dtype: torch.dtype | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Tensor:
        """Distance of the last estimate, and two terms of our own (the slides give no loss).

        "stages" weighs the mean distance of the earlier stages' estimates, so that any K can
        be used; "noise" the mean absolute error of all noise maps, ln Z - ln x.
        """
        chosen = {**WEIGHTS, **(weights or {})}
        log, scenes, noises = self._run(noisy, dtype, last_noise=True)
        estimates = [Estimate(self._decode(log, scene, noisy.shape)) for scene in scenes]
        losses = [distance(estimate, clean) for estimate in estimates]
        loss = losses[-1]
        if len(losses) > 1:
            loss = loss + chosen["stages"] * torch.stack(losses[:-1]).mean()
        true = pixel_unshuffle(log - log_intensity(clean, 2), 2)
        errors = [(single(noise) - true).abs().mean() for noise in noises]
        return loss + chosen["noise"] * torch.stack(errors).mean()

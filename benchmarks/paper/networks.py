"""Networks that the paper compares DoPAMINE and its scale add with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from ...plugin.core.models.dopamine import Dopamine


def _convolution(channels: int) -> nn.Conv2d:
    # Circular: zeros beyond the border would take from the variance, layer after layer.
    layer = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="circular", bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


class Plain(nn.Module):
    """Convolutions 3×3 with ReLU between them, without any addition."""

    def __init__(self, layers: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_convolution(channels) for _ in range(layers))

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Map after each convolution, before its ReLU."""
        for layer in self.layers:
            x = layer(x)
            yield x
            x = x.relu()


class Residual(nn.Module):
    """Blocks of x + conv(ReLU(conv(ReLU(x)))), two convolutions each (He et al. 2016).

    The paper's "ResNet20": 20 blocks make the 40 layers of its figure 3a, where the variance
    grows by the factor 2 a block, to 10^6.

    Parameters
    ----------
    scale_add : bool
        Divide each sum by √2 (equation 8).
    """

    def __init__(self, blocks: int, channels: int, scale_add: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_convolution(channels) for _ in range(2 * blocks))
        self.factor = math.sqrt(0.5) if scale_add else 1.0

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Map after each convolution; after the second of a block, the sum."""
        for first, second in zip(self.layers[::2], self.layers[1::2]):
            inner = first(x.relu())
            yield inner
            x = (x + second(inner.relu())) * self.factor
            yield x


class AddDopamine(Dopamine):
    """DoPAMINE with plain additions in place of the scale add.

    Parameters
    ----------
    normalise : bool
        Batch normalisation after each addition: of the two stacks, of the two branches, of all
        layers, and in the residual blocks.
    """

    def __init__(self, normalise: bool = True, **arguments: Any) -> None:
        super().__init__(**arguments)
        channels, layers = self.last.in_channels, len(self.lu)

        def norms(count: int) -> nn.ModuleList:
            return nn.ModuleList(_Norm(channels, normalise) for _ in range(count))

        self.stack_norms, self.branch_norms = norms(2 * layers), norms(layers)
        self.total_norm, self.block_norms = _Norm(channels, normalise), norms(len(self.blocks))

    def features(self, intensity: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Sum of all layers' sums, (B, channels, H, W)."""
        image = self.features_in(intensity).to(dtype or intensity.dtype)
        image = image.contiguous(memory_format=torch.channels_last)
        states = [branch[0].shift(image) for branch in (self.lu, self.rd)]
        total = image.new_zeros(())
        for place, layers in enumerate(zip(self.lu, self.rd)):
            norms = self.stack_norms[2 * place : 2 * place + 2]
            states = [
                _added_layer(layer, norm, v, h)
                for layer, norm, (v, h) in zip(layers, norms, states)
            ]
            total = total + self.branch_norms[place](states[0][1] + states[1][1])
        return self.total_norm(total)

    def maps_from(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps a and b; linear head only."""
        for block, norm in zip(self.blocks, self.block_norms):
            features = norm(features + block.outer(block.inner(features).relu())).relu()
        maps = self.last(features).float()
        return maps[:, :1], maps[:, 1:]


class _Norm(nn.Module):
    """Batch normalisation in float32, or nothing."""

    def __init__(self, channels: int, active: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels) if active else None
        if self.norm is not None:
            # A count that nothing needs, and that has no running mean.
            self.norm.num_batches_tracked = None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x.float()).to(x.dtype)


def _added_layer(layer: Any, norm: nn.Module, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of the layer before to those of this one; the first gets the shifted images."""
    kernels = [k.to(v.dtype) for k in (layer.vertical.weight, layer.vertical.bias)]
    if not layer.first:
        one = (0, 1) if layer.turned else (1, 0)
        v, h = pad(v, (0, 0, *one)), pad(h, one)
    v = conv2d(v, *kernels, padding=(0, 1)).relu()
    merged = conv2d(v, layer.merge.weight.to(v.dtype), layer.merge.bias.to(v.dtype))
    return v, norm(merged + conv2d(h, layer.horizontal.weight.to(v.dtype))).relu()


class BiasOnly(Dopamine):
    """DoPAMINE whose estimate is b alone: what it makes of the surroundings, without a·Z."""

    def maps_from(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """a = 0, and b."""
        a, b = super().maps_from(features)
        return torch.zeros_like(a), b

"""What every despeckling network answers to."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .card import ModelCard


class Estimate(NamedTuple):
    """Estimate of the speckle-free intensity.

    ``x`` is (B, 1, H, W). Affine models also give ``a`` and ``b`` with x = a·Z + b; networks
    that estimate the noise give ``noise_level`` (B, 1, H, W), the speckle's standard deviation
    σ = 1/√L at every pixel.
    """

    x: Tensor
    a: Tensor | None = None
    b: Tensor | None = None
    noise_level: Tensor | None = None


class Despeckler(nn.Module):
    """Base of the networks: ``forward(intensity, looks) -> Estimate``.

    ``intensity`` is (B, 1, H, W) float, linear, already divided by the frozen scene scale;
    ``looks`` is (B,) float, or (B, 1, H, W) for architectures of `registry.LOOKS_MAPS`;
    ``dtype`` is what the convolutions compute in.
    They pad as "same", so a tile with a halo of ``card.radius`` pixels gives the pixels of the
    whole image.
    """

    card: ModelCard

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        raise TypeError(f"{type(self).__name__} does not define forward().")

    def scale_output(self, factor: float) -> bool:
        """Make every estimate ``factor`` times as large; False where weights cannot do it."""
        return False

    def describe(self, **values: Any) -> ModelCard:
        """Card of these weights; subclasses add what follows from the architecture."""
        return ModelCard(**values)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device


class Conv2d(nn.Conv2d):
    """Convolution that computes in the type of its input, whatever its weights are kept in."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.to(input.dtype, memory_format=torch.channels_last)
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return self._conv_forward(input, weight, bias)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in module.parameters())

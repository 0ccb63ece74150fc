"""deSpeckNet: two networks side by side, one for the scene and one for the speckle.

Mullissa, Marcos, Tuia, Herold and Reiche, "deSpeckNet: Generalizing Deep Learning Based SAR
Image Despeckling", IEEE TGRS 2020. FCN_clean estimates the scene X̂, FCN_noise the speckle N̂,
both of 17 convolutions with batch normalisation and ReLU, and their product Ŷ = X̂·N̂ is held
against the image (equation 1). The losses are (equations 4 to 8)

    L_Clean = μ·mean((X - X̂)²),  L_Noisy = ξ·mean((Y - Ŷ)²),  L_TV = λ·mean|∇X̂|.

Phase 1 is supervised, with a temporal mean as X, μ = 1, ξ = 0.01, λ = 0; phase 2 tunes both
networks on one image without X, with Y in its place and μ₂ = 0.01, ξ = 1 (`core.noise_tuning`).

``domain="intensity"`` is the paper's network. ``domain="log"`` is the same for scenes of many
decades: the networks see ln Z and give ln X̂ = ln Z - f(ln Z) and ln N̂, squared errors and
gradients are those of logarithms, and the product still is the image. Estimates are then
positive, and a factor on the input comes out as the same factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .base import Conv2d, Despeckler, Distance, Estimate
from .card import ModelCard
from .layers import (
    ConvNormReLU,
    LogConv,
    bounded,
    gradient_length,
    initialise,
    log_intensity,
    single,
    total_variation,
)

# Phase 1 of the paper.
WEIGHTS = {"clean": 1.0, "noisy": 0.01, "variation": 0.0}


class _Branch(nn.Module):
    """FCN_clean or FCN_noise: (B, 1, H, W) to (B, 1, H, W)."""

    def __init__(self, layers: int, channels: int, log: bool) -> None:
        super().__init__()
        self.first = LogConv(1, channels) if log else Conv2d(1, channels, 3, padding=1)
        self.inner = nn.ModuleList(ConvNormReLU(channels) for _ in range(layers - 2))
        self.last = Conv2d(channels, 1, 3, padding=1)

    def forward(self, image: Tensor, dtype: torch.dtype) -> Tensor:
        if isinstance(self.first, LogConv):
            x = self.first(image, dtype).relu_()
        else:
            x = self.first(image.to(dtype, memory_format=torch.channels_last)).relu_()
        for layer in self.inner:
            x = layer(x)
        return single(self.last(x))


class DeSpeckNet(Despeckler):
    """X̂ and N̂ of an image.

    Parameters
    ----------
    layers : int
        Convolutions of each of the two networks.
    channels : int
        Their filters.
    domain : {"intensity", "log"}
        See the module's text.
    """

    def __init__(self, layers: int = 17, channels: int = 64, domain: str = "intensity") -> None:
        super().__init__()
        if domain not in ("intensity", "log"):
            raise ValueError(f"domain='{domain}'")
        self.log = domain == "log"
        self.clean = _Branch(layers, channels, self.log)
        self.noise = _Branch(layers, channels, self.log)
        initialise(self)
        with torch.no_grad():
            for branch in (self.clean, self.noise):
                branch.last.weight.mul_(0.1)
            if not self.log:
                # Speckle has mean 1.
                self.noise.last.bias.fill_(1.0)

    def describe(self, **values: Any) -> ModelCard:
        """Card; each convolution reaches one pixel."""
        radius = len(self.clean.inner) + 2
        return ModelCard(radius=radius, blind=True, maps=("noise",), **values)

    def scale_output(self, factor: float) -> bool:
        """Multiply X̂ by a factor, and N̂ by its inverse."""
        with torch.no_grad():
            for branch, by in ((self.clean, factor), (self.noise, 1 / factor)):
                if not self.log:
                    branch.last.weight.mul_(by)
                    branch.last.bias.mul_(by)
            if self.log:
                self.clean.last.bias.sub_(math.log(factor))
                self.noise.last.bias.sub_(math.log(factor))
        return True

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); runs FCN_clean alone."""
        if not self.log:
            return Estimate(self.clean(intensity, dtype or intensity.dtype))
        return Estimate(self._log_clean(log_intensity(intensity), dtype).exp())

    def extra_maps(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> dict[str, Tensor]:
        """``noise``: the speckle N̂ that FCN_noise estimates."""
        if not self.log:
            return {"noise": self.noise(intensity, dtype or intensity.dtype)}
        return {"noise": self._log_noise(log_intensity(intensity), dtype).exp()}

    def _log_clean(self, log: Tensor, dtype: torch.dtype | None) -> Tensor:
        return log - bounded(self.clean(log, dtype or log.dtype))

    def _log_noise(self, log: Tensor, dtype: torch.dtype | None) -> Tensor:
        return bounded(self.noise(log, dtype or log.dtype))

    def training_loss(
        self,
        distance: Distance,
        noisy: Tensor,
        looks: Tensor,
        clean: Tensor,
        dtype: torch.dtype | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Tensor:
        """Equation 4, with ``distance`` in L_Clean; weights "clean", "noisy", "variation"."""
        chosen = {**WEIGHTS, **(weights or {})}
        x, noisy_term, variation = self._terms(noisy, dtype)
        return (
            chosen["clean"] * distance(Estimate(x), clean)
            + chosen["noisy"] * noisy_term
            + chosen["variation"] * variation
        )

    def tuning_loss(
        self,
        image: Tensor,
        learn: Tensor,
        weights: Mapping[str, float],
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Loss of phase 2 at each pixel, (B, 1, H, W), 0 where not to be learnt from.

        Parameters
        ----------
        image : Tensor (B, 1, H, W)
            Intensity over the scene scale: the network's input, and the label of both losses.
        learn : Tensor of bool (B, 1, H, W)
        weights : mapping
            "clean" (μ₂), "noisy" (ξ) and "variation" (λ).
        """
        if self.log:
            y = log_intensity(image)
            x = self._log_clean(y, dtype)
            fitted = x + self._log_noise(y, dtype)
        else:
            y = image
            x = self.clean(y, dtype or y.dtype)
            fitted = x * self.noise(y, dtype or y.dtype)
        loss = weights["clean"] * (y - x).square() + weights["noisy"] * (y - fitted).square()
        if weights["variation"]:
            loss = loss + weights["variation"] * gradient_length(x)
        return torch.where(learn, loss, torch.zeros_like(loss))

    def _terms(self, noisy: Tensor, dtype: torch.dtype | None) -> tuple[Tensor, Tensor, Tensor]:
        """X̂, the unweighted L_Noisy, and the unweighted L_TV."""
        if self.log:
            y = log_intensity(noisy)
            log_x = self._log_clean(y, dtype)
            fitted = log_x + self._log_noise(y, dtype)
            return log_x.exp(), (y - fitted).square().mean(), total_variation(log_x)
        x = self.clean(noisy, dtype or noisy.dtype)
        fitted = x * self.noise(noisy, dtype or noisy.dtype)
        return x, (noisy - fitted).square().mean(), total_variation(x)

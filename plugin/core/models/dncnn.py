"""DnCNN, its bias-free form BF-CNN, and SAR-CNN, which is DnCNN in the logarithm.

Zhang, Zuo, Chen, Meng and Zhang, "Beyond a Gaussian Denoiser: Residual Learning of Deep CNN
for Image Denoising", IEEE TIP 2017: convolutions, batch normalisation between, and the noise
as output. Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR 2020: without any additive
constant the network is homogeneous of degree 1. For multiplicative noise that is exactly the
symmetry wanted: a factor on the scene is a factor on the estimate.

Chierchia, Cozzolino, Poggi and Verdoliva, "SAR Image Despeckling Through Convolutional Neural
Networks", IGARSS 2017: DnCNN on ln Z. Log-speckle has the mean ψ(L) - ln L, not zero; it is
taken off first, so that the network's residual is noise of zero mean.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard
from .layers import (
    ConvNorm,
    FirstConv2d,
    check_domain,
    from_domain,
    he_initialise,
    scale_last,
    to_domain,
)


class DnCnn(Despeckler):
    """x̂ = Z - f(Z), in a domain.

    Parameters
    ----------
    layers : int
        Convolutions, 3×3; the receptive radius in pixels.
    channels : int
        Filters of every convolution but the last.
    domain : {"intensity", "amplitude", "log"}
        Where the residual is taken.
    bias_free : bool
        No additive constants anywhere (BF-CNN); not in the domain of logarithms, where a
        factor is itself an additive constant.
    """

    told_looks = False

    def __init__(
        self,
        layers: int = 17,
        channels: int = 64,
        domain: str = "intensity",
        bias_free: bool = False,
    ) -> None:
        super().__init__()
        check_domain(domain)
        if bias_free and domain == "log":
            raise ValueError("bias_free does not go with domain='log'")
        self.domain = domain
        self.first = FirstConv2d(1, channels, zero_sum=domain == "log", bias=not bias_free)
        self.inner = nn.ModuleList(
            ConvNorm(channels, channels, bias_free) for _ in range(layers - 2)
        )
        self.last = Conv2d(channels, 1, 3, padding=1, bias=not bias_free)
        he_initialise(self, self.last)

    def describe(self, **values: Any) -> ModelCard:
        """Card; every layer reaches one pixel farther."""
        return ModelCard(radius=len(self.inner) + 2, blind=not self.told_looks, **values)

    def scale_output(self, factor: float) -> bool:
        """Subtract the factor's logarithm, in the domain of logarithms only."""
        if self.domain != "log":
            return False
        scale_last(self.last, "log", 1 / factor)
        return True

    def residual(self, image: Tensor, dtype: torch.dtype | None) -> Tensor:
        """Noise in an image (B, 1, H, W) of the network's domain."""
        x = self.first(image).relu().to(dtype or image.dtype, memory_format=torch.channels_last)
        for layer in self.inner:
            x = layer(x).relu()
        return self.last(x).to(image.dtype)

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); convolutions run in ``dtype``."""
        image = to_domain(intensity, self.domain)
        return Estimate(from_domain(image - self.residual(image, dtype), self.domain))


class SarCnn(DnCnn):
    """ln x̂ = ln Z - (ψ(L) - ln L) - f(ln Z).

    Parameters
    ----------
    layers, channels : int
        As of `DnCnn`.
    """

    told_looks = True

    def __init__(self, layers: int = 17, channels: int = 64) -> None:
        super().__init__(layers, channels, domain="log")

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W) and looks (B,)."""
        level = looks.to(intensity.dtype).clamp_min(1e-3)
        bias = (torch.digamma(level) - level.log()).view(-1, 1, 1, 1)
        image = to_domain(intensity, "log")
        return Estimate((image - bias - self.residual(image, dtype)).exp())

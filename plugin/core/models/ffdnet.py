"""FFDNet: light, and told the number of looks, of the scene or of every pixel.

Zhang, Zuo and Zhang, "FFDNet: Toward a Fast and Flexible Solution for CNN-Based Image
Denoising", IEEE TIP 2018: the image is taken apart into half-size sub-images, a plain CNN runs
there beside a map of the noise level, and the result is put together again.

In the domain of logarithms the network estimates the speckle, which is subtracted (residual
learning). The first layer's kernels are made to sum to zero over the image, so a factor on the
input leaves all features as they are and comes out as the same factor: scale equivariance by
construction, whatever the sensor's calibration.

In the other domains it estimates the scene itself, as in the paper. Without additive constants
(BF-CNN, Mohan et al., ICLR 2020) it is homogeneous of degree 1, hence scale equivariant, if the
noise map is so too: the standard deviation of multiplicative noise is σ·x, and the map holds
σ times the mean of each 2×2 cell.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pixel_shuffle, pixel_unshuffle

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard
from .layers import (
    FirstConv2d,
    check_domain,
    even,
    from_domain,
    he_initialise,
    scale_last,
    to_domain,
)


class FFDNet(Despeckler):
    """ln x̂ = ln Z - f(ln Z, looks), or x̂ = f(Z, looks) in the other domains.

    Parameters
    ----------
    layers : int
        Convolutions; each reaches two pixels farther.
    channels : int
        Filters of the inner convolutions.
    domain : {"log", "amplitude", "intensity"}
    bias_free : bool
        No additive constants; not in the domain of logarithms, where a factor is one.
    """

    def __init__(
        self, layers: int = 15, channels: int = 64, domain: str = "log", bias_free: bool = False
    ) -> None:
        super().__init__()
        check_domain(domain)
        if bias_free and domain == "log":
            raise ValueError("bias_free does not go with domain='log'")
        self.domain, self.bias_free = domain, bias_free
        self.first = FirstConv2d(4, channels, zero_sum=domain == "log", bias=not bias_free)
        self.noise_level = nn.Conv2d(1, channels, 1, bias=False)
        self.inner = nn.ModuleList(
            Conv2d(channels, channels, 3, padding=1, bias=not bias_free) for _ in range(layers - 2)
        )
        self.last = Conv2d(channels, 4, 3, padding=1, bias=not bias_free)
        he_initialise(self, self.last, 0.1 if domain == "log" else 1.0)

    def deepen(self, layers: int) -> None:
        """Add inner convolutions, evenly spread, that leave what they are given as it is.

        As Chen, Goodfellow and Shlens, "Net2Net", ICLR 2016: after a ReLU nothing is negative,
        so a kernel of one in its middle changes nothing before it has learnt.

        Parameters
        ----------
        layers : int
            Convolutions there shall be in all; not fewer than there are.
        """
        inner, more = list(self.inner), layers - 2 - len(self.inner)
        for number in reversed(range(more)):
            added = copy.deepcopy(inner[0])
            nn.init.dirac_(added.weight)
            if added.bias is not None:
                nn.init.zeros_(added.bias)
            inner.insert((2 * number + 1) * len(self.inner) // (2 * more) + 1, added)
        self.inner = nn.ModuleList(inner)

    def describe(self, **values: Any) -> ModelCard:
        """Card; a layer reaches two pixels, the half-size grid's alignment two more."""
        radius = 2 * (len(self.inner) + 2) + 2
        return ModelCard(radius=radius, divisor=2, blind=False, **values)

    def scale_output(self, factor: float) -> bool:
        """Scale what comes out of the last layer."""
        scale_last(self.last, self.domain, 1 / factor if self.domain == "log" else factor)
        return True

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W) and looks, (B,) or a map (B, 1, H, W)."""
        dtype = dtype or intensity.dtype
        height, width = intensity.shape[-2:]
        image = even(to_domain(intensity, self.domain))
        cells = pixel_unshuffle(image, 2)
        level = self._level(looks, cells)
        x = self.first(cells) + self.noise_level(level)
        x = x.relu_().to(dtype, memory_format=torch.channels_last)
        for layer in self.inner:
            x = layer(x).relu_()
        out = pixel_shuffle(self.last(x).to(image.dtype), 2)
        if self.domain == "log":
            out = image - out
        return Estimate(from_domain(out[..., :height, :width], self.domain))

    def _level(self, looks: Tensor, cells: Tensor) -> Tensor:
        """Noise map (B, 1, H/2, W/2), or (B, 1, 1, 1) where it is the same everywhere."""
        known = looks.to(cells.dtype).clamp_min(1e-3)
        if known.ndim == 4:
            # Noise of a cell: its looks' geometric mean, so that 2 and 8 looks count as 4.
            log2 = avg_pool2d(even(known.log2()), 2)
        else:
            log2 = known.log2().view(-1, 1, 1, 1)
        if not self.bias_free:
            return log2 / math.sqrt(10)
        return (-0.5 * log2).exp2() * cells.mean(1, keepdim=True)

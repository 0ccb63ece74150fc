"""NN3D: a CNN alternated with a non-local filter.

Cruz, Foi, Katkovnik and Egiazarian, "Nonlocality-Reinforced Convolutional Neural Networks for
Image Denoising", IEEE SPL 25(8), 2018. A CNN sees little beyond its effective receptive field;
a non-local filter finds what is alike farther away. In turn, for k = 1 … K:

    Z_k = λ_k·Z + (1 - λ_k)·x_{k-1},   y_k = CNN(Z_k, L/λ_k²),   x_k = NLF(y_k)

with λ_1 = 1. Speckle of mean 1 and variance 1/L becomes one of mean 1 and variance λ²/L, so the
network is told so many more looks (a mixture of logarithms would not keep the mean). The paper
plugs in any CNN and any NLF; here the CNN is `FFDNet`, and the filter a mean over a window, of
pixels weighted by how alike their patches are in y (Buades, Coll and Morel's non-local means):
unlike groups of the n nearest patches it has no ties to break, and tiles give the same pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .base import Despeckler, Estimate
from .card import ModelCard
from .ffdnet import FFDNet

_FLOOR = 1e-10


class Nn3d(Despeckler):
    """FFDNet and a non-local filter, K times.

    Parameters
    ----------
    network : dict
        Arguments of `FFDNet`, whose weights are trained alone.
    iterations : int
        K.
    blend : float
        λ_k of every iteration but the first.
    search, patch : int
        Radius of the filter's window and of its patches, in pixels.
    strength : float
        How unlike patches may be: their mean squared difference in ln x, over the variance of
        the log-speckle, at which a weight falls to 1/e.
    """

    def __init__(
        self,
        network: dict[str, Any] | None = None,
        iterations: int = 2,
        blend: float = 0.75,
        search: int = 8,
        patch: int = 2,
        strength: float = 0.01,
    ) -> None:
        super().__init__()
        if iterations < 1 or search < 1 or patch < 0 or strength <= 0 or not 0 < blend <= 1:
            raise ValueError("iterations, search, patch, strength or blend is out of range")
        self.network = FFDNet(**(network or {}))
        self.iterations, self.blend = iterations, blend
        self.search, self.patch, self.strength = search, patch, strength

    def describe(self, **values: Any) -> ModelCard:
        """Card; every iteration reaches as far as the network and the filter together."""
        inner = self.network.describe(id="", title="", architecture="ffdnet")
        radius = self.iterations * (inner.radius + self.search + self.patch)
        return ModelCard(radius=radius, divisor=inner.divisor, blind=False, **values)

    def scale_output(self, factor: float) -> bool:
        """What the network does; what is fed back is scaled with it, so only K = 1 is exact."""
        return self.iterations == 1 and self.network.scale_output(factor)

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W) and looks, (B,) or a map (B, 1, H, W)."""
        level = looks if looks.ndim == 4 else looks.view(-1, 1, 1, 1)
        width = self.strength * torch.polygamma(1, level.float()).to(intensity.dtype)
        x = self._filtered(self._network(intensity, looks, dtype), width).exp()
        for _ in range(self.iterations - 1):
            mixed = self.blend * intensity + (1 - self.blend) * x
            told = looks / self.blend**2
            x = self._filtered(self._network(mixed, told, dtype), width).exp()
        return Estimate(x)

    def _network(self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None) -> Tensor:
        return self.network(intensity, looks, dtype).x.clamp_min(_FLOOR).log()

    def _filtered(self, image: Tensor, width: Tensor) -> Tensor:
        """Non-local mean; patches are compared where both of them have pixels."""
        height, length = image.shape[-2:]
        reach = self.search
        width = width.expand_as(image)
        total, weights = image.clone(), torch.ones_like(image)
        # A pair of pixels has one weight, for both directions: half of all shifts suffice.
        for row in range(min(reach, height - 1) + 1):
            for column in range(-reach if row else 1, reach + 1):
                if abs(column) >= length:
                    continue
                here = (
                    ...,
                    slice(0, height - row),
                    slice(max(0, -column), length - max(0, column)),
                )
                there = (
                    ...,
                    slice(row, height),
                    slice(max(0, column), length - max(0, -column)),
                )
                one, other = image[here], image[there]
                distance = self._patch_mean((one - other).square())
                weight = torch.exp(-2 * distance / (width[here] + width[there]))
                total[here] += weight * other
                total[there] += weight * one
                weights[here] += weight
                weights[there] += weight
        return total / weights

    def _patch_mean(self, image: Tensor) -> Tensor:
        radius, side = self.patch, 2 * self.patch + 1
        rows = avg_pool2d(image, (side, 1), 1, (radius, 0), count_include_pad=False)
        return avg_pool2d(rows, (1, side), 1, (0, radius), count_include_pad=False)


def around(network: FFDNet, arguments: dict[str, Any], **options: Any) -> Nn3d:
    """NN3D around a trained network.

    Parameters
    ----------
    network : FFDNet
    arguments : dict
        That it was made with.
    **options
        Of `Nn3d`.
    """
    model = Nn3d(arguments, **options)
    model.network.load_state_dict(network.state_dict())
    return model.eval()

"""NN3D: a CNN alternated with a non-local filter.

Cruz, Foi, Katkovnik and Egiazarian, "Nonlocality-Reinforced Convolutional Neural Networks for
Image Denoising", IEEE SPL 25(8), 2018. A CNN sees little beyond its effective receptive field;
a non-local filter finds what is alike farther away. In turn, for k = 1 … K:

    z_k = λ_k·ln Z + (1 - λ_k)·u_{k-1},   y_k = ln CNN(e^{z_k}, L/λ_k²),   u_k = NLF(y_k)

with λ_1 = 1: the noise fed back is weaker by λ, so the network is told more looks. The paper
plugs in any CNN and any NLF; here the CNN is `FFDNet`, and the filter a mean over a window, of
pixels weighted by how alike their patches are in y (Buades, Coll and Morel's non-local means):
unlike groups of the n nearest patches it has no ties to break, and tiles give the same pixels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

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
        blend: float = 0.5,
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
        noisy = intensity.clamp_min(_FLOOR).log()
        level = looks if looks.ndim == 4 else looks.view(-1, 1, 1, 1)
        width = self.strength * torch.polygamma(1, level.float()).to(noisy.dtype)
        smooth = self._filtered(self._network(noisy, looks, dtype), width)
        for _ in range(self.iterations - 1):
            mixed = self.blend * noisy + (1 - self.blend) * smooth
            told = looks / self.blend**2
            smooth = self._filtered(self._network(mixed, told, dtype), width)
        return Estimate(smooth.exp())

    def _network(self, log: Tensor, looks: Tensor, dtype: torch.dtype | None) -> Tensor:
        return self.network(log.exp(), looks, dtype).x.clamp_min(_FLOOR).log()

    def _filtered(self, image: Tensor, width: Tensor) -> Tensor:
        """Non-local mean; pixels beyond the border have no weight."""
        height, length = image.shape[-2:]
        reach, side = self.search, 2 * self.patch + 1
        wide = pad(image, (reach,) * 4)
        inside = pad(torch.ones_like(image[:1]), (reach,) * 4)
        total, weights = image.clone(), torch.ones_like(image)
        for row in range(-reach, reach + 1):
            for column in range(-reach, reach + 1):
                if row == 0 and column == 0:
                    continue
                window = (
                    ...,
                    slice(reach + row, reach + row + height),
                    slice(reach + column, reach + column + length),
                )
                other, known = wide[window], inside[window]
                # Patches are compared where both of them have pixels.
                difference = (image - other).square() * known
                share = avg_pool2d(known, side, 1, self.patch)
                distance = avg_pool2d(difference, side, 1, self.patch) / share.clamp_min(1e-6)
                weight = known * torch.exp(-distance / width)
                total = total + weight * other
                weights = weights + weight
        return total / weights


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

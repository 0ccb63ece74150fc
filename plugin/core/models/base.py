"""What every despeckling network answers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


# What a training measures an estimate by: (estimate, clean) -> scalar.
Distance = Callable[[Estimate, Tensor], Tensor]


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

    def extra_maps(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> dict[str, Tensor]:
        """The further maps of `ModelCard.maps`, (B, 1, H, W) each, without units."""
        return {}

    def set_stages(self, stages: int) -> None:
        """Use the first ``stages`` stages only, in networks whose `ModelCard.stages` is not 0."""

    def training_loss(
        self,
        distance: Distance,
        noisy: Tensor,
        looks: Tensor,
        clean: Tensor,
        dtype: torch.dtype | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Tensor:
        """Loss of a supervised step.

        Parameters
        ----------
        distance : callable
            Of an estimate to the clean intensity, by the recipe.
        noisy, clean : Tensor (B, 1, H, W)
        looks : Tensor (B,)
        dtype : torch.dtype, optional
            Of the convolutions.
        weights : mapping, optional
            Of the network's own terms, by name; its defaults where left out.
        """
        return distance(self(noisy, looks, dtype), clean)

    def freeze_statistics(
        self, sample: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> None:
        """Measure what the network normalises by on a sample of the scene, and keep it.

        Networks whose `ModelCard.per_scene` is set then give the same pixels for any tiling;
        the others have nothing to measure.

        Parameters
        ----------
        sample : Tensor (N, 1, H, W)
            Windows of the scene, as `forward` takes them; all of them count alike.
        looks : Tensor (N,)
        """
        modules = [module for module in self.modules() if isinstance(module, PerScene)]
        training = self.training
        if not modules:
            return
        for module in modules:
            module.measuring = True
        try:
            with torch.no_grad():
                self.eval()(sample, looks, dtype)
        finally:
            self.train(training)
            for module in modules:
                module.measuring = False

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


class PerScene(nn.Module):
    """Base of layers that use means over the whole scene (instance norm, global pooling).

    In training the means are those of each patch. In evaluation they are the stored ones: per
    tile they would differ from tile to tile. `Despeckler.freeze_statistics` stores them.
    """

    measuring = False


class Conv2d(nn.Conv2d):
    """Convolution that computes in the type of its input, whatever its weights are kept in."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.to(input.dtype, memory_format=torch.channels_last)
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return self._conv_forward(input, weight, bias)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in module.parameters())

"""Class-aware despeckling: an expert for each class of land cover.

Remez, Litany, Giryes and Bronstein, "Class-Aware Fully Convolutional Gaussian and Poisson
Denoising", IEEE TIP 27(11), 2018: networks of one architecture, each trained on images of one
class, and a classifier that chooses among them. There a whole image has a class; here every
place of a scene has one, given by a raster or found by a small classifier on the noisy scene.

Between classes the estimates are mixed by the classifier's probabilities. A class less likely
than 5 % has no part, so that its expert need not run; the probabilities of the others fall to
zero there without a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, one_hot, pixel_unshuffle

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard
from .ffdnet import FFDNet
from .layers import FirstConv2d, even, he_initialise, to_domain

_LEAST = 0.05
# The classifier halves the image so often, and smooths over so many of its cells each way.
_HALVINGS, _SMOOTHING = 4, 2


class Classifier(nn.Module):
    """Logits (B, classes, H/16, W/16) from ln Z (B, 1, H, W), whatever the scene's scale."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.first = FirstConv2d(4, channels, zero_sum=True)
        self.inner = nn.ModuleList(
            Conv2d(channels, channels, 3, padding=1) for _ in range(_HALVINGS - 1)
        )
        self.last = Conv2d(channels, classes, 1)

    def forward(self, log: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        x = self.first(pixel_unshuffle(log, 2)).relu()
        x = x.to(dtype or log.dtype, memory_format=torch.channels_last)
        for layer in self.inner:
            x = layer(avg_pool2d(x, 2)).relu()
        return self.last(x).to(log.dtype)


class ClassAware(Despeckler):
    """x̂ = Σ p_k·x̂_k over the experts.

    Parameters
    ----------
    classes : sequence of str
        Names; the experts' order, and that of a class raster's numbers from 1.
    network : dict
        Arguments of every expert, an `FFDNet`.
    classifier_channels : int
    """

    def __init__(
        self,
        classes: Sequence[str] = ("one", "two"),
        network: dict[str, Any] | None = None,
        classifier_channels: int = 24,
    ) -> None:
        super().__init__()
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise ValueError(f"classes={list(classes)}")
        self.classes = tuple(classes)
        self.experts = nn.ModuleList(FFDNet(**(network or {})) for _ in self.classes)
        self.classifier = Classifier(len(self.classes), classifier_channels)
        he_initialise(self.classifier, self.classifier.last)

    def describe(self, **values: Any) -> ModelCard:
        """Card; the farther of what an expert and the classifier reach."""
        expert: Any = self.experts[0]
        reach = expert.describe(id="", title="", architecture="ffdnet").radius
        cell = 2**_HALVINGS
        convolutions = sum(2**halving for halving in range(1, _HALVINGS + 1))
        classifier = convolutions + _SMOOTHING * cell + cell - 1
        return ModelCard(radius=max(reach, classifier), divisor=cell, blind=False, **values)

    def scale_output(self, factor: float) -> bool:
        """Scale every expert."""
        scaled = [expert.scale_output(factor) for expert in self.experts]
        return all(scaled)

    def logits(self, intensity: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """The classifier's, (B, classes, ⌈H/16⌉, ⌈W/16⌉)."""
        return self.classifier(even(to_domain(intensity, "log"), 2**_HALVINGS), dtype)

    def weights(
        self, intensity: Tensor, classes: Tensor | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Share of each expert, (B, classes, H, W), in sum 1.

        Parameters
        ----------
        intensity : Tensor
            (B, 1, H, W).
        classes : Tensor, optional
            (B, H, W) of integers, an expert's place; others leave it to the classifier.
        """
        height, width = intensity.shape[-2:]
        side = 2 * _SMOOTHING + 1
        smooth = avg_pool2d(
            self.logits(intensity, dtype), side, 1, _SMOOTHING, count_include_pad=False
        )
        shares = (smooth.softmax(1) - _LEAST).relu()
        shares = shares / shares.sum(1, keepdim=True)
        shares = interpolate(shares, scale_factor=2.0**_HALVINGS)[..., :height, :width]
        if classes is None:
            return shares
        count = len(self.classes)
        known = (classes >= 0) & (classes < count)
        given = one_hot(classes.clamp(0, count - 1), count).permute(0, 3, 1, 2).to(shares.dtype)
        return torch.where(known[:, None], given, shares)

    def forward(
        self,
        intensity: Tensor,
        looks: Tensor,
        dtype: torch.dtype | None = None,
        classes: Tensor | None = None,
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W) and looks (B,)."""
        shares = self.weights(intensity, classes, dtype)
        x = torch.zeros_like(intensity)
        for place, expert in enumerate(self.experts):
            share = shares[:, place : place + 1]
            # All have a part in training: gradients are asked of all.
            if self.training or bool((share > 0).any()):
                x = x + share * expert(intensity, looks, dtype).x
        return Estimate(x)


def of_experts(
    experts: Sequence[FFDNet], classes: Sequence[str], network: dict[str, Any], channels: int = 24
) -> ClassAware:
    """A model of trained experts, its classifier fresh.

    Parameters
    ----------
    experts : sequence of FFDNet
        Made with the arguments `network`, one a class.
    classes : sequence of str
    network : dict
    channels : int
        Of the classifier.
    """
    model = ClassAware(classes, network, channels)
    for own, trained in zip(model.experts, experts, strict=True):
        own.load_state_dict(trained.state_dict())
    return model

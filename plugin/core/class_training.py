"""Training the classifier of a class-aware model, its experts left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from .models.classaware import ClassAware
from .patches import PatchStream
from .recipe import Recipe


def train_classifier(
    model: ClassAware,
    images: Sequence[Sequence[npt.NDArray[Any]]],
    recipe: Recipe,
    steps: int,
    device: str = "cpu",
) -> list[float]:
    """Fit the classifier to noisy patches of images whose class is known.

    Parameters
    ----------
    model : ClassAware
    images : sequence of sequence of ndarray
        Gray images (H, W) in [0, 1] of every class, in the model's order.
    recipe : Recipe
        Of the patches and their speckle; its batch is shared by the classes.
    steps : int

    Returns
    -------
    list of float
        Cross entropy of every step.
    """
    count = len(model.classes)
    share = replace(recipe, batch=max(1, recipe.batch // count))
    place = torch.device(device)
    streams = [PatchStream(group, share, place) for group in images]
    weights = list(model.classifier.parameters())
    optimizer = torch.optim.Adam(weights, lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    model.train()
    for number in range(steps):
        noisy = torch.cat([stream.batch(number).noisy for stream in streams])
        logits = model.logits(noisy)
        truth = torch.arange(count, device=place).repeat_interleave(share.batch)
        loss = cross_entropy(logits, truth.view(-1, 1, 1).expand(-1, *logits.shape[-2:]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses

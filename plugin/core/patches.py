"""Training pairs: patches of clean images, and speckle laid over them afresh each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .errors import InvalidInput
from .recipe import Recipe
from .training_data import patch_grid

_PSF_RADIUS = 3


class Batch(NamedTuple):
    """Clean and noisy intensity (B, 1, P, P), both over the scene scale, and looks (B,).

    ``clean`` is NaN where it is not known, in streams that say ``has_unknown``.
    """

    clean: Tensor
    noisy: Tensor
    looks: Tensor


class PatchStream:
    """Endless, reproducible batches: batch n depends on the recipe and n alone.

    Parameters
    ----------
    images : sequence of ndarray
        Gray images (H, W) in [0, 1], or linear intensity; patches that hold NaN are left out.
    recipe : Recipe
    device : torch.device
        Where batches are made and speckle is drawn.
    """

    has_unknown = False

    def __init__(
        self, images: Sequence[npt.NDArray[Any]], recipe: Recipe, device: torch.device
    ) -> None:
        self.recipe, self.device = recipe, device
        # A filter takes a margin off the patch it is laid over.
        filters = (recipe.psf[1] > 0) + (recipe.blur[1] > 0)
        self.size = recipe.patch + 2 * _PSF_RADIUS * filters
        size, step = self.size, recipe.stride
        self.images = [torch.from_numpy(np.ascontiguousarray(i, np.float32)) for i in images]
        usable = [np.isfinite(image) for image in images]
        self.grid = patch_grid(usable, size, step, 1.0)
        if len(self.grid) < recipe.batch:
            raise InvalidInput(
                f"{len(self.images)} images hold {len(self.grid)} patches of {size} pixels, "
                f"fewer than a batch of {recipe.batch}. Give more or larger images."
            )
        self.means = [float(image.nanmean()) for image in self.images]
        self.steps_per_epoch = len(self.grid) // recipe.batch
        self._epoch = -1
        self._order = np.zeros(0, int)
        self._group_looks = np.zeros(0)

    def _enter(self, epoch: int) -> None:
        if epoch == self._epoch:
            return
        rng = np.random.default_rng((self.recipe.seed, epoch))
        self._order = rng.permutation(len(self.grid))
        low, high = self.recipe.looks[0], self.recipe.looks[-1]
        groups = -(-len(self.grid) // self.recipe.group)
        if self.recipe.looks_law == "log":
            self._group_looks = np.exp(rng.uniform(np.log(low), np.log(high), groups))
        else:
            self._group_looks = rng.uniform(low, high, groups)
        self._epoch = epoch

    def batch(self, number: int) -> Batch:
        """Batch ``number`` of the stream."""
        recipe = self.recipe
        epoch, place = divmod(number, self.steps_per_epoch)
        self._enter(epoch)
        rng = np.random.default_rng((recipe.seed, epoch, place))
        chosen = self._order[place * recipe.batch : (place + 1) * recipe.batch]
        looks = self._group_looks[chosen // recipe.group]
        if recipe.psf[1] > 0:
            # Correlated speckle is made of whole looks; a third of the patches is single look.
            looks = np.where(rng.random(len(looks)) < 1 / 3, recipe.looks[0], looks).round()
        gray = torch.stack([self._patch(self.grid[i], rng) for i in chosen])
        scene = self._scene(gray.to(self.device), rng)[:, None]
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        level = torch.as_tensor(looks, dtype=torch.float32, device=self.device)
        if recipe.psf[1] > 0:
            clean, noisy = self._imaged(scene, level, generator, rng)
            return Batch(clean, noisy, level)
        shape = level.view(-1, 1, 1, 1).expand_as(scene).contiguous()
        speckle = torch._standard_gamma(shape, generator=generator) / shape
        return Batch(scene, scene * speckle, level)

    def _patch(self, place: npt.NDArray[Any], rng: np.random.Generator) -> Tensor:
        index, row, column = (int(v) for v in place)
        size = self.size
        patch = self.images[index][row : row + size, column : column + size]
        if self.recipe.flips:
            patch = torch.rot90(patch, int(rng.integers(4)))
            patch = patch.flip(0) if rng.random() < 0.5 else patch
        # Gray is nearly a mean of logarithms already: the geometric mean becomes 1 below.
        wide = self.recipe.dynamic_range[1] > 0
        return patch - self.means[index] if wide else patch / self.means[index]

    def _scene(self, gray: Tensor, rng: np.random.Generator) -> Tensor:
        """Intensity (B, H, W) of gray patches: blurred, stretched over decades, with points."""
        recipe, count = self.recipe, len(gray)
        if recipe.blur[1] > 0:
            kernels = _kernels(_uniform(rng, recipe.blur, (count, 2), gray.device))
            gray = _filtered(gray[None], kernels / kernels.sum(-1, keepdim=True))[0]
        if recipe.dynamic_range[1] <= 0:
            return gray
        span = _uniform(rng, recipe.dynamic_range, (count, 1, 1), gray.device)
        scene = (gray * span).exp()
        if recipe.bright_points:
            points = torch.from_numpy(rng.random(scene.shape) < recipe.bright_points)
            gain = _uniform(rng, (1.0, 6.0), (count, 1, 1), gray.device).exp()
            scene = torch.where(points.to(gray.device), scene * gain, scene)
        return scene

    def _imaged(
        self, scene: Tensor, looks: Tensor, generator: torch.Generator, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Expected and observed intensity of a scene seen by a coherent imager.

        Each look is the power of complex Gaussian scattering, of the scene's variance, seen
        through a point-spread function: it correlates the speckle and blurs the scene alike.
        """
        low, high = self.recipe.psf
        count = len(scene)
        sigmas = rng.uniform(low, high, (count, 1)) * rng.uniform(0.8, 1.25, (count, 2))
        kernels = _kernels(torch.as_tensor(sigmas, dtype=torch.float32, device=scene.device))
        clean = _filtered(scene[None, :, 0], kernels.square())[0, :, None]
        amplitude = (scene[:, 0] / 2).sqrt()
        noisy = torch.zeros_like(clean)
        for look in range(int(looks.max())):
            active = (looks > look).nonzero()[:, 0]
            shape = (2, *amplitude[active].shape)
            noise = torch.randn(shape, generator=generator, device=scene.device)
            field = _filtered(noise * amplitude[active], kernels[active])
            noisy[active] += field.square().sum(0)[:, None]
        return clean, noisy / looks.view(-1, 1, 1, 1)


def _uniform(
    rng: np.random.Generator, bounds: Sequence[float], shape: tuple[int, ...], device: torch.device
) -> Tensor:
    low, high = bounds
    return torch.as_tensor(rng.uniform(low, high, shape), dtype=torch.float32, device=device)


def _kernels(sigmas: Tensor) -> Tensor:
    """Gaussian kernels of unit energy, (B, 2, taps), along rows and columns."""
    offsets = torch.arange(-_PSF_RADIUS, _PSF_RADIUS + 1, device=sigmas.device)
    kernels = torch.exp(-(offsets**2) / (2 * sigmas.clamp_min(1e-3)[..., None] ** 2))
    return kernels / kernels.square().sum(-1, keepdim=True).sqrt()


def _filtered(images: Tensor, kernels: Tensor) -> Tensor:
    """Separable filter of (N, B, H, W) by the kernels of each of B, without borders."""
    # Sums of shifted images: grouped convolutions are many times slower on the CPU.
    taps = kernels.shape[-1]
    height, width = images.shape[-2] - taps + 1, images.shape[-1] - taps + 1
    weights = kernels[:, :, :, None, None]
    rows = torch.zeros_like(images[..., :height, :])
    for tap in range(taps):
        rows.addcmul_(images[..., tap : tap + height, :], weights[:, 0, tap])
    out = torch.zeros_like(rows[..., :width])
    for tap in range(taps):
        out.addcmul_(rows[..., tap : tap + width], weights[:, 1, tap])
    return out

"""Supervised training: one step at a time, so that a caller can stop, save and resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .errors import InvalidInput
from .losses import combined
from .models.base import Despeckler, Estimate
from .models.layers import BatchNorm2d
from .pairs import PairStream, known_or, open_small_stream, open_stream
from .patches import Batch, PatchStream
from .recipe import Recipe
from .speckle import simulate_speckle
from .training_data import TrainingSet

_WARM_UP = 0.02
_CALIBRATION_BATCHES = 32
_HELD_OUT_BATCHES = 16
_FLOOR = 1e-6
_SEEN = ("noisy", "looks")


class Trainer:
    """Training of one network by a recipe.

    Parameters
    ----------
    model : Despeckler
        Fresh, or the parent's weights.
    recipe : Recipe
    images : TrainingSet, or sequence of ndarray
        Gray training images (H, W) in [0, 1], or pairs.
    steps : int
        Length of the schedule.
    device : str
    dtype : torch.dtype
        Of the convolutions; weights and optimiser stay in float32.
    """

    def __init__(
        self,
        model: Despeckler,
        recipe: Recipe,
        images: TrainingSet | Sequence[npt.NDArray[Any]],
        steps: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.recipe, self.steps, self.dtype = recipe, steps, dtype
        self.device = torch.device(device)
        self.model = model.to(self.device).train()
        self.stream = open_stream(images, recipe, self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=recipe.learning_rate)
        self.loss = combined(recipe.loss, recipe.terms)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.threads = self._threads()
        self._pool = (
            ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,))
            if self.threads > 1
            else None
        )
        self.done = 0

    def _threads(self) -> int:
        # Batch normalisation needs the batch in one piece.
        kinds = (nn.modules.batchnorm._BatchNorm, BatchNorm2d)
        whole = any(isinstance(module, kinds) for module in self.model.modules())
        if whole or self.device.type != "cpu":
            return 1
        return min(torch.get_num_threads(), self.recipe.batch)

    def learning_rate(self, step: int) -> float:
        """Rate of the schedule at a step."""
        progress = step / self.steps
        base = self.recipe.learning_rate
        if self.recipe.schedule == "halve":
            return base * 0.5 ** min(2, math.floor(3 * progress))
        if progress < _WARM_UP:
            return base * (progress + 1 / self.steps) / _WARM_UP
        return base * 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))

    def step(self) -> float:
        """Take one optimiser step and return its loss.

        Raises
        ------
        InvalidInput
            When the loss is no longer a number: the weights of that step are not taken.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self.done)
        loss = self._differentiate(self.stream.batch(self.done))
        if not math.isfinite(loss):
            raise InvalidInput(
                f"The training diverged at step {self.done}: the loss is not a number. "
                "Lower the learning rate."
            )
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.done += 1
        self._average()
        return loss

    def _differentiate(self, batch: Batch) -> float:
        """Set the gradients of a batch's loss, and return the loss.

        On the CPU every thread takes a part of the batch through the network by itself, which
        is faster than all threads together in every convolution.
        """
        parts = list(zip(*(t.tensor_split(self.threads) for t in batch), strict=True))
        shares = [len(part[0]) / len(batch.clean) for part in parts]
        weights = list(self.model.parameters())

        def differentiate(part: tuple[Tensor, ...], share: float) -> tuple[float, Any]:
            clean, noisy, looks = part
            known = known_or(clean, noisy) if self.stream.has_unknown else clean

            def distance(estimate: Estimate, truth: Tensor) -> Tensor:
                if self.stream.has_unknown:
                    truth = known_or(clean, estimate.x)
                return self.loss(estimate, truth, looks)

            loss = share * self.model.training_loss(
                distance, noisy, looks, known, self.dtype, self.recipe.terms
            )
            return float(loss.detach()), torch.autograd.grad(loss, weights)

        if self._pool is None:
            results = [differentiate(parts[0], 1.0)]
        else:
            results = list(self._pool.map(differentiate, parts, shares))
        for weight, *gradients in zip(weights, *(g for _, g in results), strict=True):
            weight.grad = torch.stack(gradients).sum(0)
        return sum(loss for loss, _ in results)

    def _average(self) -> None:
        # The mean forgets the start quickly at first: 1 - 1/n until the decay is reached.
        decay = min(self.recipe.ema, (1 + self.done) / (10 + self.done))
        state = self.model.state_dict()
        with torch.no_grad():
            for name, mean in self.average.items():
                mean.lerp_(state[name], 1 - decay)

    def state(self) -> dict[str, Any]:
        """All that `restore` needs."""
        return {
            "done": self.done,
            "steps": self.steps,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = {k: v.to(self.device) for k, v in state["average"].items()}
        self.done, self.steps = state["done"], state["steps"]

    def result(self) -> dict[str, Tensor]:
        """Weights to ship."""
        return self.average if self.recipe.ema else self.model.state_dict()

    def round_to_half(self) -> None:
        """Round the weights to half precision, so that what is measured is what is stored."""
        state = {name: value.half().float() for name, value in self.result().items()}
        self.model.load_state_dict(state)
        self.average = {name: value.clone() for name, value in state.items()}

    def calibrate(self) -> float:
        """Make the model right on flat scenes, and return the factor that took.

        The result weights are loaded, and their estimates of flat scenes under the recipe's
        speckle get the scenes' mean: a loss on logarithms leaves it a percent or two off. The
        squared error needs none of it; what it finds for all scenes together is their mean. Of
        pairs, the patches' means are taken instead, all patches counting alike.
        """
        self.model.load_state_dict(self.result())
        self.model.eval()
        self._freeze_statistics()
        if self.recipe.loss in ("mse", "psnr"):
            return 1.0
        if isinstance(self.stream, PairStream):
            factor = 1 / self._ratio_of_means(self.stream)
            return factor if self.model.scale_output(factor) else 1.0
        flat = [np.full((256, 256), 0.5, np.float32)]
        stream = PatchStream(flat, replace(self.recipe, bright_points=0.0), self.device)
        total = count = 0.0
        with torch.no_grad():
            for number in range(min(_CALIBRATION_BATCHES, stream.steps_per_epoch)):
                batch = stream.batch(number)
                ratio = self.model(batch.noisy, batch.looks, self.dtype).x / batch.clean
                total += float(ratio.sum())
                count += ratio.numel()
        factor = count / total
        return factor if self.model.scale_output(factor) else 1.0

    def _freeze_statistics(self) -> None:
        """Store what a network normalises by, measured on a few batches, as what it starts from.

        The training itself goes by each patch's own, as the paper's instance norm does.
        """
        batches = [self.stream.batch(n) for n in range(min(4, self.stream.steps_per_epoch))]
        noisy, looks = (torch.cat([getattr(b, name) for b in batches]) for name in _SEEN)
        self.model.freeze_statistics(noisy, looks, self.dtype)

    def _ratio_of_means(self, stream: PairStream) -> float:
        ratios = []
        with torch.no_grad():
            for number in range(min(_CALIBRATION_BATCHES, stream.steps_per_epoch)):
                batch = stream.batch(number)
                x = self.model(batch.noisy, batch.looks, self.dtype).x.float()
                known = ~batch.clean.isnan()
                sums = [torch.where(known, t, 0).sum((1, 2, 3)) for t in (x, batch.clean)]
                ratios.append(sums[0] / sums[1])
        ratio = float(torch.cat(ratios).mean())
        # A network that learnt nothing must not be blown up.
        return ratio if 0.5 < ratio < 2 else 1.0

    def validate(
        self, images: TrainingSet | Sequence[npt.NDArray[Any]], looks: Sequence[float]
    ) -> dict[str, float]:
        """Quality of the `result` weights on held-out images.

        PSNR (peak 1, mean over images) for each L where scenes are gray images as they are; else
        of fixed patches, drawn like the training's, the mean loss and the log-RMSE (RMSE of ln
        intensity once the mean offset is taken away).
        """
        own = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.result())
        self.model.eval()
        try:
            with torch.no_grad():
                gray: Sequence[npt.NDArray[Any]] | None = None
                if not isinstance(images, TrainingSet):
                    gray = images
                elif images.gray:
                    gray = images.clean
                if self.recipe.gray and gray is not None:
                    return {f"PSNR L={v:g}": self._psnr(gray, v) for v in looks}
                return self._held_out_figures(images)
        finally:
            self.model.load_state_dict(own)
            self.model.train()

    def _held_out_figures(
        self, images: TrainingSet | Sequence[npt.NDArray[Any]]
    ) -> dict[str, float]:
        stream = open_small_stream(images, self.recipe, self.device)
        self._freeze_statistics()
        losses, errors = [], []
        for number in range(min(_HELD_OUT_BATCHES, stream.steps_per_epoch)):
            clean, noisy, looks = stream.batch(number)
            estimate = self.model(noisy, looks, self.dtype)
            x = estimate.x.float()
            known = ~clean.isnan()
            losses.append(self.loss(estimate, known_or(clean, x), looks))
            ratio = x[known].clamp_min(_FLOOR) / clean[known].clamp_min(_FLOOR)
            errors.append(ratio.log())
        return {
            "loss": float(torch.stack(losses).mean()),
            "log-RMSE": float(torch.cat(errors).std(correction=0)),
        }

    def _psnr(self, images: Sequence[npt.NDArray[Any]], level: float) -> float:
        values = []
        for index, image in enumerate(images):
            rng = np.random.default_rng((self.recipe.seed, index))
            noisy = image * simulate_speckle(image.shape, level, rng)
            scale = float(noisy.mean())
            z = torch.from_numpy((noisy / scale).astype(np.float32))[None, None]
            z, told = z.to(self.device), torch.tensor([level], device=self.device)
            self.model.freeze_statistics(z, told, self.dtype)
            estimate = self.model(z, told, self.dtype)
            x = estimate.x[0, 0].float().cpu().numpy() * scale
            values.append(-10 * math.log10(float(np.mean((image - x) ** 2))))
        return float(np.mean(values))

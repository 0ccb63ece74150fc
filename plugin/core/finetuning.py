"""Fine-tuning of an affine network on the very image it despeckles, without a clean one.

Joo, Cha and Moon (AAAI 2019), equations 6 and 7: the mean of the unbiased risk L_mult over the
image (FT), or over its 8 flips and rotations (AFT), is the loss. A part of the pixels is left
out of it; by the risk there the best epoch is chosen, the untuned start among them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .affine import turn_smoothly
from .ensemble import turned
from .errors import InvalidInput
from .models.base import Despeckler
from .models.dopamine import Dopamine
from .risk import RiskEstimate, block_mean, multiplicative_risk, pooled
from .tiling import Tile, Window, plan_tiles
from .tuning import Scene, TuningRecipe
from .tuning_images import Image, Piece, cut, prepare

# Features kept for "head" and "scale"; what is beyond is computed again each time.
_CACHE_BYTES = 2 << 30

# Standard errors from which a rise of the held-out risk is no chance.
_CLEARLY = 2.0

# Head: pixels are independent of each other there, and parts of this side stay in the cache.
_HEAD_TILE = 128


class FineTuner:
    """Fine-tuning of one network, a step at a time, so that a caller can stop and resume.

    A step is one flip or rotation of one scene (batch 1), its gradient that of all its pixels.

    Parameters
    ----------
    model : Despeckler
        Affine, with its card; changed in place.
    scenes : sequence of Scene
        Images, bands or windows. Those of fewer than 64 usable pixels are left out.
    recipe : TuningRecipe
    device : str
    dtype : torch.dtype
        Of the convolutions; weights and optimiser stay in float32.
    check : callable
        As in `step`, while the risk before the tuning is measured.

    Attributes
    ----------
    history : list of dict
        For the start (epoch 0) and each epoch: "loss", its mean; "risk" on the held-out pixels,
        and "change" of that since the start, each with its standard error; numbers over the
        scene scale squared, or relative (see `TuningRecipe.weighting`).
    best_epoch : int
        Kept by `finish`: the last whose held-out risk is not above the lowest by more than two
        standard errors of their difference; with ``recipe.cautious`` the lowest, where its fall
        since the start exceeds its own standard error. 0 is the start.

    Raises
    ------
    InvalidInput
        When the model is not affine, or there is too little to learn from.
    """

    def __init__(
        self,
        model: Despeckler,
        scenes: Sequence[Scene],
        recipe: TuningRecipe,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        _check_model(model, recipe)
        self.recipe, self.dtype = recipe, dtype
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.relative = recipe.weighting == "relative" or (
            recipe.weighting == "auto" and model.card.for_radar
        )
        self._log_scale: nn.Parameter | None = None
        self.tuned = self._choose()
        self.optimizer = torch.optim.Adam(self.tuned, lr=recipe.rate)
        self._cached = 0
        images = [
            prepare(scene, recipe, index, self.relative, self.device)
            for index, scene in enumerate(scenes)
        ]
        self._images = [image for image in images if image is not None]
        if not self._images:
            raise InvalidInput(
                "There are too few valid pixels to fine-tune on. Choose a larger area."
            )
        self.done = 0
        self.best_epoch = 0
        self._best = self._copies()
        self._losses: list[float] = []
        self.history: list[dict[str, float]] = []
        self._measure(check)

    @property
    def steps_per_epoch(self) -> int:
        """Scenes, times 8 for AFT."""
        return len(self._images) * self.recipe.turns

    @property
    def steps(self) -> int:
        """Steps in all, unless it stops early."""
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.done // self.steps_per_epoch

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the held-out risk has long not fallen."""
        patience = self.recipe.patience
        waited = self.epoch - self.best_epoch
        done = self.done >= self.steps or bool(patience and waited >= patience)
        return done and self._measured

    @property
    def _measured(self) -> bool:
        """Whether the held-out risk of the last whole epoch is known; not after a cancel there."""
        return len(self.history) > self.epoch

    def step(self, check: Callable[[], None] = lambda: None) -> float:
        """Take one optimiser step; the last of an epoch also measures the held-out risk.

        Parameters
        ----------
        check : callable
            Called between parts of an image. It may raise, to cancel: what it cut short is
            done again by the next call, from its beginning.

        Returns
        -------
        float
            The loss: mean risk of the pixels learnt from.

        Raises
        ------
        InvalidInput
            When the loss is no longer a number; the best weights so far are kept for `finish`.
        """
        if not self._measured:
            self._measure(check)
            if self.finished:
                return self.history[-1]["loss"]
        image, turn = self._turn(self.done)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for piece in image.pieces:
            learn = turned(piece.learn, turn)
            for tile in self._tiles(learn):
                mask = cut(learn, tile.core)
                if not mask.any():
                    continue
                check()
                # Cheaper than picking the pixels out, forward and backward.
                risk = self._risk(piece, turn, tile).where(mask, 0.0)
                loss = risk.sum() / image.count
                loss.backward()
                total += float(loss.detach())
        if not math.isfinite(total):
            raise self._diverged()
        self.optimizer.step()
        self.done += 1
        self._losses.append(total)
        if not self._measured:
            self._measure(check)
        return total

    def state(self) -> dict[str, Any]:
        """All that `restore` needs; plain values and tensors."""
        return {
            "recipe": self._settings(),
            "done": self.done,
            "tuned": self._copies(),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "best": [value.clone() for value in self._best],
            "best_epoch": self.best_epoch,
            "lowest": [torch.from_numpy(np.array(image.lowest)) for image in self._images],
            "losses": list(self._losses),
            "history": copy.deepcopy(self.history),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state` of the same model, scenes and recipe.

        Raises
        ------
        InvalidInput
            When the state is of another recipe.
        """
        if state["recipe"] != self._settings():
            raise InvalidInput(
                "The checkpoint belongs to a fine-tuning with other settings. Remove it, or "
                "choose the settings it was made with."
            )
        self._load(state["tuned"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self._best = [value.to(self.device).clone() for value in state["best"]]
        self.done, self.best_epoch = state["done"], state["best_epoch"]
        for image, lowest in zip(self._images, state["lowest"]):
            image.lowest = lowest.numpy()
        self._losses = list(state["losses"])
        self.history = copy.deepcopy(state["history"])

    def finish(self) -> Despeckler:
        """The model with the weights of the best epoch, whole and ready to be saved."""
        self._load(self._best)
        if self._log_scale is not None and isinstance(self.model, Dopamine):
            self.model.scale_features(self._log_scale.detach().exp())
            self._log_scale.detach().zero_()
            self._best = self._copies()
        return self.model.requires_grad_(True)

    def _choose(self) -> list[nn.Parameter]:
        """Freeze the model but for what the depth tunes."""
        model, depth = self.model, self.recipe.depth
        if depth == "full" or not isinstance(model, Dopamine):
            return list(model.requires_grad_(True).parameters())
        model.requires_grad_(False)
        if depth == "head":
            tuned = model.head_parameters()
        else:
            channels = model.last.in_channels
            self._log_scale = nn.Parameter(torch.zeros(channels, device=self.device))
            tuned = [self._log_scale, *model.last.parameters()]
        for parameter in tuned:
            parameter.requires_grad_(True)
        return tuned

    def _turn(self, step: int) -> tuple[Image, int]:
        """Scene and flip or rotation of a step; every epoch in an order of its own."""
        epoch, place = divmod(step, self.steps_per_epoch)
        rng = np.random.default_rng((self.recipe.seed, epoch, 1))
        index, turn = divmod(int(rng.permutation(self.steps_per_epoch)[place]), self.recipe.turns)
        return self._images[index], turn

    def _tiles(self, like: Tensor) -> Iterator[Tile]:
        height, width = like.shape[-2:]
        whole = self.recipe.depth == "full"
        size = self.recipe.tile or (max(height, width) if whole else _HEAD_TILE)
        halo = self.model.card.radius if whole else 0
        yield from plan_tiles(Window(0, 0, width, height), None, size, halo)

    def _risk(self, piece: Piece, turn: int, tile: Tile) -> Tensor:
        """Weighted L_mult over the core of a tile, (1, 1, h, w)."""
        if self.recipe.depth == "full" or not isinstance(self.model, Dopamine):
            source = cut(turned(piece.z, turn), tile.source)
            level = torch.full((1,), self.recipe.looks, device=self.device)
            estimate = self.model(source, level, self.dtype)
            a, b = cut(estimate.a, tile.inner), cut(estimate.b, tile.inner)
        else:
            features = cut(self._features(piece, turn), tile.core)
            if self._log_scale is not None:
                features = features * self._log_scale.exp().to(features.dtype)[:, None, None]
            a, b = self.model.maps_from(features)
        z, looks = cut(turned(piece.z, turn), tile.core), self.recipe.looks
        a, b = turn_smoothly(a, b, self.recipe.knob or looks, looks)
        risk: Tensor = multiplicative_risk(z, a, b, looks)
        return risk if piece.weight is None else risk * cut(turned(piece.weight, turn), tile.core)

    def _features(self, piece: Piece, turn: int) -> Tensor:
        """Features of the frozen trunk, computed once as far as memory allows."""
        if turn in piece.features:
            return piece.features[turn]
        assert isinstance(self.model, Dopamine)
        with torch.no_grad():
            features = self.model.features(turned(piece.z, turn), self.dtype)
        size = features.numel() * features.element_size()
        if self._cached + size <= _CACHE_BYTES:
            self._cached += size
            piece.features[turn] = features
        return features

    def _measure(self, check: Callable[[], None]) -> None:
        """Measure the held-out risk, and keep the weights if it bears them out."""
        values = [self._held_out_risk(image, check) for image in self._images]
        for image, own in zip(self._images, values):
            if not np.isfinite(own[image.held]).all():
                raise self._diverged()
            if image.start is None:
                image.start = image.lowest = own
        risk = self._pooled(values)
        change = self._pooled([own - image.start for own, image in zip(values, self._images)])
        rise = self._pooled([own - image.lowest for own, image in zip(values, self._images)])
        entry = {"epoch": self.epoch, **_entry("risk", risk), **_entry("change", change)}
        if self._losses:
            entry["loss"] = sum(self._losses) / len(self._losses)
            self._losses = []
        self.history.append(entry)
        if self.recipe.cautious:
            kept = rise.value < 0 and change.value < -change.standard_error
        else:
            # Few pixels hardly tell one epoch from another, while tuning as such has proved
            # itself on white speckle: what is not clearly worse is kept.
            kept = rise.value <= _CLEARLY * rise.standard_error
        if kept:
            self._best, self.best_epoch = self._copies(), self.epoch
        if rise.value < 0:
            for image, lowest in zip(self._images, values):
                image.lowest = lowest

    def _pooled(self, values: Sequence[npt.NDArray[Any]]) -> RiskEstimate:
        return pooled([block_mean(v, i.held, i.block) for v, i in zip(values, self._images)])

    def _held_out_risk(self, image: Image, check: Callable[[], None]) -> npt.NDArray[Any]:
        """Risk of the held-out pixels, (H, W); 0 where no such pixel is near."""
        values = np.zeros(image.held.shape)
        for part, piece in zip(image.parts, image.pieces):
            target, held = values[part], image.held[part]
            for tile in self._tiles(piece.z):
                rows, columns = _slices(tile.core)
                if held[rows, columns].any():
                    check()
                    with torch.no_grad():
                        risk = self._risk(piece, 0, tile)
                    target[rows, columns] = risk[0, 0].cpu().numpy()
        return values

    def _diverged(self) -> InvalidInput:
        return InvalidInput(
            f"The fine-tuning diverged in epoch {self.epoch + 1}: the loss is not a number. "
            "Lower the learning rate."
        )

    def _settings(self) -> dict[str, Any]:
        # The tile changes the memory taken, not the outcome: one may resume with a smaller one.
        return {**self.recipe.to_mapping(), "tile": 0}

    def _copies(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.tuned]

    def _load(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.tuned, values):
                parameter.copy_(value)


def _check_model(model: Despeckler, recipe: TuningRecipe) -> None:
    if not model.card.affine:
        raise InvalidInput(
            f"The model {model.card.id} cannot be fine-tuned: it has no maps a and b. "
            "Choose a DoPAMINE model."
        )
    if recipe.depth != "full" and not isinstance(model, Dopamine):
        raise InvalidInput(
            f"The architecture {model.card.architecture} can only be fine-tuned whole."
        )


def _slices(window: Window) -> tuple[slice, slice]:
    return slice(window.y, window.bottom), slice(window.x, window.right)


def _entry(name: str, estimate: RiskEstimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_standard_error": estimate.standard_error}

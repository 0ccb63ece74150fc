"""Fine-tuning by patches: deSpeckNet on one image alone, other networks on pairs.

- ``despecknet``: phase 2 of Mullissa et al. (IEEE TGRS 2020). Both networks are tuned on one
  image without a clean one; the image is the label of X̂, with the small weight μ₂, and of
  X̂·N̂, with weight ξ; λ weighs the total variation of X̂ (`DeSpeckNet.tuning_loss`).
- ``transfer``: of Kim et al. (CVPR 2020), equation 7. A network trained on simulated speckle
  learns from pairs of a real image and its reference; only AIN modules, noise level estimator
  and last convolution are updated (`Aindnet.transfer_parameters`).
- ``retrain``: the same with all weights, for any network.

A part of the pixels is left out of the loss; by the loss there, measured several times on the
way, the best weights are chosen, the untuned start among them. Those that have learnt from pairs
are then made right in the mean, which a loss of absolute errors does not see to. Phase 2 has no
clean image, and an estimate that is the image itself would lose nothing: weights that take less
speckle out than the start did are not chosen, however low their loss (`SPECKLE_KEPT`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .despeckling import fill_holes
from .errors import InvalidInput
from .models.aindnet import Aindnet
from .models.base import Despeckler
from .models.despecknet import DeSpeckNet
from .risk import RiskEstimate, block_mean, block_sums, pooled
from .tiling import Window, plan_tiles
from .tuning import Scene, TuningRecipe, hold_out
from .tuning_images import cut
from .tuning_patches import Patches, TunedImage

# The held-out loss is measured so many times an epoch, where it has as many steps.
_MEASURES = 8

# Side of what is measured at once: a cancel must not wait for a whole scene.
_TILE = 192

_FLOOR = 1e-6

# A network that has learnt nothing must not be blown up.
_FACTORS = (0.5, 2.0)

# Of the start's variance of ln Z - ln X̂ on the held-out pixels, which phase 2 must still take out.
SPECKLE_KEPT = 0.9


class PatchTuner:
    """Fine-tuning of one network, a batch at a time; see `FineTuner`, whose manner it shares.

    Parameters
    ----------
    model : Despeckler
        With its card; changed in place.
    scenes : sequence of Scene
        With ``reference`` for the methods that learn from pairs.
    recipe : TuningRecipe
    device, dtype, check
        As for `FineTuner`.

    Attributes
    ----------
    history : list of dict
        For the start and each measurement, in order: "epoch", its number; "risk", the loss on
        the held-out pixels, and "change" of that since the start, each with its standard error;
        "loss", the mean of the steps between; of phase 2 also "speckle", the variance of
        ln Z - ln X̂ there.
    best_epoch : int
        Place in the history of the weights that are kept; 0 for the start.

    Raises
    ------
    InvalidInput
        When the method does not fit the model, or there is too little to learn from.
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
        self.recipe, self.dtype = recipe, dtype
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        # Of logarithms where scenes span decades: bright targets would be all of the loss.
        self.relative = model.card.for_radar
        self.tuned = self._choose()
        self.optimizer = torch.optim.Adam(self.tuned, lr=recipe.rate)
        images = [self._prepare(scene, index) for index, scene in enumerate(scenes)]
        self._images = [image for image in images if image is not None]
        if not self._images:
            raise InvalidInput(
                "There are too few valid pixels to fine-tune on. Choose a larger area."
            )
        self._patches = Patches(self._images, recipe)
        self.done = self.best_epoch = 0
        self._best = self._copies()
        self._losses: list[float] = []
        self.history: list[dict[str, float]] = []
        self._measure(check)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass over the patches."""
        return self._patches.steps_per_epoch

    @property
    def steps(self) -> int:
        """Steps in all, unless it stops early."""
        return self.recipe.epochs * self.steps_per_epoch

    @property
    def finished(self) -> bool:
        """Whether all is done, or the held-out loss has long not fallen."""
        patience = self.recipe.patience
        waited = len(self.history) - 1 - self.best_epoch
        return self._measured and (self.done >= self.steps or bool(patience and waited >= patience))

    @property
    def _due(self) -> int:
        """Measurements that should be there by now."""
        pause = max(1, self.steps_per_epoch // _MEASURES)
        return 1 + self.done // pause + (self.done >= self.steps and self.done % pause > 0)

    @property
    def _measured(self) -> bool:
        return len(self.history) >= self._due

    def step(self, check: Callable[[], None] = lambda: None) -> float:
        """Take one optimiser step; now and then also measure the held-out loss.

        Parameters
        ----------
        check : callable
            Called between parts of the step and of the measurement. It may raise, to cancel:
            what it cut short is done again by the next call, from its beginning.

        Raises
        ------
        InvalidInput
            When the loss is no longer a number; the best weights so far are kept for `finish`.
        """
        if not self._measured:
            self._measure(check)
            if self.finished:
                return self.history[-1].get("loss", 0.0)
        self.model.train()
        try:
            value = self._differentiate(check)
        finally:
            self.model.eval()
        if not math.isfinite(value):
            raise self._diverged()
        nn.utils.clip_grad_norm_(self.tuned, 1.0)
        self.optimizer.step()
        self.done += 1
        self._losses.append(value)
        if not self._measured:
            self._measure(check)
        return value

    def _differentiate(self, check: Callable[[], None]) -> float:
        """Set the gradients of a batch's loss, and return the loss; patch by patch if may be."""
        z, learn, reference = self._patches.batch(self.done)
        count = learn.sum().clamp_min(1)
        whole = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.model.modules())
        parts = [t.split(len(z) if whole else 1) for t in (z, learn)]
        labels = [None] * len(parts[0]) if reference is None else reference.split(len(parts[0][0]))
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for image, mask, label in zip(*parts, labels):
            # Not behind the last part: batch normalisation has then seen what is to be learnt.
            check()
            loss = self._loss(image, mask, label).sum() / count
            loss.backward()
            total += float(loss.detach())
        return total

    def state(self) -> dict[str, Any]:
        """All that `restore` needs; plain values and tensors."""
        return {
            "recipe": self.recipe.to_mapping(),
            "done": self.done,
            "model": self._copies(),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "best": {name: value.clone() for name, value in self._best.items()},
            "best_epoch": self.best_epoch,
            "risks": [
                [torch.from_numpy(np.array(risk)) for risk in (image.start, image.lowest)]
                for image in self._images
            ],
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
        # The tile changes nothing here.
        if {**state["recipe"], "tile": 0} != {**self.recipe.to_mapping(), "tile": 0}:
            raise InvalidInput(
                "The checkpoint belongs to a fine-tuning with other settings. Remove it, or "
                "choose the settings it was made with."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self._best = {name: value.to(self.device) for name, value in state["best"].items()}
        self.done, self.best_epoch = state["done"], state["best_epoch"]
        for image, risks in zip(self._images, state["risks"]):
            image.start, image.lowest = (risk.cpu().numpy() for risk in risks)
        self._losses = list(state["losses"])
        self.history = copy.deepcopy(state["history"])

    def finish(self) -> Despeckler:
        """The model with the best weights, whole and ready to be saved."""
        self.model.load_state_dict(self._best)
        self.model.requires_grad_(True).eval()
        if self.best_epoch and self.recipe.method != "despecknet":
            self._calibrate()
        return self.model

    def _calibrate(self) -> None:
        """Give the estimates of the held-out pixels the mean of their references."""
        self._freeze()

        def estimate(z: Tensor, _mask: Tensor, _label: Tensor | None) -> Tensor:
            return self._estimate(z).clamp_min(_FLOOR)

        ratios = []
        for image in self._images:
            assert image.reference is not None
            x = self._at_held_out(image, estimate, lambda: None)
            pair = (image.reference[0, 0].double().cpu().numpy(), x)
            sums = [block_sums(np.where(image.held, v, 0), image.block) for v in pair]
            ratios.append(sums[0][sums[1] > 0] / sums[1][sums[1] > 0])
        # Of blocks, the median: where the land has changed, the reference's level is another.
        factor = float(np.median(np.concatenate(ratios)))
        if _FACTORS[0] < factor < _FACTORS[1]:
            self.model.scale_output(factor)

    def _estimate(self, z: Tensor) -> Tensor:
        looks = torch.full((len(z),), self.recipe.looks, device=self.device)
        return self.model(z, looks, self.dtype).x

    def _choose(self) -> list[nn.Parameter]:
        """Freeze the model but for what the method tunes."""
        model, method = self.model, self.recipe.method
        if method == "despecknet" and not isinstance(model, DeSpeckNet):
            raise InvalidInput("Method despecknet needs a deSpeckNet model.")
        if method != "transfer":
            return list(model.requires_grad_(True).parameters())
        if not isinstance(model, Aindnet):
            raise InvalidInput("Method transfer needs an AINDNet model; choose retrain for others.")
        model.requires_grad_(False)
        tuned = model.transfer_parameters()
        for parameter in tuned:
            parameter.requires_grad_(True)
        return tuned

    def _prepare(self, scene: Scene, index: int) -> TunedImage | None:
        recipe = self.recipe
        if recipe.method != "despecknet" and scene.reference is None:
            raise InvalidInput(f"Method {recipe.method} learns from pairs: give a reference.")
        usable = scene.usable()
        drawn = hold_out(usable, recipe.held_out, np.random.default_rng((recipe.seed, index)))
        if drawn is None:
            return None
        held, block = drawn
        valid = scene.valid & np.isfinite(scene.intensity)
        z = self._tensor(np.where(valid, scene.intensity, 0).astype(np.float32) / scene.scale)
        reference = None
        if scene.reference is not None:
            reference = self._tensor(np.where(usable, scene.reference, 1) / scene.scale)
        filled = z if valid.all() else fill_holes(z, self._tensor(valid))
        return TunedImage(filled, self._tensor(usable & ~held), held, block, reference)

    def _tensor(self, values: npt.NDArray[Any]) -> Tensor:
        kind = values if values.dtype == bool else values.astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(kind))[None, None].to(self.device)

    def _loss(self, z: Tensor, learn: Tensor, reference: Tensor | None) -> Tensor:
        """Loss at each pixel, 0 where not to be learnt from."""
        if isinstance(self.model, DeSpeckNet) and self.recipe.method == "despecknet":
            weights = {
                "clean": self.recipe.clean,
                "noisy": self.recipe.noisy,
                "variation": self.recipe.variation,
            }
            return self.model.tuning_loss(z, learn, weights, self.dtype)
        assert reference is not None
        x = self._estimate(z)
        if self.relative:
            x, reference = (v.clamp_min(_FLOOR).log() for v in (x, reference))
        error = (x - reference).abs()
        return torch.where(learn, error, torch.zeros_like(error))

    def _measure(self, check: Callable[[], None]) -> None:
        """Measure the held-out loss, and keep the weights if it bears them out."""
        risks, changes, rises, values = [], [], [], []
        self._freeze()
        for image in self._images:
            own = self._held_out(image, check)
            if not np.isfinite(own).all():
                raise self._diverged()
            values.append(own)
            if image.start is None or image.lowest is None:
                image.start = image.lowest = own
            risks.append(block_mean(own, image.held, image.block))
            changes.append(block_mean(own - image.start, image.held, image.block))
            rises.append(block_mean(own - image.lowest, image.held, image.block))
        entry = {
            "epoch": float(len(self.history)),
            **_entry("risk", pooled(risks)),
            **_entry("change", pooled(changes)),
        }
        if self._losses:
            entry["loss"] = sum(self._losses) / len(self._losses)
            self._losses = []
        rise = pooled(rises)
        if self.recipe.method == "despecknet":
            entry["speckle"] = self._speckle(check)
        if self.history and rise.value < -rise.standard_error and self._still_despeckles(entry):
            self._best, self.best_epoch = self._copies(), len(self.history)
            for image, own in zip(self._images, values):
                image.lowest = own
        self.history.append(entry)

    def _held_out(self, image: TunedImage, check: Callable[[], None]) -> npt.NDArray[Any]:
        """Loss of the held-out pixels, (H, W); 0 elsewhere."""
        return self._at_held_out(image, self._loss, check)

    def _speckle(self, check: Callable[[], None]) -> float:
        """Variance of the speckle taken out of the held-out pixels, in the logarithm."""

        def taken_out(z: Tensor, mask: Tensor, _label: Tensor | None) -> Tensor:
            return z.clamp_min(_FLOOR).log() - self._estimate(z).clamp_min(_FLOOR).log()

        found = [self._at_held_out(image, taken_out, check)[image.held] for image in self._images]
        return float(np.concatenate(found).var())

    def _still_despeckles(self, entry: dict[str, float]) -> bool:
        return entry.get("speckle", 0) >= SPECKLE_KEPT * self.history[0].get("speckle", 0)

    def _at_held_out(
        self,
        image: TunedImage,
        function: Callable[[Tensor, Tensor, Tensor | None], Tensor],
        check: Callable[[], None],
    ) -> npt.NDArray[Any]:
        """What a function of intensity, held-out pixels and reference gives there, by tiles."""
        height, width = image.held.shape
        held, values = self._tensor(image.held), np.zeros(image.held.shape)
        card = self.model.card
        whole = Window(0, 0, width, height)
        for tile in plan_tiles(whole, None, _TILE, card.halo, card.divisor):
            core = np.s_[tile.core.y : tile.core.bottom, tile.core.x : tile.core.right]
            if not image.held[core].any():
                continue
            check()
            z, mask = cut(image.z, tile.source), cut(held, tile.source)
            label = None if image.reference is None else cut(image.reference, tile.source)
            with torch.no_grad():
                found = cut(function(z, mask, label), tile.inner)
            values[core] = found[0, 0].double().cpu().numpy()
        return values

    def _freeze(self) -> None:
        """Measure what the network normalises by on the scenes: its features have changed."""
        if not self.model.card.per_scene:
            return
        height = min(256, *(image.z.shape[-2] for image in self._images))
        width = min(256, *(image.z.shape[-1] for image in self._images))
        sample = torch.cat([image.z[..., :height, :width] for image in self._images[:4]])
        looks = torch.full((len(sample),), self.recipe.looks, device=self.device)
        self.model.freeze_statistics(sample, looks, self.dtype)

    def _diverged(self) -> InvalidInput:
        return InvalidInput(
            f"The fine-tuning diverged at step {self.done + 1}: the loss is not a number. "
            "Lower the learning rate."
        )

    def _copies(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}


def _entry(name: str, estimate: RiskEstimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_standard_error": estimate.standard_error}

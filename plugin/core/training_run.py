"""A training from its first step to the weights file: resumes by itself, can end at any moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from .errors import Cancelled, InvalidInput, ModelError
from .knob_level_fit import measure_level
from .models.base import Despeckler
from .models.card import ModelCard
from .models.registry import DEEPENED, create
from .models.weights import load_model, save_model
from .pairs import open_small_stream
from .recipe import Recipe
from .training import Trainer
from .training_data import TrainingSet
from .training_samples import Sample, cut_samples

Entry = dict[str, float]
Watch = Callable[[float, list[Entry]], None]

HALVES = ("no", "yes", "auto")

_PROBE_STEPS = 20
# Share of the time that looking at held-out images may take.
_VALIDATING = 0.1
# What bfloat16 may cost: of PSNR in dB, of other figures as a fraction.
_PSNR_TOLERANCE, _LOSS_TOLERANCE = 0.02, 0.01
# What half precision on disk may cost.
_HALF_PSNR, _HALF_LOSS = 0.01, 0.002


@dataclass
class TrainingOutcome:
    """What a training came to.

    Attributes
    ----------
    card : ModelCard
        Of the file written.
    log : list of dict
        "step", mean "loss" since the last entry, "seconds" of training so far, and at times
        figures of the held-out images, "held-out loss" or "PSNR L=1" among them.
    samples : list of Sample
        Parts of held-out images, for people to look at.
    warnings : list of str
    """

    card: ModelCard
    log: list[Entry]
    samples: list[Sample] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def starting_model(recipe: Recipe, parent: str | Path | None) -> Despeckler:
    """What a training begins with.

    Parameters
    ----------
    recipe : Recipe
    parent : path, optional
        Weights file to go on from, made as deep as the recipe asks; else the weights are
        fresh, by the recipe's seed.

    Raises
    ------
    ModelError
    """
    torch.manual_seed(recipe.seed)
    if not parent:
        return create(recipe.architecture, recipe.arguments)
    model = load_model(parent)
    if recipe.architecture in DEEPENED:
        model.deepen(recipe.arguments.get("layers", 0))
    return model


@dataclass
class TrainingRun:
    """Train a network by a recipe and write it.

    Attributes
    ----------
    model : Despeckler
        Fresh, or the parent's weights.
    recipe : Recipe
    data : TrainingSet
    held_out : TrainingSet, optional
    output, checkpoint : str
        Weights file to write; file to resume from.
    steps : int
        Length of the schedule; 0 takes the recipe's epochs.
    budget_seconds : float
        Shorten the schedule to what the machine can do in this time (measured on the first
        steps); 0 for no budget.
    half : {"no", "yes", "auto"}
        Store the weights in half precision; "auto" does where held-out figures do not move.
        The card's figures are of what is stored.
    about : dict
        Entries of the card's "training" that the caller knows.
    looks_range : tuple of float, optional
        Of the card; the recipe's by default.
    samples : int
        How many parts of held-out images to return.
    keep_checkpoint : bool
        Leave the checkpoint where it is when all is done.
    """

    model: Despeckler
    recipe: Recipe
    data: TrainingSet
    held_out: TrainingSet | None
    output: str
    checkpoint: str
    steps: int = 0
    budget_seconds: float = 0.0
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    half: str = "no"
    about: dict[str, Any] = field(default_factory=dict)
    looks_range: tuple[float, float] | None = None
    validation_looks: Sequence[float] = (1.0, 4.0)
    samples: int = 0
    keep_checkpoint: bool = True
    checkpoint_seconds: float = 60.0
    report_seconds: float = 30.0
    log: list[Entry] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def run(self, watch: Watch) -> TrainingOutcome:
        """Train to the end of the schedule and write the model.

        Parameters
        ----------
        watch : callable
            Called before every step with the fraction done and the log so far; raises
            `Cancelled` to stop, and the checkpoint then holds all that was done.

        Raises
        ------
        Cancelled, InvalidInput, ModelError
        """
        torch.manual_seed(self.recipe.seed)
        trainer = Trainer(self.model, self.recipe, self.data, 1, self.device, self.dtype)
        per_epoch = trainer.stream.steps_per_epoch
        trainer.steps = self.steps or self.recipe.epochs * per_epoch
        self._check_held_out(trainer)
        self._identity = self._identify()
        elapsed = self._resume(trainer)
        try:
            self._train(trainer, elapsed, watch)
        except Cancelled as error:
            raise Cancelled(f"Stopped at step {trainer.done}; run again to go on.") from error
        card = self._write(trainer)
        samples = []
        if self.samples:
            samples = cut_samples(trainer, self.held_out or self.data, self.samples)
        if not self.keep_checkpoint:
            Path(self.checkpoint).unlink(missing_ok=True)
        return TrainingOutcome(card, self.log, samples, self.warnings)

    def _check_held_out(self, trainer: Trainer) -> None:
        if self.held_out is None:
            return
        try:
            open_small_stream(self.held_out, self.recipe, trainer.device)
        except InvalidInput:
            self.held_out = None
            self.warnings.append(
                "What was to be held out holds no whole patch: nothing is held out, and how good "
                "the model is on other images is not known. Give more or larger images."
            )

    def _identify(self) -> dict[str, str]:
        recipe = json.dumps(self.recipe.to_mapping(), sort_keys=True)
        return {"recipe": recipe, "data": self.data.digest()}

    def _resume(self, trainer: Trainer) -> float:
        if not os.path.exists(self.checkpoint):
            return 0.0
        try:
            saved = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            found = {"data": self._identity["data"], **saved}
            other = [name for name, value in self._identity.items() if found[name] != value]
            state, self.log, elapsed = saved["trainer"], saved["log"], float(saved["elapsed"])
        except Exception as error:  # torch.load raises many kinds on what it did not write
            raise InvalidInput(
                f"{self.checkpoint} cannot be read as a checkpoint ({type(error).__name__}). "
                "Remove it, or choose another name for it."
            ) from error
        if other:
            what = "another recipe" if "recipe" in other else "other images"
            raise InvalidInput(
                f"The checkpoint {self.checkpoint} belongs to {what}. "
                "Remove it, or choose another name for it."
            )
        asked = trainer.steps
        trainer.restore(state)
        if trainer.steps != asked and not self.budget_seconds:
            self.warnings.append(
                f"Going on from {self.checkpoint} with the schedule it was begun with, of "
                f"{trainer.steps} steps, not {asked}. Remove that file to begin anew."
            )
        return elapsed

    def _save(self, trainer: Trainer, elapsed: float) -> None:
        """Write the checkpoint; where it cannot be written, the training goes on without."""
        part = f"{self.checkpoint}.part"
        state = {
            **self._identity, "trainer": trainer.state(), "elapsed": elapsed, "log": self.log,
        }  # fmt: skip
        try:
            torch.save(state, part)
            os.replace(part, self.checkpoint)
        except (OSError, RuntimeError) as error:
            Path(part).unlink(missing_ok=True)
            text = (
                f"The checkpoint {self.checkpoint} cannot be written "
                f"({str(error).splitlines()[0]}): is the disk full? A stopped training starts anew."
            )
            if text not in self.warnings:
                self.warnings.append(text)

    def _fit_budget(self, trainer: Trainer, watch: Watch) -> None:
        """Set the schedule's length from the time of the first steps, which count."""
        longest = trainer.steps
        trainer.step()
        start = time.perf_counter()
        for _ in range(min(_PROBE_STEPS, longest - 1)):
            watch(0.0, self.log)
            trainer.step()
            # Slow machines need not take all the steps to know.
            if time.perf_counter() - start > max(5.0, self.budget_seconds / 10):
                break
        seconds = (time.perf_counter() - start) / max(trainer.done - 1, 1)
        affordable = int(self.budget_seconds / max(seconds, 1e-9))
        trainer.steps = min(longest, max(2 * trainer.done, affordable))

    def _train(self, trainer: Trainer, elapsed: float, watch: Watch) -> None:
        start = saved = told = time.perf_counter()
        losses: list[float] = []
        looking = 0.0

        def spent() -> float:
            return elapsed + time.perf_counter() - start

        def look(entry: Entry) -> None:
            nonlocal looking
            begun = time.perf_counter()
            entry.update(_renamed(self._figures(trainer)))
            looking += time.perf_counter() - begun

        try:
            watch(0.0, self.log)
            if not trainer.done:
                if self.held_out is not None:
                    entry: Entry = {"step": 0, "seconds": 0.0}
                    look(entry)
                    self.log.append(entry)
                if self.budget_seconds:
                    self._fit_budget(trainer, watch)
            first, begun = trainer.done, time.perf_counter()
            while trainer.done < trainer.steps:
                watch(trainer.done / trainer.steps, self.log)
                losses.append(trainer.step())
                now = time.perf_counter()
                if now - saved > self.checkpoint_seconds:
                    self._save(trainer, spent())
                    saved = now
                last = trainer.done == trainer.steps
                if now - told > self.report_seconds or last:
                    rate = (now - begun) / (trainer.done - first)
                    entry = {"step": trainer.done, "loss": sum(losses) / len(losses)}
                    if last or looking < _VALIDATING * (now - start):
                        look(entry)
                    entry["seconds"] = round(spent(), 2)
                    entry["left"] = round((trainer.steps - trainer.done) * rate, 1)
                    self.log.append(entry)
                    losses, told = [], time.perf_counter()
            self._save(trainer, spent())
            watch(1.0, self.log)
        except InvalidInput:
            raise  # diverged: there is nothing to go on from
        except BaseException:
            self._save(trainer, spent())
            raise

    def _figures(self, trainer: Trainer) -> dict[str, float]:
        if self.held_out is None:
            return {}
        return trainer.validate(self.held_out, self.validation_looks)

    def _write(self, trainer: Trainer) -> ModelCard:
        recipe = self.recipe
        half = self._round(trainer)
        quality = self._measure(trainer)
        calibration = trainer.calibrate()
        card = trainer.model.describe(
            id=recipe.id,
            title=recipe.title,
            architecture=recipe.architecture,
            arguments=recipe.arguments,
            scale=recipe.scale,
            looks_range=self.looks_range or (recipe.looks[0], recipe.looks[-1]),
            description=recipe.description,
            citation=recipe.citation,
            parent=recipe.parent,
            quality=quality,
            training={
                "recipe": recipe.to_mapping(),
                "images": len(self.data),
                "steps": trainer.done,
                "calibration": round(calibration, 5),
                "patches": trainer.done * recipe.batch,
                "full_schedule_patches": recipe.epochs
                * trainer.stream.steps_per_epoch
                * recipe.batch,
                "device": self.device,
                "precision": str(trainer.dtype).replace("torch.", ""),
                **self.about,
            },
        )
        card = replace(card, knob_level=self._knob_level(trainer, card))
        try:
            Path(self.output).parent.mkdir(parents=True, exist_ok=True)
            return save_model(self.output, trainer.model, card, "half" if half else "single")
        except Exception as error:  # safetensors has an error class of its own
            reason = getattr(error, "strerror", None) or str(error)
            raise ModelError(
                f"The model {self.output} cannot be written ({reason}): is the disk full, or the "
                f"folder not yours? The checkpoint {self.checkpoint} holds the training: make "
                "room, and run it again."
            ) from error

    def _knob_level(self, trainer: Trainer, card: ModelCard) -> dict[str, Any]:
        if card.blind or card.affine:
            return {}
        if self.data.noisy:
            # Nothing to simulate the speckle of other looks on.
            parent = getattr(self.model, "card", None)
            return parent.knob_level if parent else {}
        images = (self.held_out or self.data).clean
        return measure_level(trainer.model, images, self.recipe, trainer.device, trainer.dtype)

    def _round(self, trainer: Trainer) -> bool:
        """Round the weights to half precision if wanted; whether they are."""
        if self.half == "no" or (self.half == "auto" and self.held_out is None):
            return False
        if self.half == "yes":
            trainer.round_to_half()
            return True
        before = self._figures(trainer)
        kept = (
            {name: value.clone() for name, value in trainer.model.state_dict().items()},
            {name: value.clone() for name, value in trainer.average.items()},
        )
        trainer.round_to_half()
        after = self._figures(trainer)
        if unmoved(before, after, _HALF_PSNR, _HALF_LOSS):
            return True
        trainer.model.load_state_dict(kept[0])
        trainer.average = kept[1]
        return False

    def _measure(self, trainer: Trainer) -> dict[str, Any]:
        """Held-out figures in single precision, and whether bfloat16 keeps them."""
        if self.held_out is None:
            return {}
        trained_in = trainer.dtype
        figures = {}
        for dtype in (torch.float32, torch.bfloat16):
            trainer.dtype = dtype
            figures[dtype] = self._figures(trainer)
        trainer.dtype = trained_in
        single, half = figures[torch.float32], figures[torch.bfloat16]
        return {
            "validation": {name: round(value, 4) for name, value in single.items()},
            "validation_images": len(self.held_out),
            "bf16_change": {name: round(half[name] - value, 5) for name, value in single.items()},
            "bf16_ok": unmoved(single, half, _PSNR_TOLERANCE, _LOSS_TOLERANCE),
        }


def unmoved(
    before: dict[str, float], after: dict[str, float], decibels: float, share: float
) -> bool:
    """Whether no figure moved by more than ``decibels`` (PSNR) or its ``share`` (others)."""
    return all(
        abs(after[name] - value) <= (decibels if name.startswith("PSNR") else share * abs(value))
        for name, value in before.items()
    )


def _renamed(figures: dict[str, float]) -> Entry:
    """Held-out figures as the log calls them, where "loss" is that of the training."""
    return {f"held-out {n}" if n == "loss" else n: value for n, value in figures.items()}

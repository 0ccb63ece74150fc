"""Training as a job: resumes by itself, can be killed at any moment, ends in a weights file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import Cancelled, InvalidInput
from ..core.recipe import Recipe
from ..raster.images import list_images, read_all

if TYPE_CHECKING:
    from ..core.models.card import ModelCard
    from ..core.training import Trainer

Progress = Callable[[float, str], None]
_PROBE_STEPS = 20

# What bfloat16 may cost: of PSNR in dB, of the loss as a fraction.
_PSNR_TOLERANCE, _LOSS_TOLERANCE = 0.02, 0.01


@dataclass
class TrainJob:
    """Train a recipe on a folder of clean images.

    Attributes
    ----------
    recipe : Recipe
    images, validation_images : str
        Folders; `train_list` and `validation_list` pick from them.
    output : str
        Weights file to write (safetensors with card).
    checkpoint : str
        File to resume from, written every `checkpoint_seconds`.
    steps : int
        Length of the schedule; 0 takes the recipe's epochs.
    half : bool
        Store the weights in half precision; the card's figures are then of those.
    budget_seconds : float
        Shorten the schedule to what the machine can do in this time (measured on the first
        steps); 0 for no budget.
    """

    recipe: Recipe
    images: str
    output: str
    checkpoint: str
    train_list: str | None = None
    validation_images: str | None = None
    validation_list: str | None = None
    validation_looks: Sequence[float] = (1.0, 4.0)
    validation_count: int = 12
    steps: int = 0
    budget_seconds: float = 0.0
    device: str = "cpu"
    precision: str = "auto"
    half: bool = False
    checkpoint_seconds: float = 60.0
    report_seconds: float = 30.0
    log: list[dict[str, Any]] = field(default_factory=list)

    def run(self, progress: Progress, is_cancelled: Callable[[], bool]) -> ModelCard:
        """Train to the end of the schedule and write the model.

        Raises
        ------
        Cancelled
            When asked to stop; the checkpoint then holds all that was done.
        InvalidInput, RasterError, ModelError
        """
        import torch

        from ..core.training import Trainer

        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise InvalidInput("This machine has no CUDA device; train with --device cpu.")
        torch.manual_seed(self.recipe.seed)
        images = read_all(list_images(self.images, self.train_list))
        steps = self.steps or self.recipe.epochs * self._steps_per_epoch(images)
        trainer = Trainer(
            self._model(), self.recipe, images, steps, self.device, _dtype(self.precision)
        )
        elapsed = self._resume(trainer)
        if self.budget_seconds and not trainer.done:
            elapsed += self._fit_budget(trainer, steps)
        held_out = self._held_out()
        self._train(trainer, elapsed, held_out, progress, is_cancelled)
        return self._write(trainer, held_out, len(images))

    def _steps_per_epoch(self, images: Sequence[Any]) -> int:
        size, step = self.recipe.patch, self.recipe.stride
        patches = sum(
            ((i.shape[0] - size) // step + 1) * ((i.shape[1] - size) // step + 1) for i in images
        )
        return max(1, patches // self.recipe.batch)

    def _model(self) -> Any:
        from ..core.models.registry import create, find
        from ..core.models.weights import load_model

        recipe = self.recipe
        if not recipe.parent:
            return create(recipe.architecture, recipe.arguments)
        path = Path(recipe.parent)
        return load_model(path if path.suffix == ".safetensors" else find(recipe.parent))

    def _resume(self, trainer: Trainer) -> float:
        import torch

        if not os.path.exists(self.checkpoint):
            return 0.0
        saved = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if saved["recipe"] != json.dumps(self.recipe.to_mapping(), sort_keys=True):
            raise InvalidInput(
                f"The checkpoint {self.checkpoint} belongs to another recipe. "
                "Remove it, or name another with --checkpoint."
            )
        trainer.restore(saved["trainer"])
        self.log = saved["log"]
        return float(saved["elapsed"])

    def _save(self, trainer: Trainer, elapsed: float) -> None:
        import torch

        part = f"{self.checkpoint}.part"
        recipe = json.dumps(self.recipe.to_mapping(), sort_keys=True)
        state = {
            "recipe": recipe, "trainer": trainer.state(), "elapsed": elapsed, "log": self.log,
        }  # fmt: skip
        torch.save(state, part)
        os.replace(part, self.checkpoint)

    def _fit_budget(self, trainer: Trainer, steps: int) -> float:
        """Set the schedule's length from the time of the first steps, which count."""
        trainer.steps = steps
        trainer.step()
        start = time.perf_counter()
        for _ in range(_PROBE_STEPS):
            trainer.step()
        seconds = time.perf_counter() - start
        trainer.steps = max(
            2 * _PROBE_STEPS, min(steps, int(self.budget_seconds / seconds * _PROBE_STEPS))
        )
        return seconds

    def _held_out(self) -> list[Any]:
        if not self.validation_list and not self.validation_images:
            return []
        folder = self.validation_images or self.images
        paths = list_images(folder, self.validation_list)
        every = max(1, len(paths) // self.validation_count)
        return read_all(paths[::every][: self.validation_count])

    def _train(
        self, trainer: Trainer, elapsed: float, held_out: list[Any], progress: Progress,
        is_cancelled: Callable[[], bool],
    ) -> None:  # fmt: skip
        start = saved = told = time.perf_counter()
        losses: list[float] = []
        first = trainer.done
        while trainer.done < trainer.steps:
            if is_cancelled():
                self._save(trainer, elapsed + time.perf_counter() - start)
                raise Cancelled(f"Stopped at step {trainer.done}; run again to go on.")
            losses.append(trainer.step())
            now = time.perf_counter()
            if now - saved > self.checkpoint_seconds:
                self._save(trainer, elapsed + now - start)
                saved = now
            if now - told > self.report_seconds or trainer.done == trainer.steps:
                rate = (trainer.done - first) / (now - start)
                left = (trainer.steps - trainer.done) / rate
                entry = {"step": trainer.done, "loss": sum(losses) / len(losses)}
                if held_out and len(self.log) % 8 == 7:
                    entry.update(trainer.validate(held_out, self.validation_looks))
                self.log.append(entry)
                numbers = "  ".join(f"{k} {v:.4g}" for k, v in entry.items() if k != "step")
                progress(
                    trainer.done / trainer.steps,
                    f"step {trainer.done}/{trainer.steps}  {numbers}  ETA {left / 60:.0f} min",
                )
                losses, told = [], time.perf_counter()
        self._save(trainer, elapsed + time.perf_counter() - start)

    def _write(self, trainer: Trainer, held_out: list[Any], count: int) -> ModelCard:
        import torch

        from ..core.models.weights import save_model

        recipe = self.recipe
        if self.half:
            trainer.round_to_half()
        quality = _measure(trainer, held_out, self.validation_looks) if held_out else {}
        calibration = trainer.calibrate()
        card = trainer.model.describe(
            id=recipe.id,
            title=recipe.title,
            architecture=recipe.architecture,
            arguments=recipe.arguments,
            scale=recipe.scale,
            looks_range=(recipe.looks[0], recipe.looks[-1]),
            description=recipe.description,
            citation=recipe.citation,
            parent=recipe.parent,
            quality=quality,
            training={
                "recipe": recipe.to_mapping(),
                "images": count,
                "steps": trainer.done,
                "calibration": round(calibration, 5),
                "patches": trainer.done * recipe.batch,
                "full_schedule_patches": recipe.epochs
                * self._steps_per_epoch(trainer.stream.images)
                * recipe.batch,
                "device": self.device,
                "precision": str(trainer.dtype).replace("torch.", ""),
            },
        )
        Path(self.output).parent.mkdir(parents=True, exist_ok=True)
        stored = torch.float16 if self.half else torch.float32
        card = save_model(self.output, trainer.model, card, stored)
        # For people: the same card as in the header, in a form that a diff can show.
        text = json.dumps(asdict(card), indent=2, sort_keys=True, ensure_ascii=False)
        Path(self.output).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        return card


def _measure(trainer: Trainer, held_out: list[Any], looks: Sequence[float]) -> dict[str, Any]:
    """Held-out figures in single precision, and whether bfloat16 keeps them."""
    import torch

    trained_in = trainer.dtype
    figures = {}
    for dtype in (torch.float32, torch.bfloat16):
        trainer.dtype = dtype
        figures[dtype] = trainer.validate(held_out, looks)
    trainer.dtype = trained_in
    single, half = figures[torch.float32], figures[torch.bfloat16]
    change = {name: half[name] - value for name, value in single.items()}
    kept = [
        abs(change[name])
        <= (_PSNR_TOLERANCE if name.startswith("PSNR") else _LOSS_TOLERANCE * value)
        for name, value in single.items()
    ]
    return {
        "validation": {name: round(value, 4) for name, value in single.items()},
        "validation_images": len(held_out),
        "bf16_change": {name: round(value, 5) for name, value in change.items()},
        "bf16_ok": all(kept),
    }


def _dtype(precision: str) -> Any:
    import torch

    names = {"auto": torch.bfloat16, "bf16": torch.bfloat16, "fp32": torch.float32}
    if precision not in names:
        raise InvalidInput(f"Unknown precision '{precision}'; choose {', '.join(names)}.")
    return names[precision]

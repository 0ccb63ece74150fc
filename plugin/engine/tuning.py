"""Fine-tuning in the worker: scenes from a file, checkpoints, smaller parts when memory lacks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import EngineError, InvalidInput
from ..core.finetuning import FineTuner
from ..core.models.card import ModelCard
from ..core.models.weights import load_model, save_model
from ..core.patch_tuning import PatchTuner
from ..core.tuning import Scene, TuningRecipe
from .computing import is_out_of_memory
from .devices import choose_device, choose_precision
from .protocol import DeviceInfo

# Side of the parts a step is computed in: of a whole 512 x 512 image the full network keeps
# some 10 GB of features for the gradient, which a GPU has more often than a laptop.
_CPU_TILE = 320
_SMALLEST_TILE = 48

_CHECKPOINT_SECONDS = 30.0


def read_scenes(path: Path) -> list[Scene]:
    """Read what `client.write_scenes` wrote."""
    scenes = []
    with np.load(path, allow_pickle=False) as arrays:
        for number, scale in enumerate(arrays["scales"]):
            name = f"area{number}"
            area = arrays[name] if name in arrays.files else None
            name = f"reference{number}"
            reference = arrays[name] if name in arrays.files else None
            intensity, valid = arrays[f"intensity{number}"], arrays[f"valid{number}"]
            scenes.append(Scene(intensity, valid, float(scale), area, reference))
    return scenes


class TuningTask:
    """One fine-tuning, from a weights file to a weights file.

    Parameters
    ----------
    request : dict
        The ``finetune`` message.
    devices : list of DeviceInfo
        Devices found.
    watch : callable
        Called with the fraction done and the entries of `FineTuner.history` so far, between
        parts of a step; may raise, to cancel.
    """

    def __init__(
        self,
        request: dict[str, Any],
        devices: list[DeviceInfo],
        watch: Callable[[float, list[dict[str, float]]], None],
    ) -> None:
        self._path = Path(request["path"])
        self._output = Path(request["output"])
        self._checkpoint = Path(request["checkpoint"])
        self._scenes = read_scenes(Path(request["scenes"]))
        self._recipe = TuningRecipe(**request["recipe"])
        self._about = dict(request["card"])
        self._watch = watch
        card = ModelCard.read(self._path)
        self.device, device_reason = choose_device(request["device"], devices)
        self.precision, precision_reason = choose_precision(request["precision"], self.device, card)
        if self.precision == "fp16":
            raise InvalidInput("fp16 is too coarse to fine-tune in; choose bf16 or fp32.")
        self.reason = (
            f"device {self.device}: {device_reason}; precision {self.precision}: {precision_reason}"
        )
        self._saved = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Tune and write the model; what the reply says.

        Raises
        ------
        InvalidInput, ModelError, EngineError, Cancelled
            On any of them no model is written, and the checkpoint holds what was done.
        """
        tile = self._recipe.tile
        if not tile and self._recipe.depth == "full" and self.device == "cpu":
            tile = _CPU_TILE
        warnings: list[str] = []
        while True:
            try:
                card, history, best = self._tune(replace(self._recipe, tile=tile))
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler, whose traceback would keep the tensors alive.
            tile = self._smaller(tile)
            warnings.append(f"{self.device} ran out of memory: going on in parts of {tile}.")
        self._checkpoint.unlink(missing_ok=True)
        return {
            "card": card.to_json(),
            "history": history,
            "best_epoch": best,
            "device": self.device,
            "precision": self.precision,
            "reason": self.reason,
            "warnings": warnings,
        }

    def _smaller(self, tile: int) -> int:
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        largest = max(max(scene.intensity.shape) for scene in self._scenes)
        half = min(tile or largest, largest) // 2
        if half < _SMALLEST_TILE:
            raise EngineError(
                f"{self.device} has not enough memory to fine-tune this model. Choose another "
                "device, or tune its head only."
            )
        return half

    def _tune(self, recipe: TuningRecipe) -> tuple[ModelCard, list[dict[str, float]], int]:
        model = load_model(self._path)
        parent = model.card
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        kind = FineTuner if recipe.method == "aft" else PatchTuner
        tuner: FineTuner | PatchTuner = kind(
            model, self._scenes, recipe, self.device, dtype, lambda: self._watch(0.0, [])
        )
        if self._checkpoint.exists():
            saved = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
            if saved["parent"] != parent.tensors_sha256:
                raise InvalidInput(
                    f"The checkpoint {self._checkpoint} belongs to another model. Remove it."
                )
            tuner.restore(saved["tuner"])
        try:
            while not tuner.finished:
                tuner.step(lambda: self._watch(tuner.done / tuner.steps, tuner.history))
                if time.monotonic() - self._saved > _CHECKPOINT_SECONDS:
                    self._save(tuner, parent)
        except InvalidInput:
            # Diverged: there is nothing to go on from.
            self._checkpoint.unlink(missing_ok=True)
            raise
        except BaseException:
            # Cancelled or out of memory: the steps taken so far count.
            self._save(tuner, parent)
            raise
        self._watch(1.0, tuner.history)
        tuned = tuner.finish()
        card = replace(
            parent,
            **{**self._about, "parent": parent.id},
            training=self._training(tuner, parent),
            quality=_quality(tuner, parent),
        )
        return save_model(self._output, tuned, card), tuner.history, tuner.best_epoch

    def _training(self, tuner: FineTuner | PatchTuner, parent: ModelCard) -> dict[str, Any]:
        return {
            "parent_sha256": parent.tensors_sha256,
            "parent_training": parent.training,
            "recipe": self._recipe.to_mapping(),
            "method": tuner.recipe.method,
            "relative_risk": tuner.relative,
            "best_epoch": tuner.best_epoch,
            "history": tuner.history,
            "device": self.device,
            "precision": self.precision,
        }

    def _save(self, tuner: FineTuner | PatchTuner, parent: ModelCard) -> None:
        part = self._checkpoint.with_name(f"{self._checkpoint.name}.part")
        torch.save({"parent": parent.tensors_sha256, "tuner": tuner.state()}, part)
        os.replace(part, self._checkpoint)
        self._saved = time.monotonic()


def _quality(tuner: FineTuner | PatchTuner, parent: ModelCard) -> dict[str, Any]:
    """The parent's figures no longer hold; what does is the risk on the held-out pixels."""
    before, after = tuner.history[0], tuner.history[tuner.best_epoch]
    return {
        "bf16_ok": parent.quality.get("bf16_ok", False),
        "risk_before": before["risk"],
        "risk_before_standard_error": before["risk_standard_error"],
        "risk_after": after["risk"],
        "risk_after_standard_error": after["risk_standard_error"],
        "risk_change": after["change"],
        "risk_change_standard_error": after["change_standard_error"],
    }

"""Supervised training in the worker: images from a file, a weights file at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import EngineError, InvalidInput
from ..core.recipe import Recipe
from ..core.training_data import TrainingSet
from ..core.training_run import TrainingRun, starting_model
from ..core.training_samples import to_arrays
from .computing import is_out_of_memory
from .devices import DTYPES, choose_device, has_bf16
from .protocol import DeviceInfo

_PRECISIONS = ("auto", "fp32", "bf16")


class TrainingTask:
    """One training, from images to a weights file.

    Parameters
    ----------
    request : dict
        The ``train`` message.
    devices : list of DeviceInfo
        Devices found.
    watch : callable
        Called with the fraction done and the entries of `TrainingRun.log` so far, between
        steps; may raise, to cancel.
    """

    def __init__(
        self,
        request: dict[str, Any],
        devices: list[DeviceInfo],
        watch: Callable[[float, list[dict[str, float]]], None],
    ) -> None:
        self._request, self._watch = request, watch
        self.device, reason = choose_device(request["device"], devices)
        self.precision, why = _choose_precision(request["precision"], self.device)
        self.reason = f"device {self.device}: {reason}; precision {self.precision}: {why}"

    def run(self) -> dict[str, Any]:
        """Train and write the model; what the reply says.

        Raises
        ------
        InvalidInput, ModelError, EngineError, Cancelled
            On any of them no model is written, and the checkpoint holds what was done.
        """
        request = self._request
        recipe = Recipe.from_mapping(request["recipe"])
        held_out = request["held_out"]
        run = TrainingRun(
            starting_model(recipe, request["parent"]),
            recipe,
            TrainingSet.load(Path(request["data"])),
            TrainingSet.load(Path(held_out)) if held_out else None,
            output=request["output"],
            checkpoint=request["checkpoint"],
            device=self.device,
            dtype=DTYPES[self.precision],
            **request["settings"],
        )
        try:
            outcome = run.run(self._watch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise EngineError(
                f"{self.device} has not enough memory for batches of {recipe.batch} patches of "
                f"{recipe.patch} pixels. Make batches or patches smaller, or choose another device."
            ) from error
        np.savez(request["samples"], **to_arrays(outcome.samples))
        return {
            "card": outcome.card.to_json(),
            "log": outcome.log,
            "device": self.device,
            "precision": self.precision,
            "reason": self.reason,
            "warnings": outcome.warnings,
        }


def _choose_precision(asked: str, device: str) -> tuple[str, str]:
    if asked not in _PRECISIONS:
        raise InvalidInput(
            f"Networks are trained in {', '.join(_PRECISIONS[1:])} or auto, not '{asked}'."
        )
    if asked != "auto":
        return asked, "as asked"
    if has_bf16(device):
        return "bf16", "chosen automatically (the device has it in hardware)"
    return "fp32", f"chosen automatically ({device} has no bf16 in hardware)"

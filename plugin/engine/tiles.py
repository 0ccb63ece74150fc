"""What goes into the engine, and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import EngineError, InvalidInput
from ..core.models.card import ModelCard
from ..core.recipe import Recipe
from ..core.tiling import Window
from ..core.training_data import TrainingSet
from ..core.tuning import Scene, TuningRecipe
from .protocol import MAPS, OUTPUTS


@dataclass(frozen=True)
class Loaded:
    """A model ready to compute.

    Attributes
    ----------
    card : ModelCard
    device, precision : str
        What was chosen.
    reason : str
        Why, for the log.
    path : Path
        Weights file.
    """

    card: ModelCard
    device: str
    precision: str
    reason: str
    path: Path
    handle: int = field(repr=False, default=0)
    generation: int = field(repr=False, default=0)


@dataclass(frozen=True)
class TileRequest:
    """A tile to compute.

    Attributes
    ----------
    intensity : ndarray
        (height, width) float32, linear.
    valid : ndarray
        (height, width) bool.
    inner : Window
        The pixels wanted, counted from the upper left pixel of `intensity`.
    scale : float
        Frozen scene scale the network's input is divided by.
    looks : float
        Looks of the speckle.
    knob : float or None
        Looks an affine map is evaluated for; None: as `looks`.
    outputs : tuple of str
        Of `protocol.OUTPUTS`. Those the model does not give are left out of the result.
    model : Loaded or None
        None: the model loaded last.
    ensemble : bool
        Mean over the 8 flips and rotations: 8 times the cost, less error.
    stages : int
        Stages of an unrolled network to run; 0 for all.
    maps : dict
        (height, width) float32 by name: "looks_map", "class_map"; see
        `core.despeckling.despeckle_tile`.
    """

    intensity: np.ndarray
    valid: np.ndarray
    inner: Window
    scale: float = 1.0
    looks: float = 1.0
    knob: float | None = None
    outputs: tuple[str, ...] = ("x",)
    model: Loaded | None = None
    ensemble: bool = False
    stages: int = 0
    maps: dict[str, np.ndarray] = field(default_factory=dict)

    def to_message(self) -> dict[str, Any]:
        """Describe it to the worker, but for model and memory."""
        inner = self.inner
        return {
            "op": "tile",
            "shape": list(self.intensity.shape),
            "inner": [int(n) for n in (inner.x, inner.y, inner.width, inner.height)],
            "outputs": list(self.outputs),
            "inputs": list(self.maps),
            "scale": float(self.scale),
            "looks": float(self.looks),
            "knob": None if self.knob is None else float(self.knob),
            "ensemble": bool(self.ensemble),
            "stages": int(self.stages),
        }

    def check(self) -> None:
        """Raise InvalidInput where the request cannot be computed."""
        if self.intensity.ndim != 2 or self.intensity.shape != self.valid.shape:
            raise InvalidInput(
                "A tile needs intensity and validity as 2-D arrays of one shape, got "
                f"{self.intensity.shape} and {self.valid.shape}."
            )
        for name, values in self.maps.items():
            if name not in MAPS or values.shape != self.intensity.shape:
                raise InvalidInput(
                    f"A tile's maps are {' and '.join(MAPS)} of shape {self.intensity.shape}, got "
                    f"{name} of {values.shape}."
                )
        height, width = self.intensity.shape
        if not Window(0, 0, width, height).contains(self.inner):
            raise InvalidInput(f"The window {self.inner} reaches beyond the tile.")
        numbers = {"scale": self.scale, "looks": self.looks, "knob": self.knob}
        for name, value in numbers.items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidInput(f"The tile's {name} must be a positive number, got {value}.")
        unknown = set(self.outputs) - set(OUTPUTS)
        if unknown or not self.outputs:
            raise InvalidInput(f"Outputs must be some of {', '.join(OUTPUTS)}.")


@dataclass(frozen=True)
class TileResult:
    """A computed tile.

    Attributes
    ----------
    arrays : dict
        (inner.height, inner.width) float32 by name.
    warnings : list of str
        What the user should hear.
    seconds : float
        Time it took the worker.
    """

    arrays: dict[str, np.ndarray]
    warnings: list[str]
    seconds: float


@dataclass(frozen=True)
class TuningRequest:
    """A model to fine-tune.

    Attributes
    ----------
    model : Path
        Weights file to start from.
    output : Path
        Weights file to write.
    checkpoint : Path
        File to resume from; removed when the tuning is done.
    scenes : sequence of Scene
        What to learn from; a few hundred thousand pixels in all.
    recipe : TuningRecipe
    card : dict
        Entries of the new model's card.
    device, precision : str
        As for `Engine.load`.
    """

    model: Path
    output: Path
    checkpoint: Path
    scenes: Sequence[Scene]
    recipe: TuningRecipe
    card: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    precision: str = "auto"

    def to_message(self) -> dict[str, Any]:
        """Describe it to the worker, but for the scenes."""
        return {
            "op": "finetune",
            "path": str(self.model.absolute()),
            "output": str(self.output.absolute()),
            "checkpoint": str(self.checkpoint.absolute()),
            "recipe": self.recipe.to_mapping(),
            "card": self.card,
            "device": self.device,
            "precision": self.precision,
        }

    def write_scenes(self, path: Path) -> None:
        """Write the scenes as `tuning.read_scenes` reads them."""
        write_scenes(path, self.scenes)


def write_scenes(path: Path, scenes: Sequence[Scene]) -> None:
    """Write scenes as `tuning.read_scenes` reads them."""
    arrays: dict[str, np.ndarray] = {
        "scales": np.array([scene.scale for scene in scenes], np.float64)
    }
    for number, scene in enumerate(scenes):
        arrays[f"intensity{number}"] = np.asarray(scene.intensity, np.float32)
        arrays[f"valid{number}"] = scene.valid
        if scene.area is not None:
            arrays[f"area{number}"] = scene.area
        if scene.reference is not None:
            arrays[f"reference{number}"] = np.asarray(scene.reference, np.float32)
    np.savez(path, **arrays)


@dataclass(frozen=True)
class Tuned:
    """A model that was fine-tuned.

    Attributes
    ----------
    card : ModelCard
        Of the file written.
    history : list of dict
        See `core.finetuning.FineTuner`.
    best_epoch : int
        Whose weights were taken; 0: those before.
    device, precision, reason : str
    warnings : list of str
    """

    card: ModelCard
    history: list[dict[str, float]]
    best_epoch: int
    device: str
    precision: str
    reason: str
    warnings: list[str]


@dataclass(frozen=True)
class TrainingRequest:
    """A network to train.

    Attributes
    ----------
    recipe : Recipe
    parent : Path, optional
        Weights file to start from; fresh weights by default.
    data : TrainingSet
    held_out : TrainingSet, optional
    output, checkpoint : Path
        Weights file to write; file to resume from.
    settings : dict
        Further arguments of `core.training_run.TrainingRun`: steps, budget_seconds, half …
    device, precision : str
        As for `Engine.load`, but fp16.
    """

    recipe: Recipe
    parent: Path | None
    data: TrainingSet
    held_out: TrainingSet | None
    output: Path
    checkpoint: Path
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    precision: str = "auto"

    def hand_over(self, folder: Path) -> dict[str, Any]:
        """Write the images into a folder and describe the request as a message.

        Raises
        ------
        EngineError
            When the disk is full.
        """
        data, held_out = folder / "data.npz", folder / "held_out.npz"
        try:
            self.data.save(data)
            if self.held_out is not None:
                self.held_out.save(held_out)
        except OSError as error:
            raise EngineError(
                f"The images cannot be handed to the engine ({error.strerror}): the folder "
                f"for temporary files, {folder.parent}, is probably full."
            ) from error
        return {
            "recipe": self.recipe.to_mapping(),
            "parent": str(self.parent.absolute()) if self.parent else "",
            "data": str(data),
            "held_out": str(held_out) if self.held_out is not None else "",
            "samples": str(folder / "samples.npz"),
            "output": str(self.output.absolute()),
            "checkpoint": str(self.checkpoint.absolute()),
            "settings": self.settings,
            "device": self.device,
            "precision": self.precision,
        }


@dataclass(frozen=True)
class Trained:
    """A network that was trained.

    Attributes
    ----------
    card : ModelCard
        Of the file written.
    log : list of dict
        See `core.training_run.TrainingOutcome`.
    samples : dict of ndarray
        See `core.training_samples.to_arrays`.
    device, precision, reason : str
    warnings : list of str
    """

    card: ModelCard
    log: list[dict[str, float]]
    samples: dict[str, np.ndarray]
    device: str
    precision: str
    reason: str
    warnings: list[str]

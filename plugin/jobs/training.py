"""Training as a job: resumes by itself, can be killed at any moment, ends in a weights file."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InvalidInput
from ..core.models.card import ModelCard
from ..core.models.registry import DEEPENED, find, free_id
from ..core.recipe import Recipe
from ..core.training_data import TrainingSet
from ..engine.client import Trained, TrainingRequest
from ..engine.shared import shared_engine
from ..raster.images import list_images, read_all
from .messages import Caution
from .publishing import (
    check_model_output,
    check_report,
    lies_in,
    make_folder,
    publish_file,
    write_page,
)
from .training_images import MAX_PIXELS, Found, match_folders, match_pairs, read_clean, read_pairs
from .training_report import training_page
from .training_settings import for_pairs, unstretched

Progress = Callable[[float, str], None]

_SAMPLES = 3
_HALVES = ("no", "yes", "auto")


@dataclass
class TrainJob:
    """Train a recipe on a folder of clean images, or on noisy rasters and their references.

    Attributes
    ----------
    recipe : Recipe
    images, validation_images : str
        Folders of clean images; `train_list` and `validation_list` pick from them.
    noisy, references : sequence of str
        Rasters, instead of clean images; see `training_images.match_pairs`.
    noisy_folder, reference_folder : str
        Likewise, the rasters of the same name in two folders.
    domain : str
        Of rasters; see `RasterSource`.
    looks : float, optional
        Of the noisy rasters; estimated of each by default.
    output : str
        Weights file to write (safetensors with card).
    checkpoint : str
        File to resume from, written every `checkpoint_seconds`; by default beside the output.
    validation_share : float
        Of the images or their pixels, held out where no other images are given for that.
    steps : int
        Length of the schedule; 0 takes the recipe's epochs.
    half : bool or str
        Store the weights in half precision; the card's figures are then of those. "auto" does
        where the figures of the held-out images do not move.
    budget_seconds : float
        Shorten the schedule to what the machine can do in this time (measured on the first
        steps); 0 for no budget.
    report : str
        HTML file to write; none by default.
    in_engine : bool
        Train in the engine's process, as QGIS must; else in this one, which needs torch.
    python : str, optional
        Of the engine.
    keep_checkpoint : bool
        Leave the checkpoint there when the model is written.
    temporary : bool
        The output has another name the next time: the checkpoint is put into the folder for
        temporary files, under a name by which the same training finds it.
    card_beside : bool
        Write the card as JSON beside the weights, too.
    list_folder : str, optional
        Folder of models to add the model to, under an id that none has; made if need be.
    """

    recipe: Recipe
    images: str = ""
    output: str = ""
    checkpoint: str = ""
    train_list: str | None = None
    validation_images: str | None = None
    validation_list: str | None = None
    validation_looks: Sequence[float] = (1.0, 4.0)
    validation_count: int = 12
    steps: int = 0
    budget_seconds: float = 0.0
    device: str = "cpu"
    precision: str = "auto"
    half: bool | str = False
    checkpoint_seconds: float = 60.0
    report_seconds: float = 30.0
    noisy: Sequence[str] = ()
    references: Sequence[str] = ()
    noisy_folder: str = ""
    reference_folder: str = ""
    domain: str = "auto"
    looks: float | None = None
    validation_share: float = 0.0
    report: str = ""
    in_engine: bool = False
    python: str | None = None
    model_folders: Sequence[str] = ()
    keep_checkpoint: bool = True
    temporary: bool = False
    card_beside: bool = True
    list_folder: str | None = None
    max_pixels: int = MAX_PIXELS
    warnings: list[str] = field(default_factory=list)

    def run(self, progress: Progress, is_cancelled: Callable[[], bool]) -> ModelCard:
        """Train to the end of the schedule and write the model; its card.

        Raises
        ------
        Cancelled
            When asked to stop; the checkpoint then holds all that was done.
        EngineError, InvalidInput, RasterError, ModelError
        """
        return self.train(progress, is_cancelled).card

    def train(self, progress: Progress, is_cancelled: Callable[[], bool]) -> Trained:
        """As `run`, telling how it went, too."""
        started = time.perf_counter()
        self.check()
        self.warnings = []
        found = self._read(is_cancelled)
        recipe = self._fitting(found, progress)
        data, held_out = self._split(found, recipe)
        for warning in found.warnings:
            self._warn(progress, warning)
        progress(0.0, _data_text(data, held_out))
        request = self._request(recipe, found, data, held_out)
        trained = (self._in_engine if self.in_engine else self._here)(
            request, _Teller(progress), is_cancelled
        )
        for warning in trained.warnings:
            self._warn(progress, warning)
        self._write_beside(trained, found, time.perf_counter() - started)
        return trained

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything is read.

        Raises
        ------
        InvalidInput, ModelError, RasterError
        """
        kinds = [bool(self.images), bool(self.noisy or self.references)]
        kinds.append(bool(self.noisy_folder or self.reference_folder))
        if sum(kinds) != 1:
            raise InvalidInput(
                "Give either a folder of clean images, or noisy rasters and their references, or "
                f"a folder of each{'; more than one was given' if any(kinds) else ''}."
            )
        if self.noisy or self.references:
            match_pairs(self.noisy, self.references)
        if bool(self.noisy_folder) != bool(self.reference_folder):
            raise InvalidInput("Give both folders: that of noisy rasters and of references.")
        if self.half not in (True, False, *_HALVES):
            raise InvalidInput(f"HALF must be one of {', '.join(_HALVES)}, got '{self.half}'.")
        if not 0 <= self.validation_share < 1:
            raise InvalidInput(
                f"The share held out must be from 0 to below 1, got {self.validation_share:g}."
            )
        if self.recipe.psf[1] > 0 and min(self.recipe.looks) < 1:
            raise InvalidInput(
                "Correlated speckle averages whole looks: the number of looks must be 1 at least."
            )
        if self.report:
            check_report(self.report)
        if self.in_engine:
            check_model_output(self.output)
        if self.list_folder:
            make_folder(Path(self.list_folder))
        self._parent()

    def _read(self, is_cancelled: Callable[[], bool]) -> Found:
        if self.images:
            return read_clean(
                self.images, self.train_list, self.domain, is_cancelled, self.max_pixels
            )
        warnings: list[str] = []
        if self.noisy:
            pairs = match_pairs(self.noisy, self.references)
        else:
            pairs, warnings = match_folders(self.noisy_folder, self.reference_folder)
        found = read_pairs(
            pairs, self.domain, self.looks, self.recipe.scale, is_cancelled, self.max_pixels
        )
        found.warnings += warnings
        return found

    def _fitting(self, found: Found, progress: Progress) -> Recipe:
        """The recipe as it suits the images, under an id that is free."""
        recipe = self.recipe
        if found.data.noisy:
            recipe = for_pairs(recipe)
        elif not found.data.gray and recipe.dynamic_range[1] > 0:
            progress(0.0, "The images hold intensity, so their contrast is taken as it is.")
            recipe = unstretched(recipe)
        if self.list_folder and not lies_in(Path(self.output), Path(self.list_folder)):
            folders = [Path(folder) for folder in (*self.model_folders, self.list_folder)]
            recipe = replace(recipe, id=free_id(recipe.id, folders))
        return recipe

    def _split(self, found: Found, recipe: Recipe) -> tuple[TrainingSet, TrainingSet | None]:
        given = self._held_out()
        if given:
            return found.data, TrainingSet(given, gray=found.data.gray)
        filters = (recipe.psf[1] > 0) + (recipe.blur[1] > 0)
        side = recipe.patch + 6 * filters
        data, held_out = found.data.split(self.validation_share, side)
        if self.validation_share and held_out is None:
            found.warnings.append(
                "The images are too few and too small to hold some out: how good the model is on "
                "other images will not be known."
            )
        return data, held_out

    def _held_out(self) -> list[Any]:
        if not self.validation_list and not self.validation_images:
            return []
        folder = self.validation_images or self.images
        paths = list_images(folder, self.validation_list)
        every = max(1, len(paths) // self.validation_count)
        return read_all(paths[::every][: self.validation_count])

    def _parent(self) -> Path | None:
        name = self.recipe.parent
        if not name:
            return None
        folders = [Path(folder) for folder in self.model_folders]
        path = Path(name) if name.endswith(".safetensors") else find(name, folders)
        card = ModelCard.read(path)
        mine, parents = (self.recipe.architecture, self.recipe.arguments), card.arguments
        if card.architecture in DEEPENED and mine[1].get("layers", 0) > parents.get("layers", 0):
            parents = {**parents, "layers": mine[1]["layers"]}
        if mine != (card.architecture, parents):
            raise InvalidInput(
                f"The recipe asks for {mine[0]} {mine[1]}, but the model to start from is "
                f"{card.architecture} {card.arguments}: they must be the same (an FFDNet's "
                "layers may be more)."
            )
        return path

    def _request(
        self, recipe: Recipe, found: Found, data: TrainingSet, held_out: TrainingSet | None
    ) -> TrainingRequest:
        half = self.half if isinstance(self.half, str) else ("yes" if self.half else "no")
        settings: dict[str, Any] = {
            "steps": self.steps,
            "budget_seconds": self.budget_seconds,
            "half": half,
            "about": found.about if data.noisy or not data.gray else {},
            "validation_looks": list(self.validation_looks),
            "samples": _SAMPLES if self.report else 0,
            "keep_checkpoint": self.keep_checkpoint,
            "checkpoint_seconds": self.checkpoint_seconds,
            "report_seconds": self.report_seconds,
        }
        if data.noisy:
            settings["looks_range"] = (min(data.looks), max(data.looks))
        return TrainingRequest(
            recipe=recipe,
            parent=self._parent(),
            data=data,
            held_out=held_out,
            output=Path(self.output),
            checkpoint=self._checkpoint(recipe, data),
            settings=settings,
            device=self.device,
            precision=self.precision,
        )

    def _checkpoint(self, recipe: Recipe, data: TrainingSet) -> Path:
        if self.checkpoint:
            return Path(self.checkpoint)
        if not self.temporary:
            return Path(self.output).with_suffix(".checkpoint")
        asked = [recipe.to_mapping(), data.digest(), self.steps, self.budget_seconds]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return Path(tempfile.gettempdir(), f"speckless-training-{digest[:24]}.checkpoint")

    def _in_engine(
        self, request: TrainingRequest, tell: _Teller, is_cancelled: Callable[[], bool]
    ) -> Trained:
        with shared_engine(self.python, is_cancelled) as engine:
            return engine.train(request, tell, is_cancelled)

    def _here(
        self, request: TrainingRequest, tell: _Teller, is_cancelled: Callable[[], bool]
    ) -> Trained:
        import torch

        from ..core.errors import Cancelled
        from ..core.training_run import TrainingRun, starting_model
        from ..core.training_samples import to_arrays

        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise InvalidInput("This machine has no CUDA device; train with --device cpu.")
        recipe, dtype = request.recipe, _dtype(self.precision)
        run = TrainingRun(
            starting_model(recipe, request.parent),
            recipe,
            request.data,
            request.held_out,
            output=str(request.output),
            checkpoint=str(request.checkpoint),
            device=self.device,
            dtype=dtype,
            **request.settings,
        )

        def watch(part: float, log: list[dict[str, float]]) -> None:
            if is_cancelled():
                raise Cancelled("Stopped on request.")
            tell(part, log)

        done = run.run(watch)
        precision = str(dtype).replace("torch.", "")
        samples = to_arrays(done.samples)
        return Trained(done.card, done.log, samples, self.device, precision, "", done.warnings)

    @property
    def listed(self) -> str:
        """File in the folder of models, once written; empty where it is not to be there."""
        if not self.list_folder:
            return ""
        if lies_in(Path(self.output), Path(self.list_folder)):
            return self.output
        return str(Path(self.list_folder, f"{ModelCard.read(self.output).id}.safetensors"))

    def _write_beside(self, trained: Trained, found: Found, seconds: float) -> None:
        if self.list_folder and self.listed != self.output:
            publish_file(Path(self.output), Path(self.listed))
        if self.report:
            write_page(training_page(self, trained, found, seconds), self.report)
        if self.card_beside:
            # For people: the same card as in the header, in a form that a diff can show.
            text = json.dumps(asdict(trained.card), indent=2, sort_keys=True, ensure_ascii=False)
            beside = Path(self.output).with_suffix(".json")
            beside.write_text(text + "\n", encoding="utf-8")

    def _warn(self, progress: Progress, text: str) -> None:
        self.warnings.append(text)
        progress(0.0, Caution(text))


class _Teller:
    """Turns a growing log into messages."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._told = progress, 0

    def __call__(self, part: float, log: list[dict[str, float]]) -> None:
        for entry in log[self._told :]:
            self._progress(part, entry_text(entry))
        self._told = max(self._told, len(log))
        self._progress(part, "")


def entry_text(entry: dict[str, float]) -> str:
    """One line of the log."""
    figures = [
        f"{name} {value:.4g}"
        for name, value in entry.items()
        if name not in ("step", "seconds", "left") and np.isfinite(value)
    ]
    left = f"  {entry['left'] / 60:.0f} min left" if entry.get("left") else ""
    return f"step {entry['step']:g}  {'  '.join(figures)}{left}"


def _data_text(data: TrainingSet, held_out: TrainingSet | None) -> str:
    kept = f", {held_out.pixels / 1e6:.3g} megapixels held out" if held_out else ""
    kind = "pairs of images" if data.noisy else "clean images"
    return f"{len(data)} {kind}, {data.pixels / 1e6:.3g} megapixels to learn from{kept}."


def _dtype(precision: str) -> Any:
    import torch

    names = {"auto": torch.bfloat16, "bf16": torch.bfloat16, "fp32": torch.float32}
    if precision not in names:
        raise InvalidInput(f"Unknown precision '{precision}'; choose {', '.join(names)}.")
    return names[precision]

"""Fine-tuning on a raster as a job: windows from GDAL to the engine, which writes the model."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import Cancelled, InvalidInput
from ..core.models.card import ModelCard
from ..core.models.registry import find
from ..core.speckle import speckle_correlation
from ..core.tiling import Window
from ..core.tuning import Scene, TuningRecipe, training_windows
from ..engine.client import Tuned, TuningRequest
from ..engine.shared import shared_engine
from ..raster.alignment import AlignedSource, pixel_offset
from ..raster.creation import make_workspace
from ..raster.source import RasterSource
from .checks import settle_method
from .finetune_result import FineTuneResult
from .limits import check_positive
from .messages import Caution, Epoch
from .scenes import IsCancelled, Progress, measure_bands, settle_looks

BoolArray = npt.NDArray[np.bool_]

# As many as the paper's 512 x 512 image.
_PIXELS = 512 * 512
_WINDOW = 256
_LEAST_USABLE = 64

# Correlation between neighbours that still counts as none, and the coarsest stride to try.
_WHITE = 0.1
_MAX_STRIDE = 4


# Of the papers: DoPAMINE's and deSpeckNet's; that of AINDNet does not say.
EPOCHS = {"aft": 10, "despecknet": 1, "transfer": 10, "retrain": 10}


@dataclass(frozen=True)
class FineTuneJob:
    """Fine-tune a model on a raster.

    Attributes
    ----------
    input, output : str
        Raster; weights file to write, whose folder must exist.
    bands : sequence of int, optional
        Numbered from 1; all by default.
    model, model_file : str
        Id of an installed model, or the path of a weights file, which wins.
    domain : str
        As for `DespeckleJob`.
    looks : float, optional
        Equivalent number of looks; estimated from the whole scene by default.
    knob : float, optional
        L the tuned maps are for, ``looks`` by default: lower is smoother.
    extent : Window, optional
        Part of the raster to learn from, in pixels.
    area : callable, optional
        Gives the mask of the pixels to learn from in a window (polygons, say).
    epochs : int
        0 takes the method's own, `EPOCHS`.
    learning_rate, augment, depth, patience, seed
        See `core.tuning.TuningRecipe`.
    stride : int
        See there; 0 takes the least at which the speckle looks white.
    pixels : int
        Most pixels to learn from, all bands together; a larger scene is sampled by windows.
    device, precision : str
        See `engine.client.Engine.load`.
    title : str
        Of the model in lists.
    model_id : str
        Of the model in lists; by default the output's name.
    method : str
        "auto" goes by the model, see `checks.settle_method`; else one of `tuning.METHODS`.
    reference : str, optional
        Raster of speckle-free values on the same pixels, for the methods that learn from
        pairs; its bands and domain are those of the input.
    clean, noisy, variation : float
        See `core.tuning.TuningRecipe`.
    checkpoint : str, optional
        File to resume from; by default one in the folder for temporary files, found again by
        a job of the same input and settings.
    """

    input: str
    output: str
    bands: Sequence[int] | None = None
    model: str = "dopamine-blind"
    model_file: str | None = None
    domain: str = "auto"
    looks: float | None = None
    knob: float | None = None
    extent: Window | None = None
    area: Callable[[Window], BoolArray] | None = None
    epochs: int = 0
    learning_rate: float = 0.0
    augment: bool = True
    depth: str = "full"
    patience: int = 3
    seed: int = 0
    stride: int = 0
    pixels: int = _PIXELS
    device: str = "auto"
    precision: str = "auto"
    title: str = ""
    model_id: str = ""
    method: str = "auto"
    reference: str | None = None
    clean: float = 0.01
    noisy: float = 1.0
    variation: float = 0.0
    checkpoint: str | None = None
    python: str | None = None
    model_folders: Sequence[str] = ()

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> FineTuneResult:
        """Tune; on any error or cancel no model is written and an old one is untouched.

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError, RasterError
        """
        started = time.perf_counter()
        check_positive("LOOKS", self.looks)
        check_positive("KNOB", self.knob)
        path = self.model_path()
        card = ModelCard.read(path)
        method = settle_method(card, self.method, self.reference)
        self._recipe(1.0, 1, method)  # refuses bad settings before anything is read
        self.check_output()
        with RasterSource(self.input, self.bands, self.domain) as source:
            progress(0.0, f"Domain: {source.domain} ({source.domain_reason}).")
            statistics = measure_bands(source, is_cancelled)
            looks = settle_looks(self.looks, statistics, progress)
            scales = {
                band: card.scene_scale(figures.mean, figures.geometric_mean)
                for band, figures in statistics.items()
            }
            with ExitStack() as stack:
                references = self._references(stack, source)
                scenes = self._scenes(source, references, card.halo, scales, is_cancelled)
            domain = source.domain
        warnings: list[str] = []
        correlated = any(band.correlated for band in statistics.values())
        correlation, stride = self._whiten(scenes, correlated, method, warnings)
        recipe = self._recipe(looks, stride, method, correlated)
        for warning in warnings:
            progress(0.0, Caution(warning))
        request = self._request(path, card, scenes, recipe, looks)
        tuned = self._tune(request, progress, is_cancelled)
        for warning in tuned.warnings:
            progress(1.0, Caution(warning))
        return FineTuneResult(
            path=self.output,
            tuned=tuned,
            looks=looks,
            knob=self.knob or looks,
            correlation=correlation,
            stride=stride,
            pixels=sum(int(scene.usable().sum()) for scene in scenes),
            seconds=time.perf_counter() - started,
            domain=domain,
            scales=scales,
            warnings=[*warnings, *tuned.warnings],
        )

    def _recipe(
        self, looks: float, stride: int, method: str, cautious: bool = False
    ) -> TuningRecipe:
        return TuningRecipe(
            looks=looks,
            augment=self.augment,
            depth=self.depth,
            learning_rate=self.learning_rate,
            epochs=self.epochs or EPOCHS[method],
            patience=self.patience,
            stride=stride,
            cautious=cautious,
            seed=self.seed,
            method=method,
            clean=self.clean,
            noisy=self.noisy,
            variation=self.variation,
            knob=self.knob or 0.0,
        )

    def model_path(self) -> Path:
        """Weights file to start from.

        Raises
        ------
        ModelError
            When there is no such model.
        """
        if self.model_file:
            return Path(self.model_file)
        return find(self.model, [Path(folder) for folder in self.model_folders])

    def check_output(self) -> None:
        """Refuse an output that could not be written.

        Raises
        ------
        InvalidInput, ModelError, RasterError
        """
        output = Path(self.output)
        if output.suffix != ".safetensors":
            raise InvalidInput(f"The tuned model must be a .safetensors file, not {output.name}.")
        if not output.parent.is_dir():
            raise InvalidInput(f"The folder {output.parent} does not exist; create it first.")
        if output.is_dir():
            raise InvalidInput(f"The output {output} is a folder; give the name of a file in it.")
        model = self.model_path()
        if output.exists() and model.exists() and output.samefile(model):
            raise InvalidInput("The tuned model must not overwrite the one it starts from.")
        os.rmdir(make_workspace(output))

    def _references(self, stack: ExitStack, source: RasterSource) -> dict[int, AlignedSource]:
        """The reference of each band, read on the pixels of the input."""
        if not self.reference:
            return {}
        other = stack.enter_context(RasterSource(self.reference, source.bands, source.domain))
        offset = pixel_offset(source, other)
        return {band: AlignedSource(other, band, offset) for band in source.bands}

    def _scenes(
        self,
        source: RasterSource,
        references: Mapping[int, AlignedSource],
        halo: int,
        scales: dict[int, float],
        is_cancelled: IsCancelled,
    ) -> list[Scene]:
        """Windows to learn from, each with the surroundings that the network sees."""
        whole = Window(0, 0, source.width, source.height)
        extent = whole if self.extent is None else whole.intersection(self.extent)
        if extent is None:
            raise InvalidInput("The extent lies outside the raster; choose one that overlaps it.")
        scenes = []
        for band, scale in scales.items():

            def read(window: Window) -> Scene | None:
                _stop_if(is_cancelled)
                reference = references.get(band)  # noqa: B023
                return self._scene(source, reference, band, window, halo, scale)  # noqa: B023

            def fit(window: Window) -> bool:
                return read(window) is not None

            share = max(self.pixels // len(source.bands), 1)
            windows = training_windows(extent, share, _WINDOW, self.seed, fit)
            scenes += [scene for scene in map(read, windows) if scene is not None]
        if not scenes:
            raise InvalidInput(
                f"Fewer than {_LEAST_USABLE} valid pixels to fine-tune on: the area is too small "
                "or all nodata. Choose a larger one."
            )
        return scenes

    def _scene(
        self,
        source: RasterSource,
        reference: AlignedSource | None,
        band: int,
        core: Window,
        halo: int,
        scale: float,
    ) -> Scene | None:
        """A window with its halo; None where too few of its pixels are to be learnt from."""
        mask = np.ones((core.height, core.width), bool) if self.area is None else self.area(core)
        if mask.sum() < _LEAST_USABLE:
            return None
        wide = Window(
            core.x - halo, core.y - halo, core.width + 2 * halo, core.height + 2 * halo
        ).intersection(Window(0, 0, source.width, source.height))
        assert wide is not None
        intensity, valid = source.read(band, wide)
        area = np.zeros(valid.shape, bool)
        y, x = core.y - wide.y, core.x - wide.x
        area[y : y + core.height, x : x + core.width] = mask
        label = None
        if reference is not None:
            values, known = reference(wide)
            label = np.where(known, values, np.float32(np.nan))
        scene = Scene(intensity, valid, scale, area, label)
        return scene if scene.usable().sum() >= _LEAST_USABLE else None

    def _whiten(
        self, scenes: list[Scene], correlated: bool, method: str, warnings: list[str]
    ) -> tuple[float, int]:
        """Correlation of neighbouring speckle, and the stride to use."""

        def correlation(lag: int) -> float:
            values = []
            for scene in scenes:
                try:
                    values.append(max(speckle_correlation(scene.intensity, scene.valid, lag)))
                except InvalidInput:
                    continue
            return median(values) if values else 0.0

        near = correlation(1)
        if method != "aft":
            return near, 1
        if not correlated:
            return near, self.stride or 1
        if self.stride == 1:
            warnings.append(
                f"The speckle of neighbouring pixels is correlated ({near:.2f}): the fine-tuning "
                "will leave too much of it. Use a larger stride, or a lower knob."
            )
        if self.stride:
            return near, self.stride
        # Correlated between neighbours, or it would not be here.
        stride = 2
        while stride < _MAX_STRIDE and correlation(stride) > _WHITE:
            stride += 1
        warnings.append(
            f"The speckle of neighbouring pixels is correlated ({near:.2f}): learning from "
            f"every {stride}. pixel."
        )
        return near, stride

    def _request(
        self, path: Path, card: ModelCard, scenes: list[Scene], recipe: TuningRecipe, looks: float
    ) -> TuningRequest:
        output = Path(self.output)
        name = Path(self.input).name
        about = {
            "id": self.model_id or output.stem,
            "title": self.title or f"{card.title}, tuned on {name}",
            "description": f"{card.id}, fine-tuned on {name} for L = {recipe.knob or looks:.3g} "
            f"(the scene: {looks:.3g}).",
            "looks_range": [looks, looks],
        }
        return TuningRequest(
            model=path,
            output=output,
            checkpoint=self._checkpoint(card, scenes, recipe),
            scenes=scenes,
            recipe=recipe,
            card=about,
            device=self.device,
            precision=self.precision,
        )

    def _checkpoint(self, card: ModelCard, scenes: list[Scene], recipe: TuningRecipe) -> Path:
        if self.checkpoint:
            return Path(self.checkpoint)
        digest = hashlib.sha256(json.dumps(recipe.to_mapping(), sort_keys=True).encode())
        digest.update(card.tensors_sha256.encode())
        for scene in scenes:
            digest.update(np.ascontiguousarray(scene.intensity).tobytes())
            digest.update(scene.usable().tobytes())
            if scene.reference is not None:
                digest.update(np.ascontiguousarray(scene.reference).tobytes())
        name = f"speckless-tuning-{digest.hexdigest()[:24]}.checkpoint"
        return Path(tempfile.gettempdir(), name)

    def _tune(self, request: TuningRequest, progress: Progress, is_cancelled: IsCancelled) -> Tuned:
        told = 0

        def tell(part: float, history: list[dict[str, float]]) -> None:
            nonlocal told
            for entry in history[told:]:
                progress(part, Epoch(_epoch_text(entry, request.recipe.method), entry))
            told = max(told, len(history))
            progress(part, "")

        with shared_engine(self.python, is_cancelled) as engine:
            return engine.finetune(request, tell, is_cancelled)


def _epoch_text(entry: dict[str, Any], method: str) -> str:
    what, when = ("estimated risk", "Epoch") if method == "aft" else ("held-out loss", "Check")
    risk = f"{what} {entry['risk']:.4g} ± {entry['risk_standard_error']:.2g}"
    if not entry["epoch"]:
        return f"Before: {risk}."
    change = f"change {entry['change']:+.3g} ± {entry['change_standard_error']:.2g}"
    return f"{when} {entry['epoch']:g}: {risk}, {change}."


def _stop_if(is_cancelled: IsCancelled) -> None:
    if is_cancelled():
        raise Cancelled("Fine-tuning was cancelled.")

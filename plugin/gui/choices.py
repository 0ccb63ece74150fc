"""What the user has chosen in the dock, and what follows from it for jobs and Processing."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import Any

from ..core.models.registry import DEFAULT_MODEL
from ..core.tiling import Window
from ..jobs.despeckling import DespeckleJob
from ..jobs.finetuning import FineTuneJob
from ..jobs.preview import PreviewRequest
from ..toolbelt.settings import Settings

ALGORITHM = "speckless:despeckle"
TUNING_ALGORITHM = "speckless:finetune"


@dataclass(frozen=True)
class Choices:
    """One state of the dock.

    Attributes
    ----------
    layer_id : str
        Empty where no raster is chosen.
    path : str
        What GDAL opens.
    band, bands : int
        The one looked at, from 1; how many there are.
    domain : str
        "auto" or the one given.
    looks : float or None
        L of the speckle; None until it is known.
    turn : float
        Knob over looks: 1 leaves the estimate at the true L.
    model : str
        Id.
    model_file : str
        Weights that are not in the list and go before the id; empty for none.
    """

    layer_id: str = ""
    path: str = ""
    band: int = 1
    bands: int = 1
    domain: str = "auto"
    looks: float | None = None
    turn: float = 1.0
    model: str = DEFAULT_MODEL
    model_file: str = ""

    @property
    def knob(self) -> float | None:
        """L the estimate is made for; None as long as looks are unknown."""
        return None if self.looks is None else self.looks * self.turn

    def preview_request(self, window: Window, step: int) -> PreviewRequest:
        """What the preview is made of."""
        settings = Settings.load()
        return PreviewRequest(
            path=self.path,
            band=self.band,
            window=window,
            step=step,
            domain=self.domain,
            model=self.model,
            model_file=self.model_file or None,
            looks=self.looks,
            knob=self.knob,
            device=settings.device,
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in settings.model_folders()],
        )

    def despeckle_job(self, output: str, all_bands: bool) -> DespeckleJob:
        """The run on the whole layer that gives the preview's pixels."""
        settings = Settings.load()
        return DespeckleJob(
            input=self.path,
            output=output,
            bands=None if all_bands else [self.band],
            model=self.model,
            model_file=self.model_file or None,
            domain=self.domain,
            looks=self.looks,
            knob=None if self.turn == 1 else self.knob,
            device=settings.device,
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in settings.model_folders()],
        )

    def tuning_job(self, output: str, window: Window | None, depth: str, title: str) -> FineTuneJob:
        """Fine-tuning of the model at the knob, on the band looked at."""
        settings = Settings.load()
        return FineTuneJob(
            input=self.path,
            output=output,
            bands=[self.band],
            model=self.model,
            domain=self.domain,
            looks=self.looks,
            knob=self.knob,
            extent=window,
            depth=depth,
            title=title,
            device=settings.device,
            python=settings.engine_python or None,
            model_folders=[str(folder) for folder in settings.model_folders()],
        )

    def parameters(self, output: str, all_bands: bool, by_path: bool = False) -> dict[str, Any]:
        """The same run as parameters of the algorithm; defaults are left out."""
        values: dict[str, Any] = {
            "INPUT": self.path if by_path else self.layer_id,
            "BANDS": None if all_bands or self.bands == 1 else [self.band],
            "MODEL": self.model,
            "MODEL_FILE": self.model_file or None,
            "DOMAIN": None if self.domain == "auto" else self.domain,
            "LOOKS": self.looks,
            "KNOB": None if self.turn == 1 else self.knob,
            "OUTPUT": output or "TEMPORARY_OUTPUT",
        }
        return {name: value for name, value in values.items() if value is not None}

    def tuning_parameters(
        self, depth: str, extent: str, area: str, by_path: bool = False
    ) -> dict[str, Any]:
        """A fine-tuning as parameters of its algorithm; see `tuning_job`.

        Parameters
        ----------
        depth : str
        extent, area : str
            EXTENT and TRAINING_AREA; "" for none.
        """
        values: dict[str, Any] = {
            "INPUT": self.path if by_path else self.layer_id,
            "BANDS": None if self.bands == 1 else [self.band],
            "MODEL": self.model,
            "DOMAIN": None if self.domain == "auto" else self.domain,
            "LOOKS": self.looks,
            "KNOB": self.knob,
            "EXTENT": extent or None,
            "TRAINING_AREA": area or None,
            "DEPTH": depth,
            "MODEL_OUTPUT": "TEMPORARY_OUTPUT",
        }
        return {name: value for name, value in values.items() if value is not None}

    def command(self, output: str, all_bands: bool) -> str:
        """The same run as a command for a terminal."""
        arguments = ["qgis_process", "run", ALGORITHM]
        values = self.parameters(output or "despeckled.tif", all_bands, by_path=True)
        for name, value in values.items():
            parts = value if isinstance(value, list) else [value]
            # Numbers in full: the same pixels, not nearly the same.
            arguments += [f"--{name}={part}" for part in parts]
        return subprocess.list2cmdline(arguments) if os.name == "nt" else shlex.join(arguments)

"""What goes into the engine, and what comes out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..core.errors import InvalidInput
from ..core.models.card import ModelCard
from ..core.tiling import Window
from .protocol import OUTPUTS


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
        Of "x", "a", "b". Those the model does not give are left out of the result.
    model : Loaded or None
        None: the model loaded last.
    """

    intensity: np.ndarray
    valid: np.ndarray
    inner: Window
    scale: float = 1.0
    looks: float = 1.0
    knob: float | None = None
    outputs: tuple[str, ...] = ("x",)
    model: Loaded | None = None

    def check(self) -> None:
        """Raise InvalidInput where the request cannot be computed."""
        if self.intensity.ndim != 2 or self.intensity.shape != self.valid.shape:
            raise InvalidInput(
                "A tile needs intensity and validity as 2-D arrays of one shape, got "
                f"{self.intensity.shape} and {self.valid.shape}."
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

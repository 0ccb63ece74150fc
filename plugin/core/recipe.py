"""What a training is made of: network, data, speckle, loss, schedule. Read from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import InvalidInput

LOSSES = ("mse", "psnr", "l1", "ssim", "ms-ssim", "mixed", "log", "log-cosh")
# Of any network, of AINDNet, deSpeckNet and ScaoedNet.
TERMS = (
    *("tv", "asymmetric", "noise_tv"),
    *("level", "clean", "noisy", "variation", "stages", "noise"),
)
LAWS = ("uniform", "log")
SCHEDULES = ("halve", "cosine")


@dataclass(frozen=True)
class Recipe:
    """A complete, reproducible description of one training.

    Attributes
    ----------
    id, title, description : str
        Of the model the training makes.
    architecture, arguments : str, dict
        Network and its constructor's arguments.
    scale : str
        Scene scale of the card: "mean" for gray images, "geometric" for SAR.
    looks : tuple of float
        One value, or the range L is drawn from.
    looks_law : {"uniform", "log"}
        Whether L or its logarithm is drawn uniformly; by the latter, octaves are equally likely.
    group : int
        Patches in a row that share one L in an epoch (121 in the paper's blind training).
    patch, stride, batch : int
        Pixels of a patch, its grid step in the images, patches in a step.
    epochs : int
        Passes over the grid of patches (full schedule; a budget takes fewer steps).
    learning_rate : float
        Of Adam, at the start.
    schedule : {"halve", "cosine"}
        Halved at each third of the run (the paper: every 10 of 30 epochs), or one cosine
        after a short warm-up.
    loss : {"mse", "psnr", "l1", "ssim", "ms-ssim", "mixed", "log", "log-cosh"}
        Mean squared or absolute error of intensity; structural similarity, in one or several
        windows, and mixed with L1; or of d = ln x - ln x̂: ½·mean(e^d - d - 1) + ½·mean(d²),
        or ln cosh, which see dark pixels as well as bright ones. See `losses`.
    terms : dict
        Weights of what is added: "tv", the estimate's total variation; "asymmetric" and
        "noise_tv", of networks that estimate the noise level; and the network's own terms, see
        its `training_loss`, with its defaults where left out.
    dynamic_range : tuple of float
        (lo, hi): images become exp((g - ½)·r) with r from U[lo, hi]; (0, 0) keeps g.
    blur : tuple of float
        Range of the Gaussian σ (pixels) that smooths images first: SAR scenes hold less
        contrast from pixel to pixel than sharp photographs.
    psf : tuple of float
        Range of the Gaussian σ (pixels) that correlates the speckle; (0, 0) is white.
    bright_points : float
        Chance of a pixel to become a strong scatterer.
    flips : bool
        Draw one of the 8 flips and rotations for every patch.
    ema : float
        Decay of the running mean of the weights that is kept; 0 keeps the last ones.
    seed : int
        Everything random follows from it.
    parent : str
        Model to start from instead of fresh weights.
    """

    id: str
    title: str
    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    citation: str = ""
    scale: str = "mean"
    looks: tuple[float, ...] = (1.0,)
    looks_law: str = "uniform"
    group: int = 1
    patch: int = 40
    stride: int = 10
    batch: int = 64
    epochs: int = 30
    learning_rate: float = 1e-3
    schedule: str = "halve"
    loss: str = "mse"
    terms: dict[str, float] = field(default_factory=dict)
    dynamic_range: tuple[float, float] = (0.0, 0.0)
    blur: tuple[float, float] = (0.0, 0.0)
    psf: tuple[float, float] = (0.0, 0.0)
    bright_points: float = 0.0
    flips: bool = False
    ema: float = 0.0
    seed: int = 0
    parent: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("loss", LOSSES), ("schedule", SCHEDULES), ("looks_law", LAWS)):
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"Recipe: {name} '{getattr(self, name)}' is not one of {', '.join(allowed)}."
                )
        unknown = sorted(set(self.terms) - set(TERMS))
        if unknown:
            raise InvalidInput(
                f"Recipe: unknown loss terms {', '.join(unknown)}; choose from {', '.join(TERMS)}."
            )
        if len(self.looks) not in (1, 2) or min(self.looks) <= 0:
            raise InvalidInput("Recipe: looks must be one positive number, or a range of two.")
        for name in ("patch", "stride", "batch", "epochs", "group"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"Recipe: {name} must be at least 1.")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Recipe:
        """Make a recipe from parsed TOML; lists become tuples.

        Raises
        ------
        InvalidInput
            On unknown keys, missing ones, or values out of range.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidInput(f"Recipe: unknown keys {', '.join(unknown)}.")
        frozen: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        try:
            return cls(**frozen)
        except TypeError as error:
            raise InvalidInput(f"Recipe: {error}") from error

    @property
    def gray(self) -> bool:
        """Whether scenes are the gray images themselves, of which PSNR has a meaning."""
        return self.dynamic_range[1] <= 0

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as a card keeps them."""
        return asdict(self)

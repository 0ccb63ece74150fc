"""What a fine-tuning is made of, and which parts of a big scene it sees. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput
from .special import check_positive
from .tiling import Window

DEPTHS = ("full", "head", "scale")
METHODS = ("aft", "despecknet", "transfer", "retrain")
WEIGHTINGS = ("auto", "none", "relative")

# Few parameters bear larger steps. The paper takes 1.2e-5 for "full"; from the weights here that
# gains less in its 10 epochs (`./run bench paper table1 --learning-rate`).
_RATES = {"full": 6e-5, "head": 3e-4, "scale": 1e-3}
# Correlated speckle is scene to a whole network that learns fast: on real scenes the log-RMSE
# fell as by half the rate, but most of the smoothness went too (`./run bench cures`).
_CAUTIOUS_RATES = {**_RATES, "full": 3e-5}

# Of the methods that tune by patches; the first is the paper's.
_METHOD_RATES = {"despecknet": 1e-3, "transfer": 1e-4, "retrain": 1e-4}

_HELD_OUT_SIDES = (16, 8, 4)
_LEAST_PIXELS = 64


@dataclass(frozen=True)
class TuningRecipe:
    """A complete, reproducible description of one fine-tuning.

    Attributes
    ----------
    looks : float
        L of the loss: that of the scene's speckle, for which alone the loss is unbiased.
    augment : bool
        AFT (equation 7): each epoch sees all 8 flips and rotations. Else FT (equation 6).
    depth : {"full", "head", "scale"}
        What is tuned: all weights; the 1×1 head, on features computed once; a scale of each
        feature and the last convolution.
    learning_rate : float
        Of Adam; 0 takes the depth's own: 6e-5 for "full", half of it if ``cautious`` (the
        paper: 1.2e-5).
    epochs : int
    patience : int
        Epochs without a lower held-out risk after which to stop; 0 for never.
    stride : int
        Learn from every n-th pixel of every n-th row (all n² such images), which white
        neighbours' speckle where it is correlated.
    weighting : {"auto", "none", "relative"}
        "none" is the paper's mean squared error. "relative" divides the error of a pixel by
        the mean of its surroundings, or else a few bright targets make up all of a SAR scene's
        error. "auto" goes by the model's scale: relative for "geometric".
    cautious : bool
        Keep no epoch but one whose held-out risk fell by more than its standard error: where
        the speckle is correlated, the risk may fall while the image gets worse. And learn the
        slower.
    held_out : float
        Share of the pixels, in blocks, left out of the loss to measure the risk on.
    tile : int
        Largest side computed at once, which bounds the memory; 0 for the whole image. The
        gradient is that of the whole image all the same.
    seed : int
        Of the held-out blocks and the order of the images.
    method : {"aft", "despecknet", "transfer", "retrain"}
        "aft" is that of affine models (`finetuning`), for which alone depth, stride, weighting,
        cautious and tile hold; the others are those of `patch_tuning`.
    clean, noisy, variation : float
        Weights of deSpeckNet's losses in its phase 2, μ₂, ξ and λ; the paper's for detected
        products. For single-look images it takes λ = 1e-4.
    knob : float
        L the tuned maps are for (lower: smoother); 0 for ``looks``. The loss looks at them
        turned to ``looks``. The paper turns L in the loss instead, which makes slopes negative
        where it lies below the speckle's, and leaves speckle in where it lies above.
    """

    looks: float
    augment: bool = True
    depth: str = "full"
    learning_rate: float = 0.0
    epochs: int = 10
    patience: int = 3
    stride: int = 1
    weighting: str = "auto"
    cautious: bool = False
    held_out: float = 0.1
    tile: int = 0
    seed: int = 0
    method: str = "aft"
    clean: float = 0.01
    noisy: float = 1.0
    variation: float = 0.0
    knob: float = 0.0

    def __post_init__(self) -> None:
        check_positive(self.looks, "number of looks")
        if self.knob:
            check_positive(self.knob, "knob")
        named = (("depth", DEPTHS), ("weighting", WEIGHTINGS), ("method", METHODS))
        for name, allowed in named:
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"Fine-tuning: {name} '{getattr(self, name)}' is not one of "
                    f"{', '.join(allowed)}."
                )
        if not (math.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise InvalidInput(f"The learning rate must be positive, got {self.learning_rate}.")
        if self.epochs < 1 or self.stride < 1 or self.patience < 0 or self.tile < 0:
            raise InvalidInput("Fine-tuning needs at least one epoch, a stride of at least 1.")
        weights = (self.clean, self.noisy, self.variation)
        if not (all(math.isfinite(w) and w >= 0 for w in weights) and max(weights) > 0):
            raise InvalidInput(
                f"The weights of deSpeckNet's losses must be 0 or positive, got {weights}."
            )
        if not 0 < self.held_out < 1:
            raise InvalidInput(f"The held-out share must be within 0 and 1, got {self.held_out}.")

    @property
    def rate(self) -> float:
        """Learning rate used."""
        if self.method != "aft":
            return self.learning_rate or _METHOD_RATES[self.method]
        return self.learning_rate or (_CAUTIOUS_RATES if self.cautious else _RATES)[self.depth]

    @property
    def turns(self) -> int:
        """Flips and rotations of each image in an epoch."""
        return 8 if self.augment else 1

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as a card or a checkpoint keeps them."""
        return {**asdict(self), "learning_rate": self.rate}


@dataclass(frozen=True)
class Scene:
    """An image, or a window of one, to tune on.

    Attributes
    ----------
    intensity : ndarray of float32, (H, W)
        Linear.
    valid : ndarray of bool, (H, W)
        Pixels that hold data; the others are neither seen nor learnt from.
    scale : float
        Frozen scene scale, see `ModelCard.scene_scale`.
    area : ndarray of bool, optional
        Pixels to learn from, where not from all: the network still sees those around them.
    reference : ndarray of float32, optional
        Speckle-free intensity, for methods that learn from pairs; NaN where there is none.
    """

    intensity: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    scale: float
    area: npt.NDArray[np.bool_] | None = None
    reference: npt.NDArray[Any] | None = None

    def usable(self) -> npt.NDArray[np.bool_]:
        """Pixels to learn from.

        Raises
        ------
        InvalidInput
            When shapes differ, or the scale is not positive.
        """
        check_positive(self.scale, "scene scale")
        area = self.valid if self.area is None else self.area
        if self.intensity.ndim != 2 or not (self.intensity.shape == self.valid.shape == area.shape):
            raise InvalidInput(
                f"Intensity and masks of a scene must have one shape (rows, columns), got "
                f"{self.intensity.shape}, {self.valid.shape} and {area.shape}."
            )
        usable = self.valid & area & np.isfinite(self.intensity)
        if self.reference is None:
            return usable
        if self.reference.shape != self.valid.shape:
            raise InvalidInput("The reference must have as many rows and columns as the scene.")
        # NaN compares as False.
        return usable & (self.reference > 0) & np.isfinite(self.reference)


def hold_out(
    usable: npt.NDArray[np.bool_], share: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], int] | None:
    """Draw blocks of pixels to be left out of the loss.

    Returns
    -------
    (ndarray of bool, int), or None
        Mask within ``usable``, and the side of its blocks: 16 pixels, less in a small area.
        None where there are too few pixels to divide.
    """
    total = int(usable.sum())
    for side in _HELD_OUT_SIDES:
        rows, columns = (range(0, length, side) for length in usable.shape)
        sums = np.add.reduceat(usable.astype(np.int64), rows, axis=0)
        counts = np.add.reduceat(sums, columns, axis=1)
        blocks = np.argwhere(counts > 0)
        if total >= _LEAST_PIXELS and len(blocks) >= (20 if side > _HELD_OUT_SIDES[-1] else 4):
            break
    else:
        return None
    held = np.zeros_like(usable)
    taken = 0
    # Two at least: one block alone has no spread to judge the risk's error by.
    for number, (row, column) in enumerate(rng.permutation(blocks)):
        if number >= 2 and taken >= share * total:
            break
        held[row * side : (row + 1) * side, column * side : (column + 1) * side] = True
        taken += int(counts[row, column])
    return held & usable, side


def training_windows(
    extent: Window,
    pixels: int,
    side: int,
    seed: int = 0,
    fit: Callable[[Window], bool] = lambda window: True,
) -> list[Window]:
    """Choose windows of a big scene, so that it is tuned on in the time of a small one.

    Parameters
    ----------
    extent : Window
        The part to choose from.
    pixels : int
        Wanted in all. An extent with no more is returned whole.
    side : int
        Of a window.
    seed : int
    fit : callable
        Whether a window is worth reading (holds valid pixels, touches the training area).

    Returns
    -------
    list of Window
        On a grid without overlap, spread evenly: one from each of as many equal parts of the
        grid as there are windows to choose, where one fits.

    Raises
    ------
    InvalidInput
        When no window fits, or a parameter is out of range.
    """
    if pixels < 1 or side < 1:
        raise InvalidInput(f"Windows need pixels and side of at least 1, got {pixels}, {side}.")
    if extent.area <= pixels:
        return [extent]
    width, height = min(side, extent.width), min(side, extent.height)
    columns, rows = extent.width // width, extent.height // height
    wanted = min(max(1, round(pixels / (width * height))), columns * rows)
    rng = np.random.default_rng(seed)
    # Leftover pixels at the borders: the grid's origin is drawn.
    x0 = extent.x + int(rng.integers(extent.width - columns * width + 1))
    y0 = extent.y + int(rng.integers(extent.height - rows * height + 1))
    places = _blockwise(rows, columns, wanted)
    chosen = []
    for part in places:
        for index in rng.permutation(part):
            row, column = divmod(int(index), columns)
            window = Window(x0 + column * width, y0 + row * height, width, height)
            if fit(window):
                chosen.append(window)
                break
    if not chosen:
        raise InvalidInput(
            "No part of the scene is fit to fine-tune on: no valid pixels, or none of the "
            "training area. Choose another extent or area."
        )
    return chosen


def _blockwise(rows: int, columns: int, parts: int) -> list[npt.NDArray[np.int64]]:
    """Cut a grid into parts that are about square, as flat indices."""
    down = min(rows, max(1, round(math.sqrt(parts * rows / columns))))
    index = np.arange(rows * columns).reshape(rows, columns)
    found: list[npt.NDArray[np.int64]] = []
    for number, band in enumerate(np.array_split(index, down)):
        across = parts * (number + 1) // down - parts * number // down
        across = min(max(across, 0), columns)
        if across:
            found += [cut.ravel() for cut in np.array_split(band, across, axis=1)]
    return found

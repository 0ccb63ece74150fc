"""What a network is trained on: clean images, or noisy ones with their references."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TrainingSet:
    """Images to learn from.

    Attributes
    ----------
    clean : sequence of ndarray, (H, W)
        Gray levels in [0, 1] or linear intensity; NaN where not known.
    noisy : sequence of ndarray, (H, W)
        Intensity with speckle, one for each of ``clean``; NaN where invalid. Empty where
        speckle is to be simulated.
    looks, scales : sequence of float
        Number of looks and scene scale (`ModelCard.scene_scale`) of each of ``noisy``.
    gray : bool
        ``clean`` are gray levels of 8-bit pictures, for which PSNR has the peak 1.
    """

    clean: Sequence[Array]
    noisy: Sequence[Array] = ()
    looks: Sequence[float] = ()
    scales: Sequence[float] = ()
    gray: bool = False

    def __post_init__(self) -> None:
        if self.noisy and not (
            len(self.clean) == len(self.noisy) == len(self.looks) == len(self.scales)
        ):
            raise InvalidInput("Pairs need a reference, a number of looks and a scale each.")
        for noisy, clean in zip(self.noisy, self.clean):
            if noisy.shape != clean.shape:
                raise InvalidInput(
                    f"A noisy image of {noisy.shape[1]} x {noisy.shape[0]} pixels has a reference "
                    f"of {clean.shape[1]} x {clean.shape[0]}; both must show the same pixels."
                )

    def __len__(self) -> int:
        return len(self.clean)

    @property
    def pixels(self) -> int:
        """Pixels of all images, those not known included."""
        return sum(image.size for image in self.clean)

    def split(self, share: float, side: int) -> tuple[TrainingSet, TrainingSet | None]:
        """Part into what is learnt from and what is held out.

        Whole images are held out, evenly spread in the list, where there are enough of them;
        else the lower part of each image. Parts never share a pixel.

        Parameters
        ----------
        share : float
            To be held out, 0 for none.
        side : int
            Of a patch: a part must hold one at least.

        Returns
        -------
        (TrainingSet, TrainingSet or None)
            None where the share is 0 or the images are too few and small to be parted.
        """
        if not 0 <= share < 1:
            raise InvalidInput(f"The share held out must be from 0 to below 1, got {share:g}.")
        count = round(share * len(self))
        if not share:
            return self, None
        if 1 <= count < len(self):
            held = {(2 * n + 1) * len(self) // (2 * count) for n in range(count)}
            rest = [n for n in range(len(self)) if n not in held]
            return self._pick(rest), self._pick(sorted(held))
        upper, lower = [], []
        for number, image in enumerate(self.clean):
            rows = max(side, round(share * len(image)))
            if len(image) >= rows + side and image.shape[1] >= side:
                upper.append((number, slice(0, len(image) - rows)))
                lower.append((number, slice(len(image) - rows, None)))
            else:
                upper.append((number, slice(None)))
        return self._cut(upper), self._cut(lower) if lower else None

    def _pick(self, places: Sequence[int]) -> TrainingSet:
        return self._cut([(place, slice(None)) for place in places])

    def _cut(self, parts: Sequence[tuple[int, slice]]) -> TrainingSet:
        if not self.noisy:
            return TrainingSet([self.clean[n][rows] for n, rows in parts], gray=self.gray)
        return TrainingSet(
            [self.clean[n][rows] for n, rows in parts],
            [self.noisy[n][rows] for n, rows in parts],
            [self.looks[n] for n, _ in parts],
            [self.scales[n] for n, _ in parts],
        )

    def digest(self) -> str:
        """SHA-256 of all that is in it."""
        digest = hashlib.sha256()
        for image in (*self.clean, *self.noisy):
            digest.update(repr(image.shape).encode())
            digest.update(np.ascontiguousarray(image, np.float32).tobytes())
        digest.update(repr([list(map(float, self.looks)), list(map(float, self.scales))]).encode())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write it for `load`.

        Raises
        ------
        OSError
        """
        arrays = {
            "looks": np.array(self.looks, float),
            "scales": np.array(self.scales, float),
            "gray": np.array(self.gray),
        }
        for name, images in (("clean", self.clean), ("noisy", self.noisy)):
            for number, image in enumerate(images):
                arrays[f"{name}{number}"] = np.asarray(image, np.float32)
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> TrainingSet:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:

            def images(name: str) -> list[Array]:
                count = sum(file.startswith(name) for file in arrays.files)
                return [arrays[f"{name}{number}"] for number in range(count)]

            looks, scales = arrays["looks"].tolist(), arrays["scales"].tolist()
            gray = bool(arrays["gray"])
            return cls(images("clean"), images("noisy"), looks, scales, gray)


def patch_grid(
    usable: Sequence[npt.NDArray[np.bool_]], side: int, step: int, least: float
) -> npt.NDArray[np.int64]:
    """Places of patches with enough usable pixels: (n, 3) of image, row and column.

    Parameters
    ----------
    usable : sequence of ndarray of bool, (H, W)
    side, step : int
        Of a patch, and between neighbouring ones.
    least : float
        Share of a patch's pixels that must be usable.
    """
    grids = [np.zeros((0, 3), np.int64)]
    for index, mask in enumerate(usable):
        rows = np.arange(0, mask.shape[0] - side + 1, step)
        columns = np.arange(0, mask.shape[1] - side + 1, step)
        if not (len(rows) and len(columns)):
            continue
        grid = np.stack(np.meshgrid([index], rows, columns, indexing="ij"), -1).reshape(-1, 3)
        if not mask.all():
            sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int64)
            sums[1:, 1:] = mask.cumsum(0, dtype=np.int64).cumsum(1)
            y, x = grid[:, 1], grid[:, 2]
            counts = sums[y + side, x + side] - sums[y, x + side] - sums[y + side, x] + sums[y, x]
            grid = grid[counts >= least * side**2]
        grids.append(grid)
    return np.concatenate(grids)

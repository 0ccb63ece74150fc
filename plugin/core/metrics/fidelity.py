"""How near an estimate is to a clean reference: PSNR, SSIM, despeckling gain, EPI."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput
from ..moments import StreamingMoments
from ..quality import SSIM_RADIUS, ssim_map
from .block import Block, box_sums, centres, cumulated
from .figure import Figure, quotient

Array = npt.NDArray[Any]

NAMES = ("PSNR", "PSNR_INPUT", "SSIM", "SSIM_INPUT", "DG", "EPI", "LOG_RMSE_DB")

_DB_PER_NEPER = 10.0 / math.log(10.0)
_NO_PIXEL = "No pixel is valid in all three images."


class Fidelity:
    """Sums of errors against a reference, all of linear intensity, nothing clipped.

    Figures, of the estimate and, for comparison, of the input:

    - PSNR: ``10 log10(peak**2 / MSE)``.
    - SSIM: mean over all 11 x 11 windows without an invalid pixel, see `quality.ssim`.
    - DG, the despeckling gain [1]_: ``10 log10(MSE of the input / MSE of the estimate)``.
    - EPI, the edge preservation index [2]_: with GP the sum of the estimate's Sobel gradients
      over that of the reference's, ``1 - |1 - GP|`` below GP = 2, else 0.
    - LOG_RMSE_DB: standard deviation of the dB difference, so that the scale is free.

    Parameters
    ----------
    peak : float
        Of the PSNR.
    data_range : float
        Of the SSIM.

    Raises
    ------
    InvalidInput
        If one of them is not positive.

    References
    ----------
    .. [1] G. Di Martino et al., "Benchmarking framework for SAR despeckling", IEEE TGRS 52(3),
       1596-1615, 2014.
    .. [2] A. G. Mullissa et al., "deSpeckNet: Generalizing deep learning-based SAR image
       despeckling", IEEE TGRS 60, 2022, equations 14 and 15.
    """

    def __init__(self, peak: float, data_range: float) -> None:
        if not (math.isfinite(peak) and peak > 0):
            raise InvalidInput(f"The peak must be positive, got {peak}.")
        if not (math.isfinite(data_range) and data_range > 0):
            raise InvalidInput(
                "The reference is constant where it is valid, so that nothing can be told from "
                "it; give another."
            )
        self.peak, self.data_range = peak, data_range
        self.pixels = 0
        self._squares = np.zeros(2)  # estimate, input
        self._similarity = np.zeros(2)
        self._windows = 0
        self._gradients = np.zeros(2)  # estimate, reference
        self._log_error = StreamingMoments()

    def add(self, block: Block) -> None:
        """Take in the core of a block that has a reference."""
        if block.reference is None or block.reference_valid is None:
            raise InvalidInput("The block has no reference.")
        usable = block.reference_valid
        inner = usable[block.inner]
        if not inner.any():
            return
        images = [
            np.where(usable, image, 0.0).astype(np.float64)
            for image in (block.estimate, block.noisy, block.reference)
        ]
        estimate, noisy, clean = (image[block.inner][inner] for image in images)
        self.pixels += len(clean)
        self._squares += [
            float(np.sum((estimate - clean) ** 2)), float(np.sum((noisy - clean) ** 2)),
        ]  # fmt: skip
        positive = (estimate > 0) & (clean > 0)
        self._log_error.add(np.log(estimate[positive] / clean[positive]))
        counts = cumulated(usable)
        self._add_similarity(block, images, counts)
        self._add_gradients(block, images, counts)

    def _add_similarity(self, block: Block, images: list[Array], counts: Array) -> None:
        radius = SSIM_RADIUS
        rows, columns, place = centres(counts[1:, 1:].shape, block.core, radius)
        if rows.stop <= rows.start:
            return
        full = box_sums(counts, radius)[rows, columns] == (2 * radius + 1) ** 2
        if not full.any():
            return
        part = np.s_[
            place.y - radius : place.bottom + radius, place.x - radius : place.right + radius
        ]
        estimate, noisy, clean = (image[part] for image in images)
        self._windows += int(np.count_nonzero(full))
        for number, image in enumerate((estimate, noisy)):
            similar = ssim_map(clean, image, self.data_range)
            self._similarity[number] += float(np.sum(similar[full]))

    def _add_gradients(self, block: Block, images: list[Array], counts: Array) -> None:
        rows, columns, place = centres(counts[1:, 1:].shape, block.core, 1)
        if rows.stop <= rows.start:
            return
        full = box_sums(counts, 1)[rows, columns] == 9
        part = np.s_[place.y - 1 : place.bottom + 1, place.x - 1 : place.right + 1]
        for number, image in enumerate((images[0], images[2])):
            self._gradients[number] += float(np.sum(sobel(image[part])[full]))

    def merge(self, other: Fidelity) -> None:
        """Take in what `other` has seen."""
        self.pixels += other.pixels
        self._squares += other._squares
        self._similarity += other._similarity
        self._windows += other._windows
        self._gradients += other._gradients
        self._log_error.merge(other._log_error)

    def figures(self) -> dict[str, Figure]:
        """All of `NAMES`."""
        if not self.pixels:
            return no_reference(_NO_PIXEL)
        errors = self._squares / self.pixels
        same = "The {} equals the reference in every pixel: the figure is infinite."
        found = {}
        for name, image, error in zip(
            ("PSNR", "PSNR_INPUT"), ("despeckled image", "input"), errors
        ):
            ratio = quotient(self.peak**2, float(error), same.format(image))
            found[name] = _decibels(ratio)
        for name, total in zip(("SSIM", "SSIM_INPUT"), self._similarity):
            found[name] = quotient(
                float(total), self._windows, "No window of 11 x 11 pixels is wholly valid."
            )
        gain = quotient(float(errors[1]), float(errors[0]), same.format("despeckled image"))
        if gain.value == 0:
            gain = Figure(None, same.format("input"))
        found["DG"] = _decibels(gain)
        kept = quotient(
            float(self._gradients[0]),
            float(self._gradients[1]),
            "The reference has no gradient anywhere.",
        )
        found["EPI"] = kept if kept.value is None else Figure(max(0.0, 1 - abs(1 - kept.value)))
        if self._log_error.count > 1:
            found["LOG_RMSE_DB"] = Figure(_DB_PER_NEPER * math.sqrt(self._log_error.variance))
        else:
            found["LOG_RMSE_DB"] = Figure(None, "No two pixels are above zero in both images.")
        return found


def no_reference(why: str) -> dict[str, Figure]:
    """All of `NAMES`, each with why there is none."""
    return dict.fromkeys(NAMES, Figure(None, why))


def sobel(image: Array) -> Array:
    """Return the magnitude of the Sobel gradient, (rows - 2, columns - 2)."""
    image = np.asarray(image, np.float64)
    smooth = image[:-2] + 2 * image[1:-1] + image[2:]
    across = smooth[:, 2:] - smooth[:, :-2]
    smooth = image[:, :-2] + 2 * image[:, 1:-1] + image[:, 2:]
    return np.hypot(across, smooth[2:] - smooth[:-2])


def _decibels(ratio: Figure) -> Figure:
    return ratio if ratio.value is None else Figure(10 * math.log10(ratio.value))

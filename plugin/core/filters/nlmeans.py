"""Non-local means for speckle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InvalidInput
from ..special import digamma, trigamma
from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import pad, window_sums

# Most that one pair of pixels adds to the dissimilarity of patches: intensities 40 dB apart.
_MOST = 8.0
_FLOOR = np.float32(1e-30)


@dataclass(frozen=True)
class NonLocalMeans(SpeckleFilter):
    """Mean of the pixels around, weighted by how alike their patches are to the pixel's own.

    Probabilistic patch-based weights [1]_ without iteration. The dissimilarity of two
    intensities is that of the generalised likelihood ratio [2]_, for L looks L times

        ``d = ln((z1 + z2)² / (4 z1 z2))``.

    Averaged over the patch it is compared with what speckle alone would make it: for pixels on
    the same ground ``z1 / (z1 + z2)`` is Beta(L, L) distributed, so that d has the mean
    ``μ = 2 ψ(2L) - 2 ψ(L) - ln 4`` and the variance ``2 ψ'(L) - 4 ψ'(2L)``. Weights are
    ``exp(-max(0, d̄ - μ) / (strength · s))``, s the standard deviation of the mean of a patch.

    Attributes
    ----------
    radius : int
        Of the square that patches are sought in.
    patch : int
        Radius of the patches.
    strength : float
        1 by default; more smooths more.

    References
    ----------
    .. [1] C.-A. Deledalle, L. Denis, F. Tupin, "Iterative weighted maximum likelihood denoising
       with probabilistic patch-based weights", IEEE TIP 18(12), 2661-2672, 2009.
    .. [2] C.-A. Deledalle, L. Denis, F. Tupin, "How to compare noisy patches? Patch similarity
       beyond Gaussian noise", IJCV 99(1), 86-102, 2012.
    """

    radius: int = 7
    patch: int = 2
    strength: float = 1.0

    id: ClassVar[str] = "nlmeans"
    title: ClassVar[str] = "Non-local means"
    max_radius: ClassVar[int] = 20
    tile_size: ClassVar[int] = 256
    strip_pixels: ClassVar[int] = 2**17

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.patch <= 10:
            raise InvalidInput(f"The patch radius must be 1 to 10 pixels, got {self.patch}.")
        if not (math.isfinite(self.strength) and self.strength > 0):
            raise InvalidInput(f"The strength must be a positive number, got {self.strength}.")

    @property
    def halo(self) -> int:
        return self.radius + self.patch

    def settings(self) -> dict[str, str]:
        own = {"PATCH": str(self.patch), "STRENGTH": f"{self.strength:g}"}
        return {**super().settings(), **own}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        even, spread = same_ground(scene.looks)
        scale = self.strength * spread / (2 * self.patch + 1)
        # Single precision: weights need no more, and the logarithms take most of the time.
        floored = np.maximum(values.astype(np.float32), _FLOOR)
        logarithm = np.log(floored)
        total, weights = values.copy(), valid.astype(np.float64)
        for one, other in shifts(values.shape, self.radius):
            both = valid[one] & valid[other]
            apart = np.log(floored[one] + floored[other])
            apart *= 2.0
            apart -= logarithm[one] + logarithm[other]
            apart -= np.float32(math.log(4.0))
            np.clip(apart, 0.0, _MOST, out=apart)
            apart *= both
            mean = _patch_mean(apart, both, self.patch)
            mean -= np.float32(even)
            np.maximum(mean, 0.0, out=mean)
            mean *= np.float32(-1.0 / scale)
            weight = np.exp(np.maximum(mean, np.float32(-80.0)))
            weight *= both
            total[one] += weight * values[other]
            total[other] += weight * values[one]
            weights[one] += weight
            weights[other] += weight
        return np.asarray(total / np.maximum(weights, 1e-300))


def same_ground(looks: float) -> tuple[float, float]:
    """Return mean and standard deviation of the dissimilarity of pixels on the same ground."""
    mean = 2.0 * (digamma(2.0 * looks) - digamma(looks)) - math.log(4.0)
    return mean, math.sqrt(2.0 * trigamma(looks) - 4.0 * trigamma(2.0 * looks))


def shifts(
    shape: tuple[int, ...], radius: int
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield the two parts of an image that a shift lays upon each other, for half of all shifts.

    The other half are the same pairs of pixels the other way round.
    """
    rows, columns = shape
    for y in range(min(radius, rows - 1) + 1):
        for x in range(-radius, radius + 1):
            if (y == 0 and x <= 0) or abs(x) >= columns:
                continue
            left, right = max(-x, 0), columns - max(x, 0)
            yield (
                (slice(0, rows - y), slice(left, right)),
                (slice(y, rows), slice(left + x, right + x)),
            )


def _patch_mean(apart: Array, both: BoolArray, radius: int) -> Array:
    """Return the mean over the pairs of each patch that are valid, single precision."""
    sums = window_sums(pad(apart, radius), radius)
    counts = window_sums(pad(both, radius).astype(np.uint16), radius).astype(np.float32)
    sums /= np.maximum(counts, np.float32(1.0))
    return sums

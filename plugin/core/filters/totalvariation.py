"""Total variation of the logarithm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import InvalidInput
from .base import Array, BoolArray, SceneConstants, SpeckleFilter
from .local import local_mean
from .logarithm import LogIntensity, gamma_proximal, log_intensity


@dataclass(frozen=True)
class TotalVariation(SpeckleFilter):
    """The most probable image if the logarithm of backscatter has little total variation.

    Minimises ``Σ L (u + z e^-u) + λ |∇u|`` [1]_, ``x̂ = e^u``, ``λ = strength · √L``: convex, and
    the likelihood is that of L-look speckle, so that even areas keep their mean. By the
    primal-dual algorithm of Chambolle and Pock [2]_, started from the mean of the 7 x 7 window,
    for a fixed number of iterations: each reaches one pixel further, which is what makes tiles
    exact. Differences to pixels that are not valid do not count.

    Attributes
    ----------
    strength : float
        1 by default; more smooths more.
    iterations : int
        40 by default.

    References
    ----------
    .. [1] Y.-M. Huang, M. K. Ng, Y.-W. Wen, "A new total variation method for multiplicative
       noise removal", SIAM J. Imaging Sciences 2(1), 20-40, 2009.
    .. [2] A. Chambolle, T. Pock, "A first-order primal-dual algorithm for convex problems with
       applications to imaging", J. Math. Imaging and Vision 40, 120-145, 2011.
    """

    strength: float = 1.0
    iterations: int = 40

    id: ClassVar[str] = "totalvariation"
    title: ClassVar[str] = "Total variation"
    tile_size: ClassVar[int] = 256
    strip_pixels: ClassVar[int] = 2**17

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.strength) and self.strength > 0):
            raise InvalidInput(f"The strength must be a positive number, got {self.strength}.")
        if not 1 <= self.iterations <= 200:
            raise InvalidInput(f"The iterations must be 1 to 200, got {self.iterations}.")

    @property
    def halo(self) -> int:
        return self.iterations + 2 * LogIntensity.halo()

    def settings(self) -> dict[str, str]:
        return {"STRENGTH": f"{self.strength:g}", "ITERATIONS": str(self.iterations)}

    def _estimate(self, values: Array, valid: BoolArray, scene: SceneConstants) -> Array:
        image = log_intensity(values, valid)
        usable = valid & ~image.dark
        # Strong convexity of the likelihood around its minimum is L: steps are scaled to it.
        looks, weight = scene.looks, self.strength * math.sqrt(scene.looks)
        dual_step = math.sqrt(looks / 8.0)
        step = 1.0 / (8.0 * dual_step)
        start = local_mean(np.where(usable, image.values, 0.0), usable, LogIntensity.halo())
        estimate = np.log(np.where(usable, start, 1.0))
        ahead = estimate.copy()
        down, across = np.zeros(values.shape), np.zeros(values.shape)
        there_down = usable[1:] & usable[:-1]
        there_across = usable[:, 1:] & usable[:, :-1]
        for _ in range(self.iterations):
            down[:-1] += dual_step * there_down * (ahead[1:] - ahead[:-1])
            across[:, :-1] += dual_step * there_across * (ahead[:, 1:] - ahead[:, :-1])
            shrink = np.maximum(np.hypot(down, across) / weight, 1.0)
            down /= shrink
            across /= shrink
            divergence = down + across
            divergence[1:] -= down[:-1]
            divergence[:, 1:] -= across[:, :-1]
            before = estimate
            estimate = gamma_proximal(before + step * divergence, image.values, looks * step)
            ahead = 2.0 * estimate - before
        return np.where(image.dark, 0.0, np.exp(estimate))

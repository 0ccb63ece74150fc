"""A preview's pixels, and what can be made of them without the network."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..core.affine import affine_map, moments
from ..core.display import difference
from ..core.errors import InvalidInput
from ..core.knob_stack import KnobStack
from ..core.models.card import ModelCard
from ..core.tiling import Window
from .scene_cache import Scene

FloatArray = npt.NDArray[np.float32]

# What can be looked at. All but the first two need a preview at full detail of the model's maps.
VIEWS = ("despeckled", "ratio", "difference", "a", "b")

_BLOCK = 1 << 15
# As in `core.despeckling`: least estimate, relative to the scene's scale.
_LEAST = 1e-6


class Preview:
    """Part of a scene, despeckled as far as tiles have come in; NaN where not, or not valid.

    Attributes
    ----------
    window : Window
        In thinned pixels: multiply by ``step`` for pixels of the raster.
    step : int
    scene : Scene
    card : ModelCard
    looks : float
        L of the speckle.
    knob : float
        L the network made the estimate for.
    intensity, estimate : ndarray of float32, (window.height, window.width)
    device, device_reason : str
        Empty where all tiles were known already.
    warnings : list of str
    stack : KnobStack or None
        Of a network told L, once it was run at anchors: turns the estimate at once.
    """

    def __init__(
        self, window: Window, step: int, scene: Scene, card: ModelCard, looks: float, knob: float
    ) -> None:
        self.window, self.step, self.scene, self.card = window, step, scene, card
        self.looks, self.knob = looks, knob
        self.device = self.device_reason = ""
        self.warnings: list[str] = []
        self.stack: KnobStack | None = None
        self._missing = window.area
        shape = (window.height, window.width)
        self.intensity = np.full(shape, np.nan, np.float32)
        self.estimate = np.full(shape, np.nan, np.float32)
        self._least = np.float32(_LEAST * scene.scale_for(card))
        if card.affine:
            self._a, self._b, self._mean, self._relative = (
                np.full(shape, np.nan, np.float32) for _ in range(4)
            )

    @property
    def is_whole(self) -> bool:
        """Whether all tiles have come in."""
        return self._missing == 0

    @property
    def has_knob(self) -> bool:
        """Whether the model can be turned to, or told, another L."""
        return self.card.affine or not self.card.blind

    @property
    def turns_at_once(self) -> bool:
        """Whether the knob turns without the network, within its reach."""
        return self.card.affine or self.stack is not None

    def turns_to(self, knob: float) -> bool:
        """Whether `turned` gives this knob; otherwise the network must run again."""
        if self.card.affine or knob == self.knob:
            return True
        stack = self.stack
        return stack is not None and stack.anchors[0] <= knob <= stack.anchors[-1]

    def is_exact(self, knob: float) -> bool:
        """Whether `turned` gives what the model gives for this knob, to rounding."""
        return self.card.affine or knob == self.knob

    def part(self, core: Window) -> tuple[slice, slice]:
        """Where a tile lies in the arrays."""
        return (
            slice(core.y - self.window.y, core.bottom - self.window.y),
            slice(core.x - self.window.x, core.right - self.window.x),
        )

    @property
    def views(self) -> tuple[str, ...]:
        """Those of `VIEWS` there are."""
        return VIEWS if self.card.affine else VIEWS[:3]

    def put(self, core: Window, arrays: dict[str, FloatArray]) -> None:
        """Take in a tile: "z", "x" and, of an affine model, "a" and "b" at ``looks``."""
        place = self.part(core)
        self.intensity[place] = arrays["z"]
        if self.card.affine:
            self._a[place], self._b[place] = arrays["a"], arrays["b"]
            mean, relative = moments(arrays["a"], arrays["b"], self.looks)
            self._mean[place], self._relative[place] = mean, relative
        self.estimate[place] = arrays["x"]
        self._missing -= core.area  # each tile comes once

    def warn(self, warnings: Iterable[str]) -> None:
        """Keep what the engine had to say, once."""
        self.warnings += [text for text in dict.fromkeys(warnings) if text not in self.warnings]

    def turned(self, knob: float) -> FloatArray:
        """The estimate for another L.

        Of a network that is not affine, interpolated in `stack`, but for the L it ran with.

        Raises
        ------
        InvalidInput
            When the network must run again, see `turns_to`.
        """
        if knob == (self.looks if self.card.affine else self.knob):
            return self.estimate
        if not self.turns_to(knob):
            raise InvalidInput(f"The model {self.card.id} must run again for another L.")
        if self.stack is not None:
            return self.stack.turned(knob)
        out = np.empty_like(self.estimate)
        variance = np.float32(1 / knob)
        flats = (values.ravel() for values in (self._mean, self._relative, self.intensity, out))
        mean, relative, intensity, flat = flats
        # μ + a·(Z - μ) with a = r / (r + σ²(r + 1)); in blocks that stay in the cache.
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            m, r, x = mean[part], relative[part], flat[part]
            np.multiply(r, 1 + variance, out=x)
            x += variance
            np.divide(r, x, out=x)
            x *= intensity[part] - m
            x += m
            np.maximum(x, self._least, out=x)
        return out

    def maps(self, knob: float) -> tuple[FloatArray, FloatArray]:
        """a and b for an L; InvalidInput where the model has none."""
        if not self.card.affine:
            raise InvalidInput(f"The model {self.card.id} has no maps a and b.")
        if knob == self.looks:
            return self._a, self._b
        a, b = affine_map(self._mean, self._relative, knob)
        return np.asarray(a, np.float32), np.asarray(b, np.float32)

    def view(self, name: str, knob: float) -> FloatArray:
        """The values of one of `views` for an L: linear intensity but for

        "ratio" (input over estimate), "difference" (in the domain's own unit) and "a".
        """
        if name not in self.views:
            raise InvalidInput(f"There is no view '{name}' of {self.card.id}.")
        if name in ("a", "b"):
            return self.maps(knob)[name == "b"]
        estimate = self.turned(knob)
        if name == "ratio":
            return self.intensity / estimate
        if name == "difference":
            return difference(self.intensity, estimate, self.scene.domain)
        return estimate

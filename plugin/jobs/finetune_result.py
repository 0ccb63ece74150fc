"""What a fine-tuning of a raster's model came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..engine.client import Tuned


@dataclass(frozen=True)
class FineTuneResult:
    """What a `FineTuneJob` did.

    Attributes
    ----------
    path : str
        Model written.
    tuned : Tuned
        Its card, history and best epoch; risks are over the scene scale squared, or relative
        to the surroundings squared where the card says ``relative_risk``.
    looks, knob : float
        L of the scene and of the loss.
    correlation : float
        Of neighbouring speckle; white is 0.
    stride : int
    pixels : int
        Learnt from or measured on.
    seconds : float
    domain : str
        What the raster was taken for.
    scales : dict
        Scene scale by number of band.
    warnings : list of str
    """

    path: str
    tuned: Tuned
    looks: float
    knob: float
    correlation: float
    stride: int
    pixels: int
    seconds: float
    domain: str
    scales: dict[int, float]
    warnings: list[str] = field(default_factory=list)

    @property
    def risk_before(self) -> float:
        """Estimated risk of the held-out pixels before the tuning."""
        return self.tuned.history[0]["risk"]

    @property
    def risk_after(self) -> float:
        """The same after it."""
        return self.tuned.history[self.tuned.best_epoch]["risk"]

    @property
    def risk_change(self) -> tuple[float, float]:
        """After less before, and its standard error: far smaller than that of either risk."""
        best = self.tuned.history[self.tuned.best_epoch]
        return best["change"], best["change_standard_error"]

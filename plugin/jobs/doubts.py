"""What a job tells the user to beware of: models used for what they were not made for."""

from __future__ import annotations

import math

from ..core.models.card import ModelCard
from ..core.models.registry import DEFAULT_MODEL

# Mean of input / estimate within which an estimate is taken to keep the radiometry.
_RATIO_RANGE = (0.8, 1.25)


def looks_warnings(card: ModelCard, looks: float) -> list[str]:
    """What to tell of a number of looks far from those the model was trained for."""
    low, high = card.looks_range
    if 0.5 * low <= looks <= 2 * high:
        return []
    return [
        f"The model {card.id} was trained for {low:g} to {high:g} looks and is used for "
        f"{looks:.2g}: look at the result with care."
    ]


def ratio_warnings(card: ModelCard, mean_ratio: float) -> list[str]:
    """What to tell of a mean of input / estimate that is far from 1, as it never should be."""
    low, high = _RATIO_RANGE
    if low <= mean_ratio <= high or math.isnan(mean_ratio):
        return []
    advice = (
        "Another KNOB or another model may help; look at the ratio image."
        if card.for_radar
        else f"The model {card.id} was trained on photographs: choose one for SAR, whose id ends "
        "in -sar."
    )
    return [
        f"The mean of input / estimate is {mean_ratio:.3g}, far from 1: the result does not keep "
        f"the radiometry. {advice}"
    ]


def correlation_warnings(
    model: str, correlation: float, looks: float, knob: float | None, auto: bool
) -> list[str]:
    """What to tell where speckle is correlated, which breaks the premise of affine models.

    Parameters
    ----------
    model : str
    correlation : float
        Of neighbouring speckle.
    looks : float
    knob : float or None
        As asked for.
    auto : bool
        Whether the knob is chosen by the estimated risk.
    """
    finding = f"The speckle of neighbouring pixels is correlated ({correlation:.2f})"
    others = (
        f"the model {DEFAULT_MODEL}, made for such speckle; or fine-tuning on this scene from "
        "every n-th pixel."
    )
    if auto:
        return [
            f"{finding}: the estimated risk is too low, most of all at low knobs, and the knob of "
            "least risk cannot be trusted; it tends to be too low. What helps: a KNOB of your own, "
            f"judged by the ratio image; {others}"
        ]
    if knob is not None and knob <= looks / 2:  # has been told
        return []
    return [
        f"{finding}, but {model} expects it not to be, and leaves speckle in. What helps: a KNOB "
        f"below the number of looks, about {looks / 4:.2g}; {others}"
    ]

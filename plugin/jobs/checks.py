"""What can be seen to be wrong with a job before it runs. Names are those users know."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import InvalidInput
from ..core.models.card import ModelCard
from ..core.models.registry import CLASS_MAPS, LOOKS_MAPS
from ..core.tuning import METHODS

# Optional outputs -> what `ModelCard.maps` calls them; and who has them.
EXTRA_MAPS = {"NOISE": "noise", "NOISE_LEVEL": "level"}
_ESTIMATORS = {"NOISE": "deSpeckNet, ScaoedNet", "NOISE_LEVEL": "AINDNet"}


def check_model(
    card: ModelCard, knob: float | None, maps: Sequence[str], knob_auto: bool = False
) -> None:
    """Refuse what a model cannot give, going by its card.

    Parameters
    ----------
    card : ModelCard
    knob : float, optional
        L the estimate is to be made for.
    maps : sequence of str
        Names of the maps wanted: SLOPE, BIAS, NOISE, NOISE_LEVEL.
    knob_auto : bool
        Whether the knob is to be chosen by the estimated risk.
    """
    for name in [name for name in maps if name in EXTRA_MAPS]:
        if EXTRA_MAPS[name] not in card.maps:
            raise InvalidInput(
                f"The model '{card.id}' does not estimate a {name} map. Leave {name} out, or "
                f"choose a model that does ({_ESTIMATORS[name]})."
            )
    maps = [name for name in maps if name not in EXTRA_MAPS]
    if maps and not card.affine:
        names = " / ".join(maps)
        raise InvalidInput(
            f"The model '{card.id}' is not affine, it has no {names}: choose a DoPAMINE model, "
            f"or leave {names} out."
        )
    if knob_auto and not card.affine:
        raise InvalidInput(
            f"The model '{card.id}' is not affine, its risk cannot be estimated: choose a DoPAMINE "
            "model, or give KNOB and leave KNOB_AUTO out."
        )
    if knob_auto and knob is not None:
        raise InvalidInput("Give KNOB, or have it chosen by KNOB_AUTO, not both.")
    if knob is not None and card.blind and not card.affine:
        raise InvalidInput(
            f"The model '{card.id}' has no knob: it is not told a number of looks. Leave KNOB out."
        )


def check_stages(card: ModelCard, stages: int) -> None:
    """Refuse a number of stages that a model has not; 0 takes all."""
    if stages and not card.stages:
        raise InvalidInput(f"The model '{card.id}' has no stages to choose: leave STAGES at 0.")
    if not 0 <= stages <= max(card.stages, 0):
        raise InvalidInput(
            f"STAGES must be 0 (all) or 1 to {card.stages} for the model '{card.id}', got {stages}."
        )


def settle_method(card: ModelCard, method: str, reference: str | None) -> str:
    """The way a model is fine-tuned: as asked for, or by what it is.

    Parameters
    ----------
    card : ModelCard
    method : str
        "auto", or one of `tuning.METHODS`.
    reference : str or None
        Raster of speckle-free values, for the methods that learn from pairs.

    Raises
    ------
    InvalidInput
        When model, method and reference do not go together.
    """
    if method not in ("auto", *METHODS):
        raise InvalidInput(f"METHOD '{method}' is not one of auto, {', '.join(METHODS)}.")
    of_architecture = {"despecknet": "despecknet", "aindnet": "transfer"}
    if method == "auto":
        by_pairs = of_architecture.get(card.architecture, "retrain") if reference else ""
        chosen = "aft" if card.affine else of_architecture.get(card.architecture, "")
        # A reference is given to be used.
        method = ("retrain" if by_pairs == "despecknet" else by_pairs) or chosen
    if method == "aft" or not method:
        check_affine(card)
    if method in of_architecture.values() and of_architecture.get(card.architecture) != method:
        raise InvalidInput(
            f"The model '{card.id}' cannot be tuned by METHOD {method}: that needs "
            f"{'deSpeckNet' if method == 'despecknet' else 'AINDNet'}."
        )
    if method in ("transfer", "retrain") and not reference:
        raise InvalidInput(
            f"METHOD {method} learns from pairs: give a REFERENCE, a raster of speckle-free "
            "values on the same pixels, such as a temporal mean."
        )
    if method in ("aft", "despecknet") and reference:
        raise InvalidInput(f"METHOD {method} uses no REFERENCE: leave it out, or choose retrain.")
    return method


def check_maps(card: ModelCard, looks_map: str | None, class_map: str | None) -> None:
    """Refuse maps that the model would not read."""
    if class_map and card.architecture not in CLASS_MAPS:
        raise InvalidInput(
            f"The model '{card.id}' does not go by classes: choose a class-aware model, or leave "
            "CLASS_MAP out."
        )
    if looks_map and card.architecture not in LOOKS_MAPS:
        raise InvalidInput(
            f"The model '{card.id}' takes one number of looks for the whole scene: choose an "
            "FFDNet model, or leave LOOKS_MAP out."
        )


def check_affine(card: ModelCard) -> None:
    """Refuse to fine-tune a model that has no unbiased risk."""
    if not card.affine:
        raise InvalidInput(
            f"The model '{card.id}' cannot be fine-tuned on the image alone: it has no maps a "
            "and b. Choose a DoPAMINE or deSpeckNet model, or give a REFERENCE."
        )

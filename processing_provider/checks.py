"""What can be seen to be wrong with parameters before anything runs."""

from __future__ import annotations

import math
import re
from typing import Any

from qgis.core import QgsProcessing, QgsProcessingOutputLayerDefinition
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.card import ModelCard
from ..plugin.jobs.despeckling import TILE_SIZES

translate = QCoreApplication.translate

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def check_positive(name: str, value: float | None) -> None:
    """Refuse a number that is given and not positive."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InvalidInput(
            translate(
                "Speckless", "{name} must be a positive number, got {value:g}, or be left empty."
            ).format(name=name, value=value)
        )


def check_choice(name: str, value: Any, options: list[str]) -> None:
    """Refuse what is not among the options; None stands for the default."""
    if value is not None and value not in options:
        raise InvalidInput(
            translate("Speckless", "{name} must be one of {options}, got '{value}'.").format(
                name=name, options=", ".join(options), value=value
            )
        )


def check_device(device: str) -> None:
    """Refuse what no device is called; whether it is there only the engine knows."""
    if not _DEVICE.fullmatch(device):
        raise InvalidInput(
            translate(
                "Speckless",
                "Unknown device '{device}'; give auto, cpu, cuda, cuda:N (N from 0) or mps.",
            ).format(device=device)
        )


def check_tile_size(size: int) -> None:
    """Refuse sizes that would be slow or burst memory; 0 chooses by itself."""
    if size and not TILE_SIZES[0] <= size <= TILE_SIZES[1]:
        raise InvalidInput(
            translate(
                "Speckless",
                "TILE_SIZE must be 0 (automatic) or {low} to {high} pixels, got {size}.",
            ).format(low=TILE_SIZES[0], high=TILE_SIZES[1], size=size)
        )


def check_model(
    card: ModelCard, knob: float | None, maps: list[str], knob_auto: bool = False
) -> None:
    """Refuse what a model cannot give, going by its card."""
    if maps and not card.affine:
        raise InvalidInput(
            translate(
                "Speckless",
                "The model '{model}' is not affine, it has no {maps}: choose a DoPAMINE model, "
                "or leave {maps} out.",
            ).format(model=card.id, maps=" / ".join(maps))
        )
    if knob_auto and not card.affine:
        raise InvalidInput(
            translate(
                "Speckless",
                "The model '{model}' is not affine, its risk cannot be estimated: choose a "
                "DoPAMINE model, or give KNOB and leave KNOB_AUTO out.",
            ).format(model=card.id)
        )
    if knob_auto and knob is not None:
        raise InvalidInput(
            translate("Speckless", "Give KNOB, or have it chosen by KNOB_AUTO, not both.")
        )
    if knob is not None and card.blind and not card.affine:
        raise InvalidInput(
            translate(
                "Speckless",
                "The model '{model}' has no knob: it is not told a number of looks. "
                "Leave KNOB out.",
            ).format(model=card.id)
        )


def check_affine(card: ModelCard) -> None:
    """Refuse to fine-tune a model that has no unbiased risk."""
    if not card.affine:
        raise InvalidInput(
            translate(
                "Speckless",
                "The model '{model}' cannot be fine-tuned: it has no maps a and b. Choose a "
                "DoPAMINE model.",
            ).format(model=card.id)
        )


def destination(value: Any) -> str:
    """File a user asked an output to be written to; "" for none or a temporary one."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    if not isinstance(value, str) or value == QgsProcessing.TEMPORARY_OUTPUT:
        return ""
    return value


def is_asked(value: Any) -> bool:
    """Tell whether an optional output is to be made."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    return bool(value)

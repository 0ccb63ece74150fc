"""Which models there are. Importing this needs no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from .card import ModelCard

if TYPE_CHECKING:
    from .base import Despeckler

WEIGHTS_FOLDER = Path(__file__).resolve().parents[3] / "resources" / "weights"

DEFAULT_MODEL = "ffdnet-sar"

# Name of an architecture -> module beside this one, class.
ARCHITECTURES = {
    "aindnet": ("aindnet", "Aindnet"),
    "boxcar": ("boxcar", "Boxcar"),
    "classaware": ("classaware", "ClassAware"),
    "cbdnet": ("cbdnet", "CbdNet"),
    "despecknet": ("despecknet", "DeSpeckNet"),
    "dncnn": ("dncnn", "DnCnn"),
    "dopamine": ("dopamine", "Dopamine"),
    "ffdnet": ("ffdnet", "FFDNet"),
    "idcnn": ("idcnn", "IdCnn"),
    "nn3d": ("nn3d", "Nn3d"),
    "sarcnn": ("dncnn", "SarCnn"),
    "sardrn": ("sardrn", "SarDrn"),
    "scaoednet": ("scaoednet", "ScaoedNet"),
}

# Architectures that take a number of looks for every pixel.
LOOKS_MAPS = ("ffdnet", "nn3d")

# Architectures that take a class of every pixel.
CLASS_MAPS = ("classaware",)

# Architectures that a training can make deeper than the model it starts from.
DEEPENED = ("ffdnet",)


def create(architecture: str, arguments: dict[str, Any]) -> Despeckler:
    """Build a network with fresh weights.

    Raises
    ------
    ModelError
        When the architecture is unknown or does not take the arguments.
    """
    if architecture not in ARCHITECTURES:
        raise ModelError(
            f"Unknown architecture '{architecture}'. "
            f"This version knows: {', '.join(sorted(ARCHITECTURES))}."
        )
    module_name, class_name = ARCHITECTURES[architecture]
    module = importlib.import_module(f".{module_name}", __package__)
    try:
        return getattr(module, class_name)(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(f"Architecture '{architecture}' refused its arguments: {error}") from error


def weight_files(folders: Iterable[Path] = ()) -> list[Path]:
    """Weights files of the plugin, then of the given folders."""
    return [
        path
        for folder in (WEIGHTS_FOLDER, *folders)
        for path in sorted(Path(folder).glob("*.safetensors"))
    ]


def list_cards(
    folders: Iterable[Path] = (), left_out: Callable[[str], None] = lambda reason: None
) -> list[ModelCard]:
    """Cards of all installed models: the default, those made for radar images, the others.

    Parameters
    ----------
    folders : iterable of Path
        Searched after the plugin's own.
    left_out : callable
        Told why a file is not in the list: no model, of a newer version, or of an id that
        is taken (the plugin's own come first, then the files by folder and name).
    """
    cards: dict[str, ModelCard] = {}
    paths: dict[str, Path] = {}
    for path in weight_files(folders):
        try:
            card = ModelCard.read(path)
        except ModelError as error:
            left_out(str(error))
            continue
        if card.architecture not in ARCHITECTURES:
            left_out(
                f"The model file {path} is of an architecture '{card.architecture}' that this "
                "version does not know."
            )
        elif card.id in cards:
            left_out(f"The model file {path} has the id '{card.id}' of {paths[card.id]}.")
        else:
            cards[card.id], paths[card.id] = card, path
    return sorted(
        cards.values(),
        key=lambda card: (card.id != DEFAULT_MODEL, not card.for_radar, card.id),
    )


def free_id(wanted: str, folders: Iterable[Path] = ()) -> str:
    """An id that no installed model has: the wanted one, or that with -2, -3, … behind it.

    None of the folders has a file ``<id>.safetensors`` either.
    """
    folders = list(folders)
    taken = {path.stem for path in weight_files(folders)}
    taken |= {card.id for card in list_cards(folders)}
    found, number = wanted, 1
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    return found


def find(model_id: str, folders: Iterable[Path] = ()) -> Path:
    """Weights file of a model.

    Raises
    ------
    ModelError
        When no installed model has this id.
    """
    known = []
    for path in weight_files(folders):
        try:
            card = ModelCard.read(path)
        except ModelError:
            continue
        if card.id == model_id:
            return path
        known.append(card.id)
    raise ModelError(
        f"There is no model '{model_id}'. Installed: {', '.join(sorted(known)) or 'none'}."
    )

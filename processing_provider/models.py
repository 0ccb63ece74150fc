"""The models there are, as the parameter MODEL offers them."""

from __future__ import annotations

from pathlib import Path

from ..plugin.core.models.card import ModelCard
from ..plugin.core.models.registry import list_cards
from ..plugin.toolbelt import log
from ..plugin.toolbelt.settings import Settings

# The paper's blind network, and the one for real SAR where it is installed.
_AFFINE_DEFAULT = "dopamine-blind"
_AFFINE_FOR_SAR = "dopamine-sar"

# QGIS makes an algorithm anew at every turn; each complaint is logged once.
_said: set[str] = set()


def installed_models() -> list[ModelCard]:
    """Cards of the plugin's models and those in the user's folders, read anew each time."""
    return list_cards(Settings.load().model_folders(), _say_once)


def affine_models() -> tuple[list[str], str]:
    """Ids of the models that can be fine-tuned, and the default among them."""
    ids = [card.id for card in installed_models() if card.affine]
    default = _AFFINE_FOR_SAR if _AFFINE_FOR_SAR in ids else _AFFINE_DEFAULT
    return [default, *(name for name in ids if name != default)], default


def tunable_models() -> tuple[list[str], str]:
    """Ids of the models that can be fine-tuned, on the image alone or on pairs, and the default.

    Those that need no reference come first.
    """
    affine, default = affine_models()
    others = [card for card in installed_models() if card.id not in affine]
    alone = [card.id for card in others if card.architecture == "despecknet"]
    pairs = [card.id for card in others if card.id not in alone]
    return [*affine, *alone, *pairs], default


def user_folder() -> Path:
    """Folder that models of the user's own are added to; it need not exist."""
    return Settings.load().model_folders()[0]


def _say_once(reason: str) -> None:
    if reason not in _said:
        _said.add(reason)
        log.warning(f"Not in the list of models: {reason}")

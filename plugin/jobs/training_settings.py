"""From what a user asks for to a recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..core.errors import InvalidInput
from ..core.models.card import ModelCard
from ..core.models.registry import ARCHITECTURES
from ..core.recipe import Recipe

# Networks that are trained as they are; the others compute, or are put together of trained ones.
TRAINABLE = tuple(name for name in ARCHITECTURES if name not in ("boxcar", "classaware", "nn3d"))

# Where the loss is of logarithms, the forms of the networks that keep estimates positive.
_LOGARITHMIC: dict[str, dict[str, Any]] = {
    "despecknet": {"domain": "log"},
    "dncnn": {"domain": "log"},
    "dopamine": {"inputs": "log", "head": "moments"},
    "ffdnet": {"domain": "log"},
    "sardrn": {"domain": "log"},
}
# Terms of the loss that a network's own recipe in recipes/ adds.
_TERMS: dict[str, dict[str, float]] = {
    "cbdnet": {"asymmetric": 0.5, "noise_tv": 0.05},
    "idcnn": {"tv": 0.002},
}

SPECKLES = ("correlated", "white")

# Of photographs made to look like radar: see `Recipe`, and recipes/ffdnet_sar.toml.
_STRETCHED: dict[str, Any] = {
    "dynamic_range": (0.5, 6.0),
    "blur": (0.0, 2.0),
    "bright_points": 2e-5,
}
_PLAIN: dict[str, Any] = {"dynamic_range": (0.0, 0.0), "blur": (0.0, 0.0), "bright_points": 0.0}
_WIDEST_PSF = 1.0

# A budget ends the schedule long before.
_EPOCHS = 10_000


def recipe_for(
    *,
    id: str,
    architecture: str,
    arguments: str = "",
    parent: str = "",
    parent_card: ModelCard | None = None,
    title: str = "",
    loss: str = "log",
    looks: tuple[float, float] = (1.0, 8.0),
    speckle: str = "correlated",
    stretch: bool = True,
    patch: int = 64,
    batch: int = 16,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> Recipe:
    """Make the recipe of a training from the Toolbox.

    Parameters
    ----------
    id, title : str
        Of the model.
    architecture, arguments : str
        Network, and "layers=8, channels=32" where not its own defaults.
    parent, parent_card
        Model to go on from, id or file, and its card: it decides the two above.
    loss : str
    looks : (float, float)
        Range of the simulated speckle.
    speckle : str
        One of `SPECKLES`.
    stretch : bool
        Whether 8-bit pictures are stretched over decades.
    patch, batch, learning_rate, seed
        See `Recipe`.

    Raises
    ------
    InvalidInput
    """
    _check_speckle(looks, speckle)
    low, high = looks
    logarithmic = loss.startswith("log")
    if parent_card is not None:
        architecture, chosen = parent_card.architecture, dict(parent_card.arguments)
    else:
        form = _LOGARITHMIC.get(architecture, {}) if logarithmic else {}
        chosen = {**form, **parse_arguments(arguments)}
    if architecture not in TRAINABLE:
        raise InvalidInput(
            f"'{architecture}' is no network that can be trained; choose {', '.join(TRAINABLE)}."
        )
    recipe = Recipe(
        id=id,
        title=title or f"{architecture}, own training",
        description="Trained by a user of Speckless.",
        architecture=architecture,
        arguments=chosen,
        scale=parent_card.scale if parent_card else ("geometric" if logarithmic else "mean"),
        looks=(low,) if low == high else (low, high),
        patch=patch,
        stride=max(1, patch // 4),
        batch=batch,
        epochs=_EPOCHS,
        learning_rate=learning_rate,
        schedule="cosine",
        loss=loss,
        terms=_TERMS.get(architecture, {}),
        psf=(0.0, _WIDEST_PSF) if speckle == "correlated" else (0.0, 0.0),
        flips=True,
        ema=0.999,
        seed=seed,
        parent=parent,
    )
    return replace(recipe, **_STRETCHED) if stretch else recipe


def _check_speckle(looks: tuple[float, float], speckle: str) -> None:
    low, high = looks
    if not 0 < low <= high:
        raise InvalidInput(
            f"The range of looks must be positive and grow, got {low:g} to {high:g}."
        )
    if speckle not in SPECKLES:
        raise InvalidInput(f"SPECKLE must be one of {', '.join(SPECKLES)}, got '{speckle}'.")
    if speckle == "correlated" and low < 1:
        raise InvalidInput(
            "Correlated speckle averages whole looks: take 1 look at least, or white speckle."
        )


def unstretched(recipe: Recipe) -> Recipe:
    """The recipe for images that are intensity already."""
    return replace(recipe, **_PLAIN)


def for_pairs(recipe: Recipe) -> Recipe:
    """The recipe for pairs: nothing is simulated."""
    return replace(unstretched(recipe), psf=(0.0, 0.0))


def parse_arguments(text: str) -> dict[str, Any]:
    """Read "layers=8, head=linear" into a dict of numbers, truth values and words.

    Raises
    ------
    InvalidInput
        When an entry is not NAME=VALUE.
    """
    found: dict[str, Any] = {}
    for part in text.replace(";", ",").split(","):
        if not part.strip():
            continue
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name.isidentifier() and equals and value):
            raise InvalidInput(
                f"The network's arguments must be NAME=VALUE, separated by commas; got '{part}'."
            )
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip("'\"")

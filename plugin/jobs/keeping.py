"""Putting a tuned model into the user's folder, under a name; without torch."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import InvalidInput, RasterError
from ..core.models.card import ModelCard
from ..core.models.registry import free_id
from ..toolbelt.files import replace_whole


def keep_model(
    source: Path, title: str, folder: Path, other_folders: Sequence[Path] = ()
) -> ModelCard:
    """Copy a weights file into a folder of models under another title.

    Parameters
    ----------
    source : Path
        Weights file; it stays as it is.
    title : str
        For lists; the id is made of it, numbered if it is taken.
    folder : Path
        Made if need be.
    other_folders : sequence of Path
        Whose models' ids are taken, too.

    Returns
    -------
    ModelCard
        Of ``<id>.safetensors`` in the folder.

    Raises
    ------
    InvalidInput
        When the title holds no letter or digit.
    ModelError
        When the source is no model.
    RasterError
        When the file cannot be written; nothing is left then.
    """
    title = " ".join(title.split())
    wanted = re.sub(r"[^\w.-]+", "-", title).strip("-._").lower()
    if not wanted:
        raise InvalidInput("Give the tuned model a name with letters or digits.")
    card = replace(
        ModelCard.read(source), id=free_id(wanted, [*other_folders, folder]), title=title
    )
    target = folder / f"{card.id}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_whole(target, lambda part: _copy(source, part, card))
    except OSError as error:
        raise RasterError(
            f"{target} cannot be written ({error.strerror}). Free it, or choose another folder "
            "for models in the options."
        ) from error
    return card


def _copy(source: Path, target: Path, card: ModelCard) -> None:
    """Write a safetensors file anew with another card: the tensors' bytes stay the same."""
    with source.open("rb") as old, target.open("wb") as new:
        header = json.loads(old.read(struct.unpack("<Q", old.read(8))[0]))
        header["__metadata__"] = {**header["__metadata__"], "card": card.to_json()}
        text = json.dumps(header, separators=(",", ":")).encode()
        # Spaces, so that the tensors begin at a multiple of 8.
        text += b" " * (-len(text) % 8)
        new.write(struct.pack("<Q", len(text)) + text)
        shutil.copyfileobj(old, new)

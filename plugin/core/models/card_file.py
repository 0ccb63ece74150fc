"""Changing the card in a weights file, whose tensors stay as they are, byte for byte."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .card import ModelCard

# What says which weights these are; for another one needs other weights.
_FIXED = ("architecture", "arguments", "tensors_sha256", "parameters")


def card_text(card: ModelCard) -> str:
    """The card for people, as it lies beside the weights: sorted, so that a diff can show it."""
    return json.dumps(asdict(card), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def replace_card(path: str | Path, changes: dict[str, Any]) -> ModelCard:
    """Change entries of the card in a weights file, and in the JSON beside it if there is one.

    Both files appear whole or not at all.

    Raises
    ------
    ModelError
        When the file is no model, cannot be written, or entries are asked for that belong to
        the weights.
    """
    path = Path(path)
    wrong = sorted(set(changes) & set(_FIXED))
    if wrong:
        raise ModelError(f"{', '.join(wrong)} belong to the weights: the card cannot change them.")
    card = replace(ModelCard.read(path), **changes)
    # Through JSON and back: what a reader of the file will find.
    card = ModelCard.from_json(card.to_json())
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["card"] = card.to_json()
    text = json.dumps(header, separators=(",", ":")).encode()
    # Tensors begin at multiples of 8 bytes.
    text += b" " * (-len(text) % 8)
    _write(path, struct.pack("<Q", len(text)) + text + content[8 + length :])
    beside = path.with_suffix(".json")
    if beside.exists():
        _write(beside, card_text(card).encode())
    return card


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        part.unlink(missing_ok=True)

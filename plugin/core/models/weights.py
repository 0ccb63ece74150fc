"""Weights on disk: safetensors with the card in the header, checked by digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError
from .base import Despeckler, count_parameters
from .card import ModelCard
from .registry import create
from .storage import pack, unpack


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_model(path: str | Path) -> Despeckler:
    """Build the network of a weights file, in evaluation mode, float32, on the CPU.

    Raises
    ------
    ModelError
        When the file is no model, its architecture is unknown, or its weights were altered.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    card = ModelCard.read(path)
    try:
        tensors = load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"The weights in {path} are damaged ({error}). Get the file again."
        ) from error
    if tensors_digest(tensors) != card.tensors_sha256:
        raise ModelError(
            f"The weights in {path} are corrupted: their SHA-256 differs from the model card's. "
            "Get the file again."
        )
    module = create(card.architecture, card.arguments)
    try:
        module.load_state_dict(unpack(tensors))
    except RuntimeError as error:
        raise ModelError(
            f"The weights in {path} do not fit the architecture '{card.architecture}'."
        ) from error
    module.card = card
    return module.eval()


def save_model(
    path: str | Path, module: Despeckler, card: ModelCard, storage: str = "single"
) -> ModelCard:
    """Write weights and card to ``path`` (atomically) and return the completed card.

    `storage` is one of `storage.STORAGES`.
    """
    from safetensors.torch import save_file

    path = Path(path)
    tensors = pack(module.state_dict(), storage)
    card = replace(
        card, tensors_sha256=tensors_digest(tensors), parameters=count_parameters(module)
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, str(part), metadata={"card": card.to_json()})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return card

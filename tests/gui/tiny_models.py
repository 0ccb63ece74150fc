"""Small affine networks for the tests in the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_tiny(path: Path, **arguments: Any) -> None:
    """Write fresh weights, always the same; the file's name is id and title."""
    import torch

    from speckless.plugin.core.models.registry import create
    from speckless.plugin.core.models.weights import save_model

    torch.manual_seed(0)
    model = create("dopamine", arguments)
    card = model.describe(
        id=path.stem, title=path.stem, architecture="dopamine", arguments=arguments,
        scale="geometric",
    )  # fmt: skip
    save_model(path, model, card)

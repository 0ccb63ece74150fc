"""Small networks with fresh weights, always the same, for the tests of all parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Arguments of a DoPAMINE network that takes a moment.
TINY = {"layers": 3, "channels": 4, "blocks": 1, "inputs": "log", "head": "moments"}


def save_network(
    path: Path,
    arguments: Mapping[str, Any],
    architecture: str = "dopamine",
    scale: str = "geometric",
    title: str = "",
    id: str = "",
    **more: Any,
) -> Path:
    """Write weights; id and title are the file's name unless they are given, more of the card."""
    # Not all tests may load torch, or not so early.
    import torch

    from speckless.plugin.core.models.registry import create
    from speckless.plugin.core.models.weights import save_model

    torch.manual_seed(0)
    model = create(architecture, dict(arguments))
    card = model.describe(
        id=id or path.stem,
        title=title or path.stem,
        architecture=architecture,
        arguments=dict(arguments),
        scale=scale,
        **more,
    )
    save_model(path, model, card)
    return path

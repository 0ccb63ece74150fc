"""Statistics of a scene, for networks that normalise by them, stored in a model of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..core.despeckling import prepare_sample
from ..core.models.weights import load_model, save_model
from .computing import OperationCounter, is_out_of_memory
from .devices import choose_device
from .protocol import DeviceInfo
from .tuning import read_scenes


def freeze(
    request: dict[str, Any], devices: list[DeviceInfo], watch: Callable[[float], None]
) -> None:
    """Answer a ``freeze`` message; on the CPU where the device has not enough memory.

    Parameters
    ----------
    request : dict
        Weights file, file to write, scenes, looks and device.
    devices : list of DeviceInfo
    watch : callable
        Called between operations; may raise, to cancel.

    Raises
    ------
    InvalidInput, ModelError, Cancelled
    """
    model = load_model(Path(request["path"]))
    scenes = read_scenes(Path(request["scenes"]))
    sample = prepare_sample(
        [(scene.intensity, scene.valid) for scene in scenes], [scene.scale for scene in scenes]
    )
    looks = torch.full((len(sample),), float(request["looks"]))
    places = [choose_device(request["device"], devices)[0]]
    if places[0] != "cpu":
        places.append("cpu")
    for place in places:
        try:
            with OperationCounter(0, 0, 1, watch):
                model.to(place).freeze_statistics(sample.to(place), looks.to(place))
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or place == places[-1]:
                raise
    save_model(Path(request["output"]), model.cpu(), model.card)

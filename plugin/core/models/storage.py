"""How weights are rounded on disk: single or half precision, or eight bits a weight."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import InvalidInput
from .base import Despeckler

STORAGES = ("single", "half", "int8")
_STEP = "#step"
_MOST = 127


def pack(state: Mapping[str, Tensor], storage: str) -> dict[str, Tensor]:
    """Tensors as they are stored.

    With "int8" every weight of two and more dimensions becomes whole numbers of -127 to 127 and,
    beside it under its name and "#step", the step of each output channel (float32); what has
    one dimension stays in single precision.

    Raises
    ------
    InvalidInput
        When a weight is no number or too large, or there is no such storage.
    """
    if storage not in STORAGES:
        raise InvalidInput(f"Weights are stored as {', '.join(STORAGES)}, not as '{storage}'.")
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        tensor = value.detach().cpu().float()
        if storage == "int8" and tensor.ndim >= 2:
            greatest = tensor.abs().flatten(1).amax(1)
            step = torch.where(greatest > 0, greatest / _MOST, 1.0)
            rows = step.view(-1, *[1] * (tensor.ndim - 1))
            packed[name + _STEP], tensor = step, (tensor / rows).round()
            if not bool(torch.isfinite(tensor).all()):
                raise InvalidInput(f"The weights '{name}' are not finite: they cannot be stored.")
            tensor = tensor.to(torch.int8)
        elif storage == "half":
            tensor = tensor.half()
            if bool(torch.isinf(tensor).any()) and bool(torch.isfinite(value).all()):
                raise InvalidInput("Some weights are too large for half precision.")
        packed[name] = tensor.contiguous()
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in single precision from `pack`'s."""
    state = {}
    for name, tensor in tensors.items():
        if name.endswith(_STEP):
            continue
        value = tensor.float()
        if name + _STEP in tensors:
            step = tensors[name + _STEP].float()
            value = value * step.view(-1, *[1] * (value.ndim - 1))
        state[name] = value
    return state


def rounded(module: Despeckler, storage: str) -> Despeckler:
    """A copy with the weights that it would have after storing, computing as before."""
    other = copy.deepcopy(module)
    other.load_state_dict(unpack(pack(module.state_dict(), storage)))
    return other

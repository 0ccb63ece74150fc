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
# First and last layers, biases: few, and what an error in them does is not averaged out.
_SMALL = 4096
# Layers with a weight far above the others, as those that began as the identity, have no room
# for the others in eight bits: the error they may make, relative to their weights.
_COARSE = 0.02


def pack(state: Mapping[str, Tensor], storage: str) -> dict[str, Tensor]:
    """Tensors as they are stored.

    With "int8" the weights of large layers become whole numbers of -127 to 127 and, beside them
    under their name and "#step", the step of each output channel (float32), which errs by half
    a step in the sum of its weights at most; the others, and layers whose weights that would
    change by more than two percent, take half precision.

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
        if storage != "single" and not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(f"The weights '{name}' are not finite: they cannot be rounded.")
        if storage == "int8" and tensor.numel() >= _SMALL and tensor.ndim >= 2:
            eight = dict(zip((name, name + _STEP), _eight_bits(tensor)))
            error = (unpack(eight)[name] - tensor).norm() / tensor.norm().clamp_min(1e-30)
            if error <= _COARSE:
                packed |= eight
                continue
        if storage != "single":
            tensor = tensor.half()
            if bool(torch.isinf(tensor).any()):
                raise InvalidInput(f"Some weights '{name}' are too large for half precision.")
        packed[name] = tensor.contiguous()
    return packed


def _eight_bits(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers of the weights' shape, and the step of each output channel."""
    rows = weights.flatten(1)
    greatest = rows.abs().amax(1)
    step = torch.where(greatest > 0, greatest / _MOST, 1.0)
    exact = rows / step[:, None]
    whole = exact.round()
    # What follows a rectifier is positive: errors that do not sum to zero would shift the mean.
    # So as many of a row as that takes, the nearest to the middle, are rounded the other way.
    error = whole - exact
    surplus = error.sum(1, keepdim=True).round()
    rank = error.argsort(1).argsort(1)
    whole += (rank < -surplus).float()
    whole -= (rank >= rows.shape[1] - surplus).float()
    return whole.clamp(-_MOST, _MOST).to(torch.int8).view(weights.shape), step


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

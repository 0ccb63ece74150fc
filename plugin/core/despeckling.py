"""Running a network over an array: hole filling, scale, knob, and back to intensity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from .affine import turn
from .ensemble import self_ensemble
from .errors import InvalidInput
from .knob_level import level_factor
from .models.base import Despeckler, Estimate
from .models.card import FILL_RADIUS, ModelCard
from .models.registry import CLASS_MAPS, LOOKS_MAPS
from .tiling import Window

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Least estimate, relative to the scene's scale: estimates are positive.
_LEAST = 1e-6

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def despeckle_tile(
    model: Despeckler,
    intensity: FloatArray,
    valid: BoolArray,
    *,
    scale: float,
    looks: float,
    knob: float | None = None,
    ensemble: bool = False,
    extra: Sequence[str] = (),
    stages: int = 0,
    inner: Window | None = None,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
    looks_map: FloatArray | None = None,
    class_map: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """Estimate the speckle-free intensity of one tile.

    Parameters
    ----------
    model : Despeckler
        With its card, on ``device``.
    intensity : ndarray of float32, (H, W)
        Linear intensity, halo included.
    valid : ndarray of bool, (H, W)
    scale : float
        Scene scale, see `ModelCard.scene_scale`.
    looks : float
        L of the scene.
    knob : float, optional
        L the result is wanted for: affine maps are turned to it (`affine.turn`), networks
        that read L are told it instead, and what that does to the level is taken back
        (`knob_level`). Blind networks without a map have no knob.
    ensemble : bool
        Mean over the 8 flips and rotations, see `ensemble.self_ensemble`.
    extra : sequence of str
        Of `ModelCard.maps`, to be given beside the estimate; those it lacks are left out.
    stages : int
        Stages to run of a network that has them, see `ModelCard.stages`; 0 for all.
    inner : Window, optional
        Part of the tile to return; all of it by default.
    device, precision : str
        Where, and in which of `PRECISIONS`, the convolutions run.
    looks_map : ndarray of float32, (H, W), optional
        L of every pixel, for networks of `registry.LOOKS_MAPS`; where it is not positive, L is
        ``looks``. A knob is as many times L everywhere as it is of ``looks``.
    class_map : ndarray of float32, (H, W), optional
        Number of every pixel's class, from 1, for networks of `registry.CLASS_MAPS`; where it
        is no class's, the network's own classifier decides.

    Returns
    -------
    dict
        "x", positive, for affine models "a" and "b" (units of intensity), and the maps asked
        for (no units); float32, shaped like ``inner``, NaN where invalid.

    Raises
    ------
    InvalidInput
        When scale, looks or knob is not positive, or the network takes no such map.
    """
    for name, value in (("scale", scale), ("number of looks", looks), ("knob", knob or looks)):
        if not (np.isfinite(value) and value > 0):
            raise InvalidInput(f"The {name} must be positive, got {value}.")
    card = model.card
    wanted = looks if knob is None else knob
    told = looks if card.affine else wanted
    if looks_map is not None:
        _check_map(card, "map of looks", looks_map, LOOKS_MAPS, intensity)
    if class_map is not None:
        _check_map(card, "map of classes", class_map, CLASS_MAPS, intensity)
    with torch.inference_mode():
        z = torch.from_numpy(np.where(valid, intensity, 0).astype(np.float32))[None, None]
        z = (z / scale).to(device)
        if not valid.all():
            z = fill_holes(z, torch.from_numpy(valid)[None, None].to(device))
        level = _level(told, looks, looks_map).to(device)
        classes = None if class_map is None else _classes(class_map).to(device)
        if card.stages:
            model.set_stages(stages)

        def network(image: Tensor, level: Tensor, classes: Tensor | None) -> Estimate:
            given = {} if classes is None else {"classes": classes}
            return model(image, level, PRECISIONS[precision], **given)

        if ensemble:
            estimate = self_ensemble(network, z, level, classes, card.divisor)
        else:
            estimate = network(z, level, classes)
        found = {}
        if set(extra) & set(card.maps):
            found = model.extra_maps(z, level, PRECISIONS[precision])
    inside = _slices(inner)
    invalid = ~valid[inside]
    maps = {name: _array(found[name])[inside] for name in extra if name in found}
    x = _array(estimate.x)[inside]
    if card.affine:
        a, b = _array(estimate.a)[inside], _array(estimate.b)[inside]
        if wanted != looks:
            a, b = turn(a, b, looks, wanted)
            x = a * _array(z)[inside] + b
        maps |= {"a": a.astype(np.float32), "b": (b * scale).astype(np.float32)}
    else:
        own = looks if looks_map is None else _known(looks_map, looks)[inside]
        x = x * level_factor(card.knob_level, own, wanted / looks)
    for values in maps.values():
        values[invalid] = np.nan
    return {"x": _finish(x, invalid, scale), **maps}


def _level(told: float, looks: float, looks_map: FloatArray | None) -> Tensor:
    """What the network is told of L: (1,), or (1, 1, H, W) by a map."""
    if looks_map is None:
        return torch.tensor([told], dtype=torch.float32)
    known = torch.from_numpy(_known(looks_map, looks))
    return (known[None, None] * (told / looks)).float()


def _known(looks_map: FloatArray, looks: float) -> FloatArray:
    return np.where(looks_map > 0, looks_map, looks)


def _classes(class_map: FloatArray) -> Tensor:
    """Classes (1, H, W) counted from 0, below it where there is none."""
    return torch.from_numpy(np.nan_to_num(class_map).astype(np.int64))[None] - 1


def prepare_sample(
    windows: Sequence[tuple[FloatArray, BoolArray]], scales: Sequence[float]
) -> Tensor:
    """Windows of a scene as `Despeckler.freeze_statistics` takes them, (N, 1, h, w).

    Parameters
    ----------
    windows : sequence of (ndarray of float32, ndarray of bool)
        Intensity and validity (H, W); larger ones are cut to the size of the smallest.
    scales : sequence of float
        Scene scale of each.
    """
    height = min(valid.shape[0] for _, valid in windows)
    width = min(valid.shape[1] for _, valid in windows)
    filled = []
    for (intensity, valid), scale in zip(windows, scales):
        seen = torch.from_numpy(np.ascontiguousarray(valid[:height, :width]))[None, None]
        values = np.where(valid, intensity, 0)[:height, :width].astype(np.float32)
        filled.append(fill_holes(torch.from_numpy(values)[None, None] / scale, seen))
    return torch.cat(filled)


def freeze_on(
    model: Despeckler, intensity: FloatArray, valid: BoolArray, scale: float, looks: float
) -> None:
    """Have a network that normalises by the scene take a whole image for it; no-op for others.

    Parameters
    ----------
    model : Despeckler
        Its stored statistics are changed.
    intensity, valid : ndarray, (H, W)
    scale, looks : float
        As for `despeckle_tile`.
    """
    if not model.card.per_scene:
        return
    sample = prepare_sample([(intensity, valid)], [scale]).to(model.device)
    model.freeze_statistics(sample, torch.full((1,), float(looks), device=model.device))


def _check_map(
    card: ModelCard, name: str, values: FloatArray, takers: Sequence[str], intensity: FloatArray
) -> None:
    if card.architecture not in takers:
        raise InvalidInput(
            f"The model '{card.id}' takes no {name}: choose one of the architecture "
            f"{' or '.join(takers)}, or leave the map out."
        )
    if values.shape != intensity.shape:
        raise InvalidInput(
            f"The {name} is {values.shape}, the tile {intensity.shape}: they must match."
        )


def fill_holes(z: Tensor, valid: Tensor) -> Tensor:
    """Give invalid pixels the mean of the valid ones around, or 1 (the scene) far from any."""
    side = 2 * FILL_RADIUS + 1
    weight = valid.to(z.dtype)
    share = avg_pool2d(weight, side, 1, FILL_RADIUS)
    mean = avg_pool2d(z * weight, side, 1, FILL_RADIUS) / share.clamp_min(1e-12)
    filled = torch.where(share > 0.5 / side**2, mean, torch.ones_like(mean))
    return torch.where(valid, z, filled)


def _slices(inner: Window | None) -> Any:
    if inner is None:
        return (slice(None), slice(None))
    return (slice(inner.y, inner.bottom), slice(inner.x, inner.right))


def _array(tensor: Tensor | None) -> FloatArray:
    assert tensor is not None
    return tensor[0, 0].float().cpu().numpy()


def _finish(x: FloatArray, invalid: BoolArray, scale: float) -> FloatArray:
    x = (np.maximum(x, _LEAST) * scale).astype(np.float32)
    x[invalid] = np.nan
    return x

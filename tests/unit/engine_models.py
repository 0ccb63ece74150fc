"""Small weights files for the tests of the engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speckless.plugin.core.models.boxcar import Boxcar
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.ffdnet import FFDNet
from speckless.plugin.core.models.weights import save_model
from speckless.plugin.core.tiling import Window
from speckless.plugin.engine.client import TileRequest


def save_boxcar(path: Path, radius: int = 1, **card: object) -> Path:
    """Write a moving average."""
    arguments = {"radius": radius}
    card = {"id": "boxcar", "title": "Boxcar", "architecture": "boxcar", **card}
    save_model(path, Boxcar(radius), ModelCard(arguments=arguments, radius=radius, **card))
    return path


def save_slow(path: Path) -> Path:
    """Write a network of many steps, seconds for the tile of `big_request`."""
    network = FFDNet()
    save_model(path, network, network.describe(id="slow", title="Slow", architecture="ffdnet"))
    return path


def request(height: int, width: int | None = None, **values: object) -> TileRequest:
    """Return a tile of one-look speckle, all of it wanted and valid."""
    shape = (height, width or height)
    intensity = np.random.default_rng(height).gamma(1.0, 1.0, shape).astype(np.float32)
    inner = Window(0, 0, shape[1], shape[0])
    return TileRequest(intensity, np.ones(shape, bool), inner, **values)


def big_request() -> TileRequest:
    """Return a tile that keeps the slow network busy."""
    return request(1600)


def box_mean(intensity: np.ndarray, radius: int = 1) -> np.ndarray:
    """Mean over the window's pixels inside the image, the slow and sure way."""
    height, width = intensity.shape
    result = np.empty_like(intensity)
    for y in range(height):
        for x in range(width):
            rows = slice(max(y - radius, 0), y + radius + 1)
            columns = slice(max(x - radius, 0), x + radius + 1)
            result[y, x] = intensity[rows, columns].mean()
    return result

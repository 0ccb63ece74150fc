"""Small images, weights and checks for the tests of the benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from osgeo import gdal

from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.weights import save_model

SIDE = 28
ARGUMENTS = {"layers": 2, "channels": 4, "blocks": 1, "head": "moments"}


def image_folder(folder: Path, count: int = 1) -> list[Path]:
    """Gray images 0.png, 1.png, … in a folder of their own."""
    target = folder / "images"
    target.mkdir(exist_ok=True)
    y, x = np.mgrid[:SIDE, :SIDE]
    paths = []
    for number in range(count):
        gray = 110 + 60 * np.sin(x / (3 + number)) + 40 * (y > SIDE // 2)
        memory = gdal.GetDriverByName("MEM").Create("", SIDE, SIDE, 1)
        memory.GetRasterBand(1).WriteArray(gray.astype(np.uint8))
        paths.append(target / f"{number}.png")
        gdal.GetDriverByName("PNG").CreateCopy(str(paths[-1]), memory)
    return paths


def weights_file(folder: Path, name: str = "tiny", seed: int = 0) -> Path:
    """An untrained network with positive estimates."""
    torch.manual_seed(seed)
    model = create("dopamine", ARGUMENTS)
    card = model.describe(
        id=name, title=name, architecture="dopamine", arguments=ARGUMENTS, scale="mean"
    )
    path = folder / f"{name}.safetensors"
    save_model(path, model, card)
    return path


def is_picture(path: Path) -> bool:
    """Whether a file begins as its ending promises."""
    head = path.read_bytes()[:400]
    return head.startswith(b"\x89PNG") if path.suffix == ".png" else b"<svg" in head

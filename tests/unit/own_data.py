"""What the tests of training on one's own data share."""

from __future__ import annotations

import numpy as np
from raster_files import make_raster

from speckless.plugin.core.recipe import Recipe

TINY = {"layers": 3, "channels": 4}
RECIPE = Recipe(
    id="tiny", title="Tiny", architecture="ffdnet", arguments=TINY, scale="geometric",
    looks=(1.0, 4.0), patch=16, stride=8, batch=4, epochs=100, loss="log", schedule="cosine",
    flips=True, ema=0.9,
)  # fmt: skip


def never():
    return False


def scene(seed=0, shape=(48, 56), looks=4):
    """Clean and noisy intensity."""
    rng = np.random.default_rng(seed)
    clean = np.exp(np.sin(np.arange(shape[1]) / 5)[None] + np.cos(np.arange(shape[0]) / 7)[:, None])
    return clean.astype("float32"), (clean * rng.gamma(looks, 1 / looks, shape)).astype("float32")


def make_pairs(tmp_path):
    """Two noisy rasters and their references, in a folder each."""
    for kind in ("noisy", "clean"):
        (tmp_path / kind).mkdir()
    found = []
    for number in range(2):
        clean, noisy = scene(number)
        clean[:4, :4] = np.nan
        found.append(
            (
                make_raster(tmp_path / "noisy" / f"s{number}.tif", noisy),
                make_raster(tmp_path / "clean" / f"s{number}.tif", clean, nodata=float("nan")),
            )
        )
    return found

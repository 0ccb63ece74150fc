"""Real scenes as the benchmarks take them: any raster, or a numpy file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..plugin.core.domains import DOMAINS, to_intensity
from ..plugin.core.errors import InvalidInput, RasterError
from ..plugin.core.looks import LooksEstimate
from ..plugin.core.models.registry import find
from ..plugin.core.models.weights import load_model
from ..plugin.core.speckle import estimate_looks
from ..plugin.core.tiling import Window
from ..plugin.raster.sampling import scene_statistics
from ..plugin.raster.source import RasterSource


class Scene(NamedTuple):
    """The middle of a band, and the statistics of the whole of it."""

    intensity: np.ndarray
    valid: np.ndarray
    mean: float
    geometric_mean: float
    looks: LooksEstimate | None


def read_scene(path: str | Path, side: int = 0, domain: str = "auto", band: int = 1) -> Scene:
    """Read the middle of a raster, ``side`` x ``side`` pixels at most; all of it by default.

    Numpy files are taken as amplitude, or as complex values, unless a domain is given.
    """
    if Path(path).suffix == ".npy":
        return _read_numpy(Path(path), side, domain)
    with RasterSource(str(path), [band], domain) as source:
        statistics = scene_statistics(source, band)
        intensity, valid = source.read(band, _middle(source.height, source.width, side))
    return Scene(
        intensity, valid, statistics.mean, statistics.geometric_mean, statistics.looks
    )  # fmt: skip


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    """Which scene, if any."""
    group = parser.add_argument_group("a real scene")
    group.add_argument(
        "--scene", type=Path, metavar="FILE", help="raster or .npy; --crop takes its middle"
    )
    group.add_argument(
        "--domain", default="auto", choices=("auto", *DOMAINS),
        help="of the scene (default: guessed; a .npy that is not complex: amplitude)",
    )  # fmt: skip


def read_whole(path: Path, domain: str, crop: int) -> np.ndarray:
    """Intensity of the middle of a scene that must hold no nodata.

    Raises
    ------
    InvalidInput
        When it does: some benchmarks compare whole images.
    RasterError
    """
    scene = read_scene(path, crop, domain)
    if not scene.valid.all():
        raise InvalidInput(f"{path.name} holds nodata there; choose a smaller --crop.")
    return scene.intensity


def load(name: str):
    """Load a model by id or weights file."""
    own = Path(name)
    return load_model(own if own.suffix == ".safetensors" else find(name))


def geometric_mean(intensity: np.ndarray) -> float:
    """Geometric mean of the pixels above zero."""
    return float(np.exp(np.log(intensity[intensity > 0], dtype=np.float64).mean()))


def _read_numpy(path: Path, side: int, domain: str) -> Scene:
    values = np.load(path)
    if values.ndim != 2:
        raise RasterError(f"{path} holds no band (rows, columns) but shape {values.shape}.")
    if domain == "auto":
        domain = "complex" if np.iscomplexobj(values) else "amplitude"
    whole = to_intensity(values, domain)
    valid = np.isfinite(whole)
    used = whole[valid]
    window = _middle(*whole.shape, side)
    part = np.s_[window.y : window.bottom, window.x : window.right]
    return Scene(
        np.ascontiguousarray(whole[part]), np.ascontiguousarray(valid[part]),
        float(used.mean()), geometric_mean(used), estimate_looks(whole, valid),
    )  # fmt: skip


def _middle(height: int, width: int, side: int) -> Window:
    rows, columns = (min(side or length, length) for length in (height, width))
    return Window((width - columns) // 2, (height - rows) // 2, columns, rows)

"""Real scenes, read whole."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..plugin.core.errors import InvalidInput
from ..plugin.core.speckle import DOMAINS, to_intensity
from ..plugin.core.tiling import Window
from ..plugin.raster.source import RasterSource
from .images import Image, centre


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    """Which scene, if any."""
    group = parser.add_argument_group("a real scene")
    group.add_argument(
        "--scene", type=Path, metavar="FILE", help="raster or .npy; --crop takes its centre"
    )
    group.add_argument(
        "--domain", default="auto", choices=("auto", *DOMAINS),
        help="of the scene (default: guessed; a .npy that is not complex: amplitude)",
    )  # fmt: skip


def read_scene(path: Path, domain: str, crop: int) -> Image:
    """Linear intensity of the first band of a raster, or of a .npy, or of its centre.

    Raises
    ------
    InvalidInput
        When it holds nodata: the benchmark compares whole images.
    RasterError
    """
    if path.suffix == ".npy":
        values = np.load(path)
        own = "complex" if np.iscomplexobj(values) else "amplitude"
        intensity = to_intensity(values, own if domain == "auto" else domain)
    else:
        with RasterSource(str(path), domain=domain) as source:
            whole = Window(0, 0, source.width, source.height)
            intensity, valid = source.read(source.bands[0], whole)
        intensity = np.where(valid, intensity, np.nan)
    image = centre(np.asarray(intensity, np.float32), crop)
    if not np.isfinite(image).all():
        raise InvalidInput(f"{path.name} holds nodata there; choose a smaller --crop.")
    return image

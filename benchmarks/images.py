"""Test images with simulated speckle, by the protocol of DoPAMINE's Table 1."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..plugin.core.despeckling import PRECISIONS, despeckle_tile, freeze_on
from ..plugin.core.errors import ModelError
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.registry import find
from ..plugin.core.models.weights import load_model
from ..plugin.core.quality import psnr, ssim
from ..plugin.core.speckle import simulate_speckle
from ..plugin.raster.images import list_images, read_gray

Image = npt.NDArray[np.float32]

_FLOOR = 1e-6


@dataclass(frozen=True)
class Sample:
    """A clean image, gray / 255, and its place in the list."""

    path: Path
    place: int
    crop: int = 0

    @property
    def name(self) -> str:
        return self.path.name

    def clean(self) -> Image:
        """Gray levels (H, W) in [0, 1]."""
        return centre(read_gray(self.path), self.crop)

    def pair(self, looks: float, seed: int = 0) -> tuple[Image, Image]:
        """Clean and noisy intensity; the noise is that of ``./run evaluate``, crop or no crop."""
        clean = read_gray(self.path)
        rng = np.random.default_rng((seed, self.place, round(looks * 1000)))
        noisy = (clean * simulate_speckle(clean.shape, looks, rng)).astype(np.float32)
        return centre(clean, self.crop), centre(noisy, self.crop)


def centre(image: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """The central square, as far as the image reaches; all of it for 0."""
    if not side:
        return image
    top, left = (max(0, (length - side) // 2) for length in image.shape)
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def add_image_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Which images, and how many."""
    parser.add_argument("--images", required=required, metavar="FOLDER", help="of clean images")
    parser.add_argument("--list", metavar="FILE", help="names of the images to use")
    parser.add_argument(
        "--count", type=int, default=0, metavar="N",
        help="use so many, evenly spaced in the list (default: all)",
    )  # fmt: skip
    parser.add_argument("--crop", type=int, default=0, metavar="SIDE", help="only their centre")
    parser.add_argument("--seed", type=int, default=0, help="of the speckle (default: 0)")


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Where and how to compute."""
    parser.add_argument(
        "--precision", default="fp32", choices=sorted(PRECISIONS), help="default: fp32"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 …")
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads (default: all)"
    )


def set_threads(options: argparse.Namespace) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)


def samples(options: argparse.Namespace) -> list[Sample]:
    """The images that the options name."""
    paths = list_images(options.images, options.list)
    return [
        Sample(paths[place], place, options.crop) for place in spread(len(paths), options.count)
    ]


def spread(total: int, count: int) -> Sequence[int]:
    """``count`` of ``total`` places, evenly spaced, the middle of each part; 0 for all."""
    if not 0 < count < total:
        return range(total)
    return [(2 * number + 1) * total // (2 * count) for number in range(count)]


def load(model: str, folders: Sequence[str] = (), device: str = "cpu") -> Despeckler:
    """A model by its id, or by the path of its weights file.

    Raises
    ------
    ModelError
        When there is none.
    """
    own = Path(model)
    path = own if own.suffix == ".safetensors" else find(model, [Path(f) for f in folders])
    if not path.exists():
        raise ModelError(f"There is no weights file {path}.")
    return load_model(path).to(torch.device(device))


def scene_scale(model: Despeckler, noisy: Image) -> float:
    """The scale that the model's input is divided by, of a whole image."""
    geometric = float(np.exp(np.log(np.maximum(noisy, _FLOOR)).mean()))
    return model.card.scene_scale(float(noisy.mean()), geometric)


def estimate(
    model: Despeckler,
    noisy: Image,
    looks: float,
    *,
    knob: float | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    ensemble: bool = False,
    **more: Any,
) -> dict[str, Image]:
    """ "x", and what else `despeckle_tile` gives, of a whole image."""
    valid, scale = np.ones(noisy.shape, bool), scene_scale(model, noisy)
    freeze_on(model, noisy, valid, scale, looks)
    return despeckle_tile(
        model,
        noisy,
        valid,
        scale=scale,
        looks=looks,
        knob=knob,
        device=device,
        precision=precision,
        ensemble=ensemble,
        **more,
    )


def quality(clean: Image, x: Image) -> tuple[float, float]:
    """PSNR in dB with peak 1, and SSIM."""
    return psnr(clean, x), ssim(clean, x)

"""What networks are compared on: clean images with simulated speckle, or real scenes of dates."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..plugin.core import quality
from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.models.registry import create
from ..plugin.core.tuning import Scene
from .images import Image, add_image_options, centre, samples
from .multidate import edge_preservation, read_dates, reference, score
from .tuned import whole_scene

_SIMULATED = ("PSNR", "SSIM", "mean ratio", "variance of ratio")
_REAL = ("log-RMSE", "mean ratio", "variance of ratio", "ENL", "EPI")


class Case(NamedTuple):
    """A noisy image, and what its estimates are measured against."""

    name: str
    noisy: Image
    clean: Image
    looks: float
    measure: Callable[[Image], list[float]]

    def scene(self, model: Despeckler, pairs: bool = False) -> Scene:
        """To tune on, with the clean image where so asked."""
        return whole_scene(model, self.noisy, self.clean if pairs else None)


def add_case_options(parser: argparse.ArgumentParser) -> None:
    """Images or scenes, looks."""
    add_image_options(parser, required=False)
    parser.add_argument("--looks", type=float, default=1.0, help="default: 1")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER",
        help="instead of images: a folder a scene, with one .npy of amplitudes a date",
    )  # fmt: skip
    parser.add_argument(
        "--dates", type=int, default=1, metavar="N", help="dates of each scene to use (default: 1)"
    )


def columns(options: argparse.Namespace) -> tuple[str, ...]:
    """Names of what `Case.measure` gives."""
    return _REAL if options.data else _SIMULATED


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """The images or scenes that the options name.

    Raises
    ------
    InvalidInput
        When they name none, or both.
    """
    if bool(options.data) == bool(options.images):
        raise InvalidInput("Give --images or --data.")
    if options.images:
        for sample in samples(options):
            clean, noisy = sample.pair(options.looks, options.seed)
            yield Case(sample.name, noisy, clean, options.looks, _simulated(noisy, clean))
        return
    for name, dates in read_dates(options.data):
        for index in range(min(options.dates, len(dates))):
            clean, noisy = (
                centre(image.astype(np.float32), options.crop)
                for image in (reference(dates, index), dates[index])
            )
            yield Case(name, noisy, clean, options.looks, _real(noisy, clean))


def fresh(model: Despeckler, seed: int) -> Despeckler:
    """A network as the model's, of weights that have learnt nothing."""
    import torch

    torch.manual_seed(seed)
    other = create(model.card.architecture, model.card.arguments)
    other.card = model.card
    return other


def _simulated(noisy: Image, clean: Image) -> Callable[[Image], list[float]]:
    return lambda x: [
        quality.psnr(clean, x),
        quality.ssim(clean, x),
        quality.mean_of_ratio(noisy, x),
        quality.variance_of_ratio(noisy, x),
    ]


def _real(noisy: Image, others: Image) -> Callable[[Image], list[float]]:
    return lambda x: [*score(noisy, x, others)[:4], edge_preservation(x, others)]

"""PSNR and SSIM of a model on a folder of clean images with simulated speckle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import Cancelled
from ..core.models.registry import find
from ..core.quality import psnr, ssim
from ..core.speckle import simulate_speckle
from ..raster.images import list_images, read_gray

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Row:
    """Figures of one model at one L: means over ``images`` of the per-image values."""

    model: str
    looks: float
    psnr: float
    psnr_error: float
    ssim: float
    images: int

    def __str__(self) -> str:
        return (
            f"{self.model} L={self.looks:g} PSNR {self.psnr:.3f} SSIM {self.ssim:.4f} "
            f"N {self.images} SE {self.psnr_error:.3f}"
        )


@dataclass(frozen=True)
class EvaluateJob:
    """Protocol of DoPAMINE's Table 1.

    Gray / 255 is the intensity; Gamma noise of mean 1 and variance 1/L multiplies it and is
    not clipped; PSNR has peak 1; SSIM has an 11×11 Gaussian window (σ = 1.5) and the clean
    image's range. The noise of an image depends on the seed, its place in the list and L.

    Attributes
    ----------
    images : str
        Folder, searched as a tree where ``image_list`` is None.
    model : str
        Model id, path of a weights file, or "noisy" for the input itself.
    """

    images: str
    model: str
    looks: Sequence[float] = (1.0, 2.0, 4.0, 8.0)
    image_list: str | None = None
    precision: str = "fp32"
    device: str = "cpu"
    seed: int = 0

    def run(self, progress: Progress, is_cancelled: Callable[[], bool]) -> list[Row]:
        """Evaluate at each L.

        Raises
        ------
        Cancelled, ModelError, RasterError
        """
        import torch

        from ..core.despeckling import despeckle_tile, freeze_on
        from ..core.models.weights import load_model

        paths = list_images(self.images, self.image_list)
        model = None
        if self.model != "noisy":
            own = Path(self.model)
            path = own if own.suffix == ".safetensors" else find(self.model)
            model = load_model(path).to(torch.device(self.device))
        rows = []
        for place, level in enumerate(self.looks):
            figures = []
            for index, path in enumerate(paths):
                if is_cancelled():
                    raise Cancelled("The evaluation was stopped.")
                clean = read_gray(path)
                rng = np.random.default_rng((self.seed, index, round(level * 1000)))
                noisy = clean * simulate_speckle(clean.shape, level, rng)
                estimate = noisy
                if model is not None:
                    positive = np.maximum(noisy, 1e-6)
                    scale = model.card.scene_scale(
                        float(noisy.mean()), float(np.exp(np.log(positive).mean()))
                    )
                    valid = np.ones(noisy.shape, bool)
                    freeze_on(model, noisy, valid, scale, level)
                    estimate = despeckle_tile(
                        model, noisy, valid, scale=scale, looks=level,
                        device=self.device, precision=self.precision,
                    )["x"]  # fmt: skip
                figures.append((psnr(clean, estimate), ssim(clean, estimate)))
                progress((place + (index + 1) / len(paths)) / len(self.looks), "")
            table = np.array(figures)
            error = table[:, 0].std(ddof=1) / np.sqrt(len(table)) if len(table) > 1 else 0.0
            name = model.card.id if model is not None else self.model
            means = table.mean(0)
            rows.append(Row(name, level, means[0], float(error), means[1], len(table)))
        return rows

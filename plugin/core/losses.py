"""What training can minimise: losses of an estimate against the clean image, and added terms.

Intensities are over the scene scale, so a gray scene has the mean 1 and ends near `RANGE`.

References
----------
.. [1] H. Zhao, O. Gallo, I. Frosio and J. Kautz, "Loss Functions for Image Restoration with
   Neural Networks", IEEE TCI 3(1), 2017.
.. [2] S. Guo, Z. Yan, K. Zhang, W. Zuo and L. Zhang, "Toward Convolutional Blind Denoising of
   Real Photographs", CVPR 2019.
.. [3] G. Chierchia, D. Cozzolino, G. Poggi and L. Verdoliva, "SAR Image Despeckling Through
   Convolutional Neural Networks", IGARSS 2017.
.. [4] P. Wang, H. Zhang and V. M. Patel, "SAR Image Despeckling Using a Convolutional Neural
   Network", IEEE SPL 24(12), 2017.
.. [5] L. Chen, X. Lu, J. Zhang, X. Chu and C. Chen, "HINet: Half Instance Normalization Network
   for Image Restoration", CVPR Workshops 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .errors import InvalidInput
from .models import layers
from .models.base import Estimate

_FLOOR = 1e-6

# What SSIM's constants are relative to: twice the mean of a gray scene, its usual extent.
RANGE = 2.0
_C1, _C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2

# Standard deviations of MS-SSIM's windows, and MS-SSIM's share in the mixed loss [1]_.
SCALES = (0.5, 1.0, 2.0, 4.0, 8.0)
MIX = 0.84

# Weight of too high a noise level; too low a one weighs 1 - ALPHA [2]_.
ALPHA = 0.3

Loss = Callable[[Tensor, Tensor], Tensor]
Term = Callable[[Estimate, Tensor], Tensor]


def mean_squared(estimate: Tensor, clean: Tensor) -> Tensor:
    """Mean squared error of intensity (L2)."""
    return (estimate - clean).square().mean()


def psnr_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """-PSNR in dB (peak 1): 10·log10 of the squared error of each image, mean over images [5]_.

    Each image counts alike, however hard it is; the mean squared error is ruled by the hardest.
    """
    error = (estimate - clean).square().flatten(1).mean(1)
    return 10 * error.clamp_min(_FLOOR).log10().mean()


def mean_absolute(estimate: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute error of intensity (L1)."""
    return (estimate - clean).abs().mean()


def log_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """½·mean(e^d - d - 1) + ½·mean(d²) with d = ln x - ln x̂.

    The first term is the Gamma likelihood's (Itakura-Saito) distance, least where x̂ is the
    mean of x; the second keeps outliers in hand.
    """
    d = _log_ratio(estimate, clean)
    bounded = d.clamp(-10, 5)
    return 0.5 * (bounded.exp() - bounded - 1).mean() + 0.5 * d.square().mean()


def log_cosh(estimate: Tensor, clean: Tensor) -> Tensor:
    """Mean of ln cosh(ln x - ln x̂) of amplitudes, a smooth L1 of logarithms [3]_."""
    d = 0.5 * _log_ratio(estimate, clean).abs()
    return (d + (-2 * d).exp().log1p() - math.log(2)).mean()


def ssim_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """1 - mean SSIM, Gaussian windows of σ = 1.5 pixels."""
    luminance, structure = _similarity(estimate, clean, 1.5)
    return 1 - (luminance * structure).mean()


def ms_ssim_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """1 - mean MS-SSIM over windows of σ in `SCALES`, at full resolution [1]_."""
    return (1 - _ms_ssim(estimate, clean)).mean()


def mixed_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """0.84 times the MS-SSIM loss and 0.16 times L1 over `RANGE`, under its widest window [1]_."""
    absolute = _blur((estimate - clean).abs(), SCALES[-1]) / RANGE
    return (MIX * (1 - _ms_ssim(estimate, clean)) + (1 - MIX) * absolute).mean()


def total_variation(estimate: Estimate, looks: Tensor) -> Tensor:
    """Mean over pixels of the gradient's length, √(dx² + dy²): the true total variation [4]_."""
    return layers.total_variation(estimate.x)


def asymmetric(estimate: Estimate, looks: Tensor) -> Tensor:
    """Mean of |α - [σ̂ < σ]|·(σ̂ - σ)² over pixels, σ = 1/√L [2]_.

    Raises
    ------
    InvalidInput
        When the network estimates no noise level.
    """
    level = _noise_level(estimate)
    error = level - looks.rsqrt().view(-1, 1, 1, 1)
    weight = torch.where(error < 0, 1 - ALPHA, ALPHA)
    return (weight * error.square()).mean()


def noise_variation(estimate: Estimate, looks: Tensor) -> Tensor:
    """Mean of dx² + dy² of the noise level [2]_.

    Raises
    ------
    InvalidInput
        When the network estimates no noise level.
    """
    dx, dy = _differences(_noise_level(estimate))
    return (dx.square() + dy.square()).mean()


LOSS_FUNCTIONS: dict[str, Loss] = {
    "mse": mean_squared,
    "psnr": psnr_loss,
    "l1": mean_absolute,
    "ssim": ssim_loss,
    "ms-ssim": ms_ssim_loss,
    "mixed": mixed_loss,
    "log": log_loss,
    "log-cosh": log_cosh,
}

TERM_FUNCTIONS: dict[str, Term] = {
    "tv": total_variation,
    "asymmetric": asymmetric,
    "noise_tv": noise_variation,
}


def combined(loss: str, terms: dict[str, float]) -> Callable[[Estimate, Tensor, Tensor], Tensor]:
    """The loss of a recipe, of (estimate, clean, looks): its main one plus weighted terms.

    Terms of other names are networks' own, see `Despeckler.training_loss`.
    """
    main = LOSS_FUNCTIONS[loss]
    known = TERM_FUNCTIONS.items()
    weighted = [(terms[name], function) for name, function in known if name in terms]

    def total(estimate: Estimate, clean: Tensor, looks: Tensor) -> Tensor:
        value = main(estimate.x, clean)
        for weight, term in weighted:
            value = value + weight * term(estimate, looks)
        return value

    return total


def _log_ratio(estimate: Tensor, clean: Tensor) -> Tensor:
    return clean.clamp_min(_FLOOR).log() - estimate.clamp_min(_FLOOR).log()


def _noise_level(estimate: Estimate) -> Tensor:
    if estimate.noise_level is None:
        raise InvalidInput(
            "Recipe: the terms 'asymmetric' and 'noise_tv' need a network that estimates the "
            "noise level; this one does not."
        )
    return estimate.noise_level


def _differences(image: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences along columns and rows, zero at the last ones: shapes as given."""
    dx = torch.diff(image, dim=-1, append=image[..., -1:])
    dy = torch.diff(image, dim=-2, append=image[..., -1:, :])
    return dx, dy


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian window, normalised over the pixels inside the image."""
    for axis in (-1, -2):
        length = image.shape[axis]
        places = torch.arange(length, dtype=image.dtype, device=image.device)
        weights = torch.exp(-0.5 * ((places[:, None] - places) / sigma) ** 2)
        weights = weights / weights.sum(1, keepdim=True)
        # A matrix product: for patches faster than a convolution so wide.
        image = image @ weights.T if axis == -1 else weights @ image
    return image


def _similarity(estimate: Tensor, clean: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """SSIM's luminance term, and its contrast and structure term, at every pixel."""
    mean_e, mean_c = _blur(estimate, sigma), _blur(clean, sigma)
    variance_e = _blur(estimate.square(), sigma) - mean_e.square()
    variance_c = _blur(clean.square(), sigma) - mean_c.square()
    covariance = _blur(estimate * clean, sigma) - mean_e * mean_c
    luminance = (2 * mean_e * mean_c + _C1) / (mean_e.square() + mean_c.square() + _C1)
    return luminance, (2 * covariance + _C2) / (variance_e + variance_c + _C2)


def _ms_ssim(estimate: Tensor, clean: Tensor) -> Tensor:
    product = torch.ones_like(estimate)
    for sigma in SCALES:
        luminance, structure = _similarity(estimate, clean, sigma)
        product = product * structure
    return product * luminance

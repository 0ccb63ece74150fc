"""Layers that several networks share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from .base import Conv2d

# Relative to the scene's scale; ten decades below it there is no signal.
_FLOOR = 1e-10

# Estimates of networks in the logarithm lie within this many times the image, either way.
_WIDEST = math.log(1e6)


def log_intensity(intensity: Tensor, divisor: int = 1) -> Tensor:
    """ln Z of (B, 1, H, W), extended to multiples of ``divisor`` by the last row and column."""
    height, width = intensity.shape[-2:]
    log = intensity.clamp_min(_FLOOR).log()
    extra = (0, -width % divisor, 0, -height % divisor)
    return pad(log, extra, mode="replicate") if any(extra) else log


def single(values: Tensor) -> Tensor:
    """The values in single precision at least: what half precision is too coarse for."""
    return values if values.dtype == torch.float64 else values.float()


def bounded(correction: Tensor) -> Tensor:
    """A logarithm's correction in single precision, within a factor of a million."""
    return single(correction).clamp(-_WIDEST, _WIDEST)


class LogConv(nn.Conv2d):
    """3×3 convolution of log-intensity by kernels whose sum is zero.

    A factor on the image is a constant on its logarithm, which such kernels do not see: what
    follows is the same for any calibration. Borders are continued, since zeros would not be
    neutral there. Computes in single precision, for it takes differences of large logarithms.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)

    def forward(self, input: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Features (B, outputs, H, W) in ``dtype``, channels last."""
        kernel = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        features = conv2d(pad(input, (1, 1, 1, 1), mode="replicate"), kernel, self.bias)
        return features.to(dtype or input.dtype, memory_format=torch.channels_last)


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose state is floats only, fit for averaging and half precision."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, *args: object) -> None:
        # That of batch normalisation would ask for the counter.
        nn.Module._load_from_state_dict(self, *args)


class ConvNormReLU(nn.Module):
    """3×3 convolution, batch normalisation and ReLU; one convolution in evaluation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, channels, H, W) in the type of ``x``."""
        norm = self.norm
        if norm.training:
            return norm(self.conv(x)).relu()
        assert norm.running_var is not None and norm.running_mean is not None
        factor = norm.weight * (norm.running_var + norm.eps).rsqrt()
        kernel = (self.conv.weight * factor[:, None, None, None]).to(
            x.dtype, memory_format=torch.channels_last
        )
        shift = norm.bias - norm.running_mean * factor
        return conv2d(x, kernel, shift.to(x.dtype), padding=1).relu()


def initialise(module: nn.Module) -> None:
    """He initialisation of all convolutions, biases zero."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def gradient_length(image: Tensor) -> Tensor:
    """Length of the gradient of (B, C, H, W) at each pixel; differences 0 beyond the border.

    The gradient's own length, not its square: edges cost by their height alone.
    """
    dy = pad(image[..., 1:, :] - image[..., :-1, :], (0, 0, 0, 1))
    dx = pad(image[..., 1:] - image[..., :-1], (0, 1))
    # The root has no slope at zero; with the constant, flat places have slope 0.
    return (dx.square() + dy.square() + 1e-12).sqrt()


def total_variation(image: Tensor) -> Tensor:
    """Mean of `gradient_length`."""
    return gradient_length(image).mean()

"""Parts that several networks share: normalised convolutions, and the domain they work in."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, pad

from .base import Conv2d

# Relative to the scene's scale; ten decades below it there is no signal.
_FLOOR = 1e-10

# Estimates of networks in the logarithm lie within this many times the image, either way.
_WIDEST = math.log(1e6)

_MOMENTUM, _EPSILON = 0.1, 1e-5

DOMAINS = ("intensity", "amplitude", "log")


def to_domain(intensity: Tensor, domain: str) -> Tensor:
    """Intensity as it is, its square root, or its logarithm."""
    if domain == "intensity":
        return intensity
    if domain == "amplitude":
        return intensity.clamp_min(0).sqrt()
    return intensity.clamp_min(_FLOOR).log()


def from_domain(values: Tensor, domain: str) -> Tensor:
    """Back to intensity; a negative amplitude becomes a negative intensity, with a gradient."""
    if domain == "intensity":
        return values
    if domain == "amplitude":
        return values * values.abs()
    return values.exp()


def check_domain(domain: str) -> None:
    """Raise ValueError for what is none of `DOMAINS`."""
    if domain not in DOMAINS:
        raise ValueError(f"domain='{domain}'")


def log_intensity(intensity: Tensor, divisor: int = 1) -> Tensor:
    """ln Z of (B, 1, H, W), extended to multiples of ``divisor`` by the last row and column."""
    return even(to_domain(intensity, "log"), divisor)


def single(values: Tensor) -> Tensor:
    """The values in single precision at least: what half precision is too coarse for."""
    return values if values.dtype == torch.float64 else values.float()


def bounded(correction: Tensor) -> Tensor:
    """A logarithm's correction in single precision, within a factor of a million."""
    return single(correction).clamp(-_WIDEST, _WIDEST)


class BatchNorm2d(nn.Module):
    """Batch normalisation whose running statistics can be averaged and stored as weights are.

    PyTorch's own also counts batches; a counter is no weight, and has no running mean.

    Parameters
    ----------
    channels : int
    bias_free : bool
        Divide by the standard deviation only: neither mean nor shift. Networks of such layers
        and bias-free convolutions are homogeneous of degree 1 (Mohan, Kadkhodaie, Simoncelli
        and Fernandez-Granda, "Robust and Interpretable Blind Image Denoising via Bias-Free
        Convolutional Neural Networks", ICLR 2020).
    """

    weight: Tensor
    running_var: Tensor

    def __init__(self, channels: int, bias_free: bool = False) -> None:
        super().__init__()
        self.bias_free = bias_free
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_var", torch.ones(channels))
        if not bias_free:
            self.bias = nn.Parameter(torch.zeros(channels))
            self.register_buffer("running_mean", torch.zeros(channels))

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W) by the batch in training, else by the running statistics."""
        if not self.bias_free:
            return batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, self.training,
                _MOMENTUM, _EPSILON,
            )  # fmt: skip
        variance = self.running_var
        if self.training:
            variance = input.float().var((0, 2, 3), unbiased=False)
            self.running_var.lerp_(variance.detach(), _MOMENTUM)
        gain = self.weight * (variance + _EPSILON).rsqrt()
        return input * gain.to(input.dtype)[:, None, None]

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """Gain (C,) and shift (C,) that the running statistics amount to."""
        gain = self.weight * (self.running_var + _EPSILON).rsqrt()
        return gain, None if self.bias_free else self.bias - self.running_mean * gain


class ConvNorm(nn.Module):
    """3×3 convolution and batch normalisation; one convolution outside training.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    bias_free : bool
        See `BatchNorm2d`.
    """

    def __init__(self, inputs: int, outputs: int, bias_free: bool = False) -> None:
        super().__init__()
        self.convolution = Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = BatchNorm2d(outputs, bias_free)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.norm(self.convolution(x))
        gain, shift = self.norm.folded()
        weight = (self.convolution.weight * gain[:, None, None, None]).to(
            x.dtype, memory_format=torch.channels_last
        )
        return conv2d(x, weight, None if shift is None else shift.to(x.dtype), padding=1)


class ConvNormReLU(ConvNorm):
    """The same with a ReLU after it, and as many channels out as in."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class FirstConv2d(nn.Conv2d):
    """3×3 convolution of the image itself, in single precision, borders replicated.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    zero_sum : bool
        Make each kernel sum to zero: what is added to the image, a factor in the domain of
        logarithms, then leaves the features as they are.
    bias : bool
    """

    def __init__(
        self, inputs: int, outputs: int, zero_sum: bool = False, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, 3, bias=bias)
        self.zero_sum = zero_sum

    def forward(self, input: Tensor) -> Tensor:
        kernel = self.weight
        if self.zero_sum:
            # In single precision: it takes differences of large logarithms.
            kernel = kernel - kernel.mean((1, 2, 3), keepdim=True)
        return conv2d(pad(input, (1, 1, 1, 1), mode="replicate"), kernel, self.bias)


class LogConv(FirstConv2d):
    """The same of log-intensity, with kernels of zero sum, for features in any type."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, zero_sum=True)

    def forward(self, input: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Features (B, outputs, H, W) in ``dtype``, channels last."""
        features = super().forward(input)
        return features.to(dtype or input.dtype, memory_format=torch.channels_last)


def initialise(network: nn.Module) -> None:
    """He initialisation of all convolutions, biases zero."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def he_initialise(network: nn.Module, last: nn.Conv2d, gain: float = 0.1) -> None:
    """The same, and the last layer's weights times ``gain``."""
    initialise(network)
    with torch.no_grad():
        last.weight.mul_(gain)


def scale_last(last: nn.Conv2d, domain: str, factor: float) -> None:
    """Make what a last layer *adds up to* ``factor`` times as much intensity."""
    with torch.no_grad():
        if domain == "log":
            assert last.bias is not None
            last.bias.add_(math.log(factor))
            return
        gain = math.sqrt(factor) if domain == "amplitude" else factor
        last.weight.mul_(gain)
        if last.bias is not None:
            last.bias.mul_(gain)


def even(image: Tensor, divisor: int = 2) -> Tensor:
    """The image with its last rows and columns repeated up to a multiple of ``divisor``."""
    height, width = image.shape[-2:]
    return pad(image, (0, -width % divisor, 0, -height % divisor), mode="replicate")


def gradient_length(image: Tensor) -> Tensor:
    """Length of the gradient of (B, C, H, W) at each pixel; differences 0 beyond the border.

    The gradient's own length, not its square: edges cost by their height alone.
    """
    dx = torch.diff(image, dim=-1, append=image[..., -1:])
    dy = torch.diff(image, dim=-2, append=image[..., -1:, :])
    # The root has no slope at zero; with the constant, flat places have slope 0.
    return (dx.square() + dy.square() + 1e-12).sqrt()


def total_variation(image: Tensor) -> Tensor:
    """Mean of `gradient_length`."""
    return gradient_length(image).mean()

"""DoPAMINE: double-sided masked CNN for pixelwise affine despeckling.

Joo, Cha and Moon, "DoPAMINE: Double-Sided Masked CNN for Pixel Adaptive Multiplicative Noise
Despeckling", AAAI 2019. The estimate is x̂ = a·Z + b (equation 2), where a and b of a pixel
depend on its surroundings but never on the pixel itself, which makes the risk of equation 5
unbiased.

Each of the 21 layers holds a causal (LU) and an anti-causal (RD) branch. A branch carries a
vertical stack, which sees only the rows above (below), and a horizontal stack, which adds the
pixels to the left (right) in the same row:

    V_l = ReLU(conv2x3(V_{l-1}))        rows r-1, r       (l = 1: conv1x3 of row r-1 of Z)
    H_l = ReLU(SA(conv1x2(H_{l-1}), conv1x1(V_l)))        (l = 1: 1x1 of the left pixel of Z)
    S_l = SA(H_l^LU, H_l^RD)

SA is the paper's scale add, a sum of N maps divided by √N (equation 8). The scale add of all
S_l runs through 1×1 residual blocks to the two maps (a, b). The receptive field is
(2·layers + 1)², 43×43 for 21 layers. The RD branch is the LU branch turned by 180°: here its
kernels are stored turned and its padding is mirrored, so nothing is ever flipped.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from .base import Conv2d, Despeckler, Estimate
from .card import ModelCard

# Size of a strip of inference: its feature maps then stay in the processor's cache.
_STRIP_PIXELS = 16384

_TINY = 1e-6


class _CropReLU(torch.autograd.Function):
    """ReLU of a map (plus another) without its one row or column too many, in one pass."""

    @staticmethod
    def forward(ctx: Any, wide: Tensor, other: Tensor | None, dim: int, start: int) -> Tensor:
        core = wide.narrow(dim, start, wide.shape[dim] - 1)
        out = core.relu() if other is None else core.add(other).relu_()
        ctx.save_for_backward(out)
        ctx.dim, ctx.start, ctx.shape, ctx.both = dim, start, wide.shape, other is not None
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        (out,) = ctx.saved_tensors
        dim, start = ctx.dim, ctx.start
        size = ctx.shape[dim] - 1
        wide = torch.empty(
            ctx.shape, dtype=grad.dtype, device=grad.device, memory_format=torch.channels_last
        )
        core = wide.narrow(dim, start, size)
        torch.ops.aten.threshold_backward.grad_input(grad, out, 0, grad_input=core)
        wide.select(dim, 0 if start else size).zero_()
        return wide, (core if ctx.both else None), None, None


class _MaskedLayer(nn.Module):
    """One layer of one branch: kernels of the vertical and the horizontal stack.

    Parameters
    ----------
    channels : int
        Filters of each stack.
    first : bool
        Whether the layer reads the image itself, and must leave out the centre.
    turned : bool
        False for LU (rows above, pixels to the left), True for RD.
    """

    def __init__(self, channels: int, first: bool, turned: bool) -> None:
        super().__init__()
        inputs = 1 if first else channels
        self.first = first
        self.turned = turned
        self.vertical = nn.Conv2d(inputs, channels, (1, 3) if first else (2, 3))
        self.horizontal = nn.Conv2d(inputs, channels, (1, 1) if first else (1, 2), bias=False)
        self.merge = nn.Conv2d(channels, channels, 1)

    def folded(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Kernels in ``dtype``, the scale add of the horizontal stack folded in."""
        half = math.sqrt(0.5)
        return (
            self.vertical.weight.to(dtype, memory_format=torch.channels_last),
            self.vertical.bias.to(dtype),
            (self.horizontal.weight * half).to(dtype, memory_format=torch.channels_last),
            (self.merge.weight * half).to(dtype, memory_format=torch.channels_last),
            (self.merge.bias * half).to(dtype),
        )

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Whole maps (B, C, H, W) of the layer before to those of this one."""
        vertical, vertical_bias, horizontal, merge, merge_bias = self.folded(v.dtype)
        start = int(self.turned)
        if self.first:
            v, h = self.shift(v)
            v = conv2d(v, vertical, vertical_bias, padding=(0, 1)).relu()
            mixed = conv2d(v, merge, merge_bias) + conv2d(h, horizontal)
            return v, mixed.relu()
        wide = conv2d(v, vertical, vertical_bias, padding=(1, 1))
        v = _CropReLU.apply(wide, None, 2, start)
        wide = conv2d(h, horizontal, padding=(0, 1))
        return v, _CropReLU.apply(wide, conv2d(v, merge, merge_bias), 3, start)

    def shift(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The image moved by one row and by one column: what the first layer may see."""
        if self.turned:
            return pad(image, (0, 0, -1, 1)), pad(image, (-1, 1))
        return pad(image, (0, 0, 1, -1)), pad(image, (1, -1))


class _StripLayer(nn.Module):
    """Inference of a `_MaskedLayer` strip by strip, in the order its branch looks.

    The vertical stack needs of the strip before only its last row, so strips cost no halo.
    """

    def __init__(self, layer: _MaskedLayer, dtype: torch.dtype) -> None:
        super().__init__()
        self.first, self.turned = layer.first, layer.turned
        self.kernels = layer.folded(dtype)
        self.carry: Tensor | None = None

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        vertical, vertical_bias, horizontal, merge, merge_bias = self.kernels
        if self.first:
            v = conv2d(v, vertical, vertical_bias, padding=(0, 1)).relu_()
            mixed = conv2d(v, merge, merge_bias).add_(conv2d(h, horizontal))
            return v, mixed.relu_()
        near = v[:, :, :1] if self.turned else v[:, :, -1:]
        carry = torch.zeros_like(near) if self.carry is None else self.carry
        self.carry = near.clone()
        rows = torch.cat([v, carry] if self.turned else [carry, v], 2)
        v = conv2d(rows, vertical, vertical_bias, padding=(0, 1)).relu_()
        wide = conv2d(h, horizontal, padding=(0, 1))
        h = wide[..., 1:] if self.turned else wide[..., :-1]
        return v, conv2d(v, merge, merge_bias).add_(h).relu_()


class _Block(nn.Module):
    """Residual block of 1×1 convolutions joined by a scale add."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = Conv2d(channels, channels, 1)
        self.outer = Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        outer = self.outer(self.inner(x).relu_())
        return ((x + outer) * math.sqrt(0.5)).relu()


class Dopamine(Despeckler):
    """The network of the paper.

    Parameters
    ----------
    layers : int
        Masked layers; the receptive radius in pixels.
    channels : int
        Filters of every convolution but the last.
    blocks : int
        Residual blocks of 1×1 convolutions.
    inputs : {"identity", "sqrt", "log"}
        What the first layer sees of Z (the paper is silent).
    head : {"linear", "sigmoid", "moments"}
        How the two output maps become a and b: as they are; a through a logistic function;
        or a = logistic, b = (1 - a)·exp(m), which is positive and spans decades.
    """

    def __init__(
        self,
        layers: int = 21,
        channels: int = 64,
        blocks: int = 5,
        inputs: str = "identity",
        head: str = "linear",
    ) -> None:
        super().__init__()
        if inputs not in ("identity", "sqrt", "log"):
            raise ValueError(f"inputs='{inputs}'")
        if head not in ("linear", "sigmoid", "moments"):
            raise ValueError(f"head='{head}'")
        self.inputs, self.head = inputs, head
        self.lu = nn.ModuleList(_MaskedLayer(channels, i == 0, False) for i in range(layers))
        self.rd = nn.ModuleList(_MaskedLayer(channels, i == 0, True) for i in range(layers))
        self.blocks = nn.ModuleList(_Block(channels) for _ in range(blocks))
        self.last = Conv2d(channels, 2, 1)
        self.reset_parameters()

    def describe(self, **values: Any) -> ModelCard:
        """Card; the receptive radius is the number of masked layers."""
        return ModelCard(radius=len(self.lu), affine=True, blind=True, **values)

    def reset_parameters(self) -> None:
        """He initialisation; the last layer gets unit gain, for no ReLU follows it."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.kaiming_normal_(self.last.weight, nonlinearity="linear")

    def head_parameters(self) -> list[nn.Parameter]:
        """Weights of `maps_from`: the 1×1 blocks and the last convolution."""
        return [*self.blocks.parameters(), *self.last.parameters()]

    def scale_features(self, factors: Tensor) -> None:
        """Multiply the channels of `features` by positive factors (channels,), in the weights.

        A positive factor passes through a ReLU: each horizontal stack's kernels take it on,
        and those that read it take it off again. The vertical stacks stay as they are.
        """
        rows = factors.detach()[:, None, None, None]
        with torch.no_grad():
            for layer in (*self.lu, *self.rd):
                layer.horizontal.weight.mul_(rows)
                layer.merge.weight.mul_(rows)
                layer.merge.bias.mul_(factors)
                if not layer.first:
                    layer.horizontal.weight.div_(rows[:, 0])

    def features_in(self, intensity: Tensor) -> Tensor:
        """What the masked layers see: Z, √Z or ln Z, zero mean where that is simple."""
        if self.inputs == "identity":
            return intensity
        if self.inputs == "sqrt":
            return intensity.clamp_min(0).sqrt()
        return intensity.clamp_min(_TINY).log()

    def forward(
        self, intensity: Tensor, looks: Tensor, dtype: torch.dtype | None = None
    ) -> Estimate:
        """Estimate from intensity (B, 1, H, W); convolutions run in ``dtype``."""
        a, b = self.maps_from(self.features(intensity, dtype))
        return Estimate(a * intensity + b, a, b)

    def features(self, intensity: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Scale add of all S_l, (B, channels, H, W) in ``dtype``: all but the 1×1 head."""
        image = self.features_in(intensity).to(dtype or intensity.dtype)
        trained = any(p.requires_grad for stack in (self.lu, self.rd) for p in stack.parameters())
        if torch.is_grad_enabled() and (trained or image.requires_grad):
            return self._sum_whole(image)
        return torch.cat([self._sum_strips(one[None]) for one in image])

    def _sum_whole(self, image: Tensor) -> Tensor:
        """Scale add of all S_l, for training."""
        image = image.contiguous(memory_format=torch.channels_last)
        total = image.new_zeros(())
        for branch in (self.lu, self.rd):
            v = h = image
            for layer in branch:
                v, h = layer(v, h)
                total = total + h
        return total / math.sqrt(len(self.lu) + len(self.rd))

    def _sum_strips(self, image: Tensor) -> Tensor:
        """The same for one image without gradient, in strips that stay in the cache."""
        height, width = image.shape[-2:]
        rows = _strip_rows(image)
        scale = 1 / math.sqrt(len(self.lu) + len(self.rd))
        total = torch.empty(
            (1, self.last.in_channels, height, width),
            dtype=image.dtype,
            device=image.device,
            memory_format=torch.channels_last,
        )
        for branch in (self.lu, self.rd):
            turned = branch[0].turned
            strips = [_StripLayer(layer, image.dtype) for layer in branch]
            above, beside = branch[0].shift(image)
            starts = range(0, height, rows)
            for top in reversed(starts) if turned else starts:
                bottom = min(top + rows, height)
                v, h = above[:, :, top:bottom], beside[:, :, top:bottom]
                part = None
                for strip in strips:
                    v, h = strip(v, h)
                    part = h.clone() if part is None else part.add_(h)
                target = total[:, :, top:bottom]
                if turned:
                    target.add_(part).mul_(scale)
                else:
                    target.copy_(part)
        return total

    def maps_from(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps a and b (B, 1, H, W) of `features`, pixel by pixel."""
        if torch.is_grad_enabled():
            maps = self._maps(features)
        else:
            strips = features.split(_strip_rows(features), 2)
            maps = torch.cat([self._maps(strip) for strip in strips], 2)
        a, b = maps[:, :1], maps[:, 1:]
        if self.head == "linear":
            return a, b
        a = torch.sigmoid(a)
        return (a, b) if self.head == "sigmoid" else (a, (1 - a) * b.clamp(-30, 30).exp())

    def _maps(self, features: Tensor) -> Tensor:
        """Both maps, (B, 2, H, W), before the head's functions."""
        for block in self.blocks:
            features = block(features)
        return self.last(features).float()


def _strip_rows(maps: Tensor) -> int:
    """Rows of a strip of inference over maps (B, C, H, W)."""
    height, width = maps.shape[-2:]
    return max(4, _STRIP_PIXELS // width) if maps.device.type == "cpu" else height

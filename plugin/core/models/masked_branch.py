"""Features of one branch of DoPAMINE, with a gradient worked out by hand.

The maps of a whole image are many times the processor's cache, and every addition, ReLU and
gradient mask would fetch them anew. A branch looks one way only, so strips of rows may go through
all of its layers one after the other, and their gradient back in reverse order: of a strip's
neighbour only one row is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

# Kernels of a layer: vertical and its bias, horizontal, merge and its bias.
KERNELS = 5

_LAST = torch.channels_last


class BranchSum(torch.autograd.Function):
    """Sum of the horizontal stacks H_l of all layers, (B, C, H, W).

    Takes the image moved by a row and by a column (B, 1, H, W), what the first layer sees;
    whether the branch is the turned one; the pixels of a strip (0: do not divide); and
    `KERNELS` tensors a layer.
    """

    @staticmethod
    def forward(
        ctx: Any, above: Tensor, beside: Tensor, turned: bool, pixels: int, *kernels: Tensor
    ) -> Tensor:
        batch, _, height, width = above.shape
        channels = kernels[0].shape[0]
        layers = [kernels[i : i + KERNELS] for i in range(0, len(kernels), KERNELS)]

        def empty(rows: int, columns: int) -> Tensor:
            shape = (batch, channels, rows, columns)
            return torch.empty(shape, dtype=above.dtype, device=above.device, memory_format=_LAST)

        # With a row (column) of zeros where the branch looks beyond the image's border.
        row, column = (height, width) if turned else (0, 0)
        vs, hs = [], []
        for _ in layers:
            vs.append(empty(height + 1, width))
            hs.append(empty(height, width + 1))
            vs[-1].select(2, row).zero_()
            hs[-1].select(3, column).zero_()
        total = empty(height, width)
        seen_v, seen_h, shift = [above, *vs], [beside, *hs], int(not turned)
        for images, top, bottom in _strips(above.shape, pixels, turned):
            part = total[images, :, top:bottom].zero_()
            for number, kernel in enumerate(layers):
                vertical, vertical_bias, horizontal, merge, merge_bias = kernel
                v = vs[number][images, :, top + shift : bottom + shift]
                h = hs[number][images, :, top:bottom, shift : shift + width]
                source_v = seen_v[number][images, :, top : bottom + (number > 0)]
                source_h = seen_h[number][images, :, top:bottom]
                torch.clamp_min(conv2d(source_v, vertical, vertical_bias, padding=(0, 1)), 0, out=v)
                mixed = _mixed(v, merge, merge_bias)
                torch.add(mixed, conv2d(source_h, horizontal), out=h).relu_()
                part.add_(h)
        ctx.save_for_backward(above, beside, *kernels, *vs, *hs)
        ctx.turned, ctx.pixels, ctx.layers = turned, pixels, len(layers)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        above, beside, *rest = ctx.saved_tensors
        count, turned = ctx.layers, ctx.turned
        kernels = rest[: KERNELS * count]
        vs, hs = rest[KERNELS * count : -count], rest[-count:]
        seen_v, seen_h, shift = [above, *vs], [beside, *hs], int(not turned)
        width = above.shape[-1]
        grad = grad.contiguous(memory_format=_LAST)
        images_needed = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        sums = [
            torch.zeros_like(kernel, dtype=torch.promote_types(kernel.dtype, torch.float32))
            for kernel in kernels
        ]
        grad_above, grad_beside = torch.zeros_like(above), torch.zeros_like(beside)
        # Of each layer, what the strip before asks of the row it shares with this one.
        shared: list[Tensor] = []
        near = -1 if shift else 0
        for images, top, bottom in reversed(list(_strips(above.shape, ctx.pixels, turned))):
            ends = bottom == above.shape[2] if shift else top == 0
            part = grad[images, :, top:bottom]
            before, shared = shared, []
            grad_v: Tensor | None = None
            grad_h: Tensor | None = None
            for number in reversed(range(count)):
                vertical, _, horizontal, merge, _ = kernels[KERNELS * number :][:KERNELS]
                add = sums[KERNELS * number :][:KERNELS]
                v = vs[number][images, :, top + shift : bottom + shift]
                h = hs[number][images, :, top:bottom, shift : shift + width]
                total = part if grad_h is None else part + grad_h
                masked = torch.ops.aten.threshold_backward(total, h, 0)
                asked = _mixed_backward(masked, v, merge, add[3], add[4])
                if grad_v is not None:
                    asked.add_(grad_v)
                if not ends and number < count - 1:
                    asked.select(2, near).add_(before.pop(0))
                asked = torch.ops.aten.threshold_backward(asked, v, 0)
                inner = number > 0
                wanted = inner or images_needed
                source_v = seen_v[number][images, :, top : bottom + inner]
                source_h = seen_h[number][images, :, top:bottom]
                wide_v = _backward(asked, source_v, vertical, (0, 1), wanted, add[0], add[1])
                wide_h = _backward(masked, source_h, horizontal, (0, 0), wanted, add[2], None)
                if inner:
                    rows = bottom - top
                    grad_v = wide_v[:, :, shift : shift + rows]
                    grad_h = wide_h[..., shift : shift + width]
                    shared.append(wide_v.select(2, 0 if shift else rows).clone())
                elif wanted:
                    grad_above[images, :, top:bottom] = wide_v
                    grad_beside[images, :, top:bottom] = wide_h
        gradients = [s.to(kernel.dtype) for s, kernel in zip(sums, kernels)]
        if not images_needed:
            return None, None, None, None, *gradients
        return grad_above, grad_beside, None, None, *gradients


def _strips(shape: torch.Size, pixels: int, turned: bool) -> Iterator[tuple[slice, int, int]]:
    """Images and rows of each strip, in the order the branch looks."""
    batch, _, height, width = shape
    if not pixels or batch * height * width <= pixels:
        yield slice(0, batch), 0, height
        return
    together = max(1, pixels // (height * width))
    rows = height if together > 1 else max(4, pixels // width)
    starts = range(0, height, rows)
    for first in range(0, batch, together):
        for top in reversed(starts) if turned else starts:
            yield slice(first, min(first + together, batch)), top, min(top + rows, height)


def _matrix(maps: Tensor) -> Tensor:
    """Pixels by channels."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def _maps(matrix: Tensor, like: Tensor) -> Tensor:
    batch, _, height, width = like.shape
    return matrix.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _mixed(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """1×1 convolution, as a matrix product."""
    return _maps(torch.addmm(bias, _matrix(maps), weight[:, :, 0, 0].t()), maps)


def _mixed_backward(
    grad: Tensor, maps: Tensor, weight: Tensor, weight_sum: Tensor, bias_sum: Tensor
) -> Tensor:
    """Gradient of the maps; those of weight and bias are added to the sums."""
    flat = _matrix(grad)
    weight_sum[:, :, 0, 0].add_(flat.t() @ _matrix(maps))
    bias_sum.add_(flat.sum(0))
    return _maps(flat @ weight[:, :, 0, 0], grad)


def _backward(
    grad: Tensor,
    maps: Tensor,
    weight: Tensor,
    padding: tuple[int, int],
    wanted: bool,
    weight_sum: Tensor,
    bias_sum: Tensor | None,
) -> Tensor:
    """The same of any convolution; the maps' gradient is None where not ``wanted``."""
    sizes = [weight.shape[0]] if bias_sum is not None else None
    grad_maps, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
        grad, maps, weight, sizes, (1, 1), padding, (1, 1), False, (0, 0), 1,
        (wanted, True, bias_sum is not None),
    )  # fmt: skip
    weight_sum.add_(grad_weight)
    if bias_sum is not None:
        bias_sum.add_(grad_bias)
    return grad_maps

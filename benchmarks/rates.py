"""Timing by ratios: what a computation reaches against the matrix product of the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

_MATRIX = 2048


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median time of ``work`` after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matrix_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a square matrix product."""
    a = torch.randn(_MATRIX, _MATRIX, dtype=dtype)
    b = torch.randn(_MATRIX, _MATRIX, dtype=dtype)
    out = torch.empty_like(a)
    return 2 * _MATRIX**3 / seconds(lambda: torch.mm(a, b, out=out), 7)


def dopamine_flops(layers: int = 21, channels: int = 64, blocks: int = 5) -> int:
    """Floating-point operations a pixel of DoPAMINE's forward pass, two a multiply-add."""
    square = channels * channels
    first = 2 * (3 * channels + channels + square)
    masked = 2 * (layers - 1) * (6 + 2 + 1) * square
    return 2 * (first + masked + blocks * 2 * square + 2 * channels)

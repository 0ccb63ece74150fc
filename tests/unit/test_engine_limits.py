"""Threads and memory of the engine: bounds that really bind the worker."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from engine_models import request, save_boxcar

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.engine import shared
from speckless.plugin.engine.client import Engine
from speckless.plugin.engine.limits import Limits
from speckless.plugin.engine.shared import limit_shared_engine, shared_engine

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bound on Linux only")


@pytest.fixture(scope="module")
def boxcar(tmp_path_factory):
    return save_boxcar(tmp_path_factory.mktemp("boxcar") / "boxcar.safetensors")


@pytest.mark.parametrize("limits", [Limits(), Limits(3), Limits(None, 900), Limits(2, 512)])
def test_limits_survive_the_command_line(limits):
    assert Limits.from_arguments(limits.arguments()) == limits
    assert Limits.from_arguments([]) == Limits()


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"memory": -1}])
def test_nothing_cannot_be_worked_with(wrong):
    with pytest.raises(InvalidInput, match="needs"):
        Limits(**wrong)


def peak(pid: int) -> int:
    """Most memory a process ever had, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


@linux
def test_little_memory_means_smaller_parts_and_the_same_pixels(boxcar):
    tile = request(3000)
    found = {}
    for memory in (None, 1):
        with Engine(threads=1, memory=memory) as engine:
            hello = engine.start()
            assert hello.memory_limit == (memory or 0)
            engine.load(boxcar, "cpu", "fp32")
            before = peak(hello.pid)
            result = engine.result(engine.submit(tile))
            found[memory] = result.arrays["x"], peak(hello.pid) - before, result.warnings
    whole, taken, warnings = found[None]
    parts, bounded, told = found[1]
    assert warnings == []
    assert any("memory limit" in warning for warning in told)
    np.testing.assert_allclose(parts, whole, rtol=2e-4)
    assert bounded < taken / 2


def test_other_limits_restart_the_shared_worker():
    try:
        limit_shared_engine(1, None)
        with shared_engine() as engine:
            first = engine.start()
            assert first.threads == 1
            assert engine.start().pid == first.pid
        limit_shared_engine(2, None)
        with shared_engine() as engine:
            second = engine.start()
        assert second.threads == 2
        assert second.pid != first.pid
    finally:
        limit_shared_engine(None, None)
        shared.close_shared_engine()

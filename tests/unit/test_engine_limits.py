"""Threads and memory of the engine: bounds that really bind the worker."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from engine_models import request, save_boxcar

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.engine import client
from speckless.plugin.engine.client import Engine, limit_shared_engine, shared_engine
from speckless.plugin.engine.limits import Limits

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


@linux
def test_little_memory_means_smaller_parts_and_the_same_pixels(boxcar):
    tile = request(4000)
    with Engine(threads=1, memory=1) as engine:
        hello = engine.start()
        # A bound below what torch itself takes is raised to what it can work with.
        assert 192 < hello.memory_limit < 8192
        engine.load(boxcar, "cpu", "fp32")
        result = engine.result(engine.submit(tile))
    assert any("computing in parts" in warning for warning in result.warnings)
    by_hand = tile.intensity[0:51, 0:51]
    sums = sum(by_hand[y : y + 49, x : x + 49] for y in range(3) for x in range(3))
    np.testing.assert_allclose(result.arrays["x"][1:50, 1:50], sums / 9, rtol=1e-5)


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
        client.close_shared_engine()

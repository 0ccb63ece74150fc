"""What the worker does when memory runs out, and how it chooses devices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_models import box_mean, request, save_boxcar

from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.errors import EngineError, InvalidInput
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.engine import computing, devices
from speckless.plugin.engine.computing import Models, TileComputer, TileTask, is_out_of_memory
from speckless.plugin.engine.protocol import DeviceInfo

CPU = DeviceInfo("cpu", "a processor", True)
BROKEN = DeviceInfo("cuda:0", "a GPU", False, "no kernel image for this GPU")


class SmallDevice:
    """Stands for a GPU that holds only so many pixels; keeps what was asked of it."""

    def __init__(self, pixels: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        self.pixels = pixels
        self.error = error
        self.calls: list[tuple[tuple[int, ...], str]] = []

    def __call__(self, model, intensity, valid, *, device, **values):
        self.calls.append((intensity.shape, device))
        if device != "cpu" and intensity.size > self.pixels:
            raise self.error("CUDA out of memory. Tried to allocate 20 MiB.")
        return despeckle_tile(model, intensity, valid, device="cpu", **values)


class FakeModels(Models):
    """Pretends that a model on the CPU lies on a GPU."""

    def __init__(self, path, device: str = "cuda:0") -> None:
        super().__init__([CPU])
        self.device = device
        self.loaded = self.load(path, "cpu", "fp32")

    def get(self, handle):
        model, _, precision = super().get(handle)
        return model, self.device, precision


def task_of(tile) -> TileTask:
    shape = (tile.inner.height, tile.inner.width)
    results = {"x": np.full(shape, -1, np.float32)}
    return TileTask(tile.intensity, tile.valid, tile.inner, 1.0, 1.0, None, results)


@pytest.fixture()
def models(tmp_path):
    return FakeModels(save_boxcar(tmp_path / "boxcar.safetensors"))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_a_tile_too_large_is_computed_in_parts(models, error):
    device = SmallDevice(100 * 100, error)
    computer = TileComputer(models, device)
    tile = request(150, 131)
    task = task_of(tile)
    names, warnings = computer.compute(models.loaded.handle, task, lambda fraction: None)
    assert names == ["x"]
    np.testing.assert_allclose(task.results["x"], box_mean(tile.intensity), rtol=1e-5)
    assert len(warnings) == 1 and "parts of 75 x 75" in warnings[0] and "cuda:0" in warnings[0]
    assert {device for _, device in device.calls} == {"cuda:0"}
    assert len(device.calls) == 5
    # The next tile does not run into the wall again, a freshly loaded model tries it.
    device.calls.clear()
    assert computer.compute(models.loaded.handle, task, lambda fraction: None)[1] == []
    assert len(device.calls) == 4
    computer.retry_full_tiles(models.loaded.handle)
    assert computer.compute(models.loaded.handle, task, lambda fraction: None)[1] == warnings


def test_the_cpu_takes_over_at_last(models):
    device = SmallDevice(0)
    computer = TileComputer(models, device)
    tile = request(130)
    task = task_of(tile)
    _, warnings = computer.compute(models.loaded.handle, task, lambda fraction: None)
    np.testing.assert_allclose(task.results["x"], box_mean(tile.intensity), rtol=1e-5)
    assert "on the CPU" in warnings[-1]
    assert device.calls[-1] == ((130, 130), "cpu")
    assert computer.compute(models.loaded.handle, task, lambda fraction: None)[1] == []


def test_parts_stay_inside_the_tile_and_report_progress(models):
    tile = request(90)
    inner = tile.inner.__class__(10, 20, 70, 64)
    task = task_of(tile.__class__(**{**vars(tile), "inner": inner}))
    seen: list[float] = []
    TileComputer(models, SmallDevice(80 * 80)).compute(models.loaded.handle, task, seen.append)
    expected = box_mean(tile.intensity)[20:84, 10:80]
    np.testing.assert_allclose(task.results["x"], expected, rtol=1e-5)
    assert seen and min(seen) >= 0 and max(seen) <= 1


def test_a_cpu_without_memory_is_an_error(models, monkeypatch):
    def full(*args, **values):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")

    with pytest.raises(EngineError, match="smaller tile size"):
        TileComputer(models, full).compute(models.loaded.handle, task_of(request(80)), print)


def test_other_errors_are_not_taken_for_lack_of_memory(models):
    def wrong(*args, **values):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        TileComputer(models, wrong).compute(models.loaded.handle, task_of(request(80)), print)
    assert not is_out_of_memory(ValueError("out of memory"))
    assert computing.has_broken_device(RuntimeError("CUDA error: device-side assert triggered"))


def test_auto_takes_the_first_device_that_works_and_says_why_not_the_gpu():
    gpu = DeviceInfo("cuda:1", "a GPU", True, "passed")
    assert devices.choose_device("auto", [BROKEN, gpu, CPU])[0] == "cuda:1"
    name, reason = devices.choose_device("auto", [BROKEN, CPU])
    assert name == "cpu" and "no kernel image" in reason
    assert devices.choose_device("CUDA:1", [BROKEN, gpu, CPU])[0] == "cuda:1"


@pytest.mark.parametrize("asked", ["cuda", "cuda:0"])
def test_a_broken_device_is_refused_with_its_reason(asked):
    with pytest.raises(
        InvalidInput, match=r"no kernel image for this GPU\. Usable here: auto, cpu"
    ):
        devices.choose_device(asked, [BROKEN, CPU])


def test_devices_are_believed_after_a_computation(monkeypatch):
    assert devices.try_device("cpu") == "" and devices.try_device("cpu", torch.bfloat16) == ""
    assert "failed" in devices.try_device("meta")
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda a, b: a.sum() * 0)
    assert "wrong" in devices.try_device("cpu")


def test_precision_follows_card_and_device(monkeypatch):
    safe = ModelCard("m", "M", "boxcar", quality={"bf16_ok": True})
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: False)
    precision, reason = devices.choose_precision("auto", "cpu", safe)
    assert precision == "fp32" and "no bf16 in hardware" in reason
    assert "may be faster" in devices.choose_precision("bf16", "cpu", safe)[1]
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: True)
    assert devices.choose_precision("auto", "cpu", safe)[0] == "bf16"
    assert devices.choose_precision("auto", "cpu", ModelCard("m", "M", "boxcar"))[0] == "fp32"
    assert devices.choose_precision("fp32", "cpu", safe)[0] == "fp32"

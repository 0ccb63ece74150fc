"""Devices torch can compute on, believed only after they computed something. Worker side."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
from pathlib import Path

import torch

from ..core.errors import InvalidInput
from ..core.models.card import ModelCard
from .protocol import DEVICE_NAME, PRECISIONS, DeviceInfo

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def try_device(name: str, dtype: torch.dtype = torch.float32) -> str:
    """Convolve on a device; return why it cannot be used, or an empty string.

    A device that torch lists may still have no kernels for its generation, no memory left, or a
    driver that does not fit, and shows it only when asked to work.
    """
    try:
        device = torch.device(name)
        ones = torch.ones(1, 4, 16, 16, device=device, dtype=dtype)
        weight = torch.ones(4, 4, 3, 3, device=device, dtype=dtype)
        value = float(torch.nn.functional.conv2d(ones, weight).sum().cpu())
    except Exception as error:  # whatever torch or a driver raises, the device is of no use
        return f"a test computation failed: {_first_line(error)}"
    expected = 4 * 14 * 14 * 36.0
    # bf16 keeps 8 bits of the sum
    return "" if abs(value - expected) < expected / 100 else "a test computation went wrong"


def find_devices() -> list[DeviceInfo]:
    """Return all devices, GPUs first, the unusable ones with the reason."""
    devices = [*_cuda_devices(), *_mps_devices()]
    reason = "bf16 in hardware" if cpu_has_bf16() else "no bf16 in hardware"
    devices.append(DeviceInfo("cpu", _cpu_title(), True, reason))
    return devices


def default_device(devices: list[DeviceInfo]) -> str:
    """Return the first usable one."""
    return next((device.name for device in devices if device.usable), "cpu")


def choose_device(asked: str, devices: list[DeviceInfo]) -> tuple[str, str]:
    """Turn a user's word into a device.

    Parameters
    ----------
    asked : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:n`` or ``mps``.
    devices : list of DeviceInfo
        What `find_devices` found.

    Returns
    -------
    name, reason : str
        The device, and why it is this one.

    Raises
    ------
    InvalidInput
        When there is no such device, or it does not work.
    """
    name = asked.strip().lower()
    usable = ", ".join(device.name for device in devices if device.usable)
    if not DEVICE_NAME.fullmatch(name):
        raise InvalidInput(f"Unknown device '{asked}'. Usable here: auto, {usable}.")
    if name == "auto":
        name = default_device(devices)
        why = "; ".join(f"{d.name}: {d.reason}" for d in devices if not d.usable)
        return name, f"chosen automatically ({why})" if why else "chosen automatically"
    name = "cuda:0" if name == "cuda" else name
    for device in devices:
        if device.name != name and not (device.name == "cuda" and name.startswith("cuda")):
            continue
        if device.usable:
            return name, "as asked"
        raise InvalidInput(
            f"Device '{asked}' cannot be used: {device.reason}. Usable here: auto, {usable}."
        )
    raise InvalidInput(f"There is no device '{asked}'. Usable here: auto, {usable}.")


def choose_precision(asked: str, device: str, card: ModelCard) -> tuple[str, str]:
    """Turn a user's word into a precision.

    ``auto`` is bf16 where the model was measured to lose nothing by it
    (``card.quality["bf16_ok"]``) and the device computes it in hardware, else fp32.

    Returns
    -------
    precision, reason : str

    Raises
    ------
    InvalidInput
        When the precision is unknown, or the device does not compute it.
    """
    precision = asked.strip().lower()
    if precision not in PRECISIONS:
        raise InvalidInput(f"Unknown precision '{asked}'. Choose one of: {', '.join(PRECISIONS)}.")
    native = has_bf16(device)
    if precision == "auto":
        if not card.quality.get("bf16_ok", False):
            return "fp32", "chosen automatically (bf16 is not known to be safe for this model)"
        if not native:
            return "fp32", f"chosen automatically ({device} has no bf16 in hardware)"
        return "bf16", "chosen automatically (the model loses nothing by it)"
    if precision == "fp16" and device == "cpu":
        raise InvalidInput("Precision fp16 needs a GPU. On the CPU choose fp32, bf16 or auto.")
    problem = "" if precision == "fp32" else try_device(device, DTYPES[precision])
    if problem:
        raise InvalidInput(f"{device} does not compute in {precision}: {problem}. Choose fp32.")
    if precision == "bf16" and not native:
        return "bf16", f"as asked, though {device} has no bf16 in hardware: fp32 may be faster"
    return precision, "as asked"


@functools.lru_cache(maxsize=1)
def cpu_has_bf16() -> bool:
    """Tell whether the CPU multiplies bf16 in hardware."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        probe = getattr(torch.cpu, name, None)
        if probe is not None and probe():
            return True
    flags = _cpu_info("flags") or _cpu_info("Features")
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags.split()))


def has_bf16(device: str) -> bool:
    """Tell whether a device multiplies bf16 in hardware."""
    if device == "cpu":
        return cpu_has_bf16()
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(torch.device(device))[0] >= 8
    return False


def _cuda_devices() -> list[DeviceInfo]:
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        reason = f"torch {torch.__version__} was built without CUDA"
        if _nvidia_present():
            reason += ", though there is an NVIDIA driver: install a torch built with CUDA"
        return [DeviceInfo("cuda", "NVIDIA GPU", False, reason)]
    try:
        if not torch.cuda.is_available():
            torch.cuda.init()  # says why, where is_available only says no
        count = torch.cuda.device_count()
    except Exception as error:  # drivers raise many kinds; the text is what the user needs
        return [DeviceInfo("cuda", "NVIDIA GPU", False, _first_line(error))]
    if count == 0:
        return [DeviceInfo("cuda", "NVIDIA GPU", False, "torch finds no GPU")]
    found = []
    for index in range(count):
        name = f"cuda:{index}"
        problem = try_device(name)
        title = torch.cuda.get_device_name(index)
        found.append(DeviceInfo(name, title, not problem, problem or "passed a test computation"))
    return found


def _mps_devices() -> list[DeviceInfo]:
    if sys.platform != "darwin":
        return []
    backend = getattr(torch.backends, "mps", None)
    if backend is None or not backend.is_built():
        return [DeviceInfo("mps", "Apple GPU", False, "this torch was built without MPS")]
    if not backend.is_available():
        return [DeviceInfo("mps", "Apple GPU", False, "MPS needs macOS 12.3 and a Metal GPU")]
    problem = try_device("mps")
    return [DeviceInfo("mps", "Apple GPU", not problem, problem or "passed a test computation")]


def _nvidia_present() -> bool:
    return os.path.exists("/proc/driver/nvidia/version") or bool(shutil.which("nvidia-smi"))


def _cpu_title() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine() or "CPU"


def _cpu_info(key: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

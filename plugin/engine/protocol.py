"""What client and worker say to each other: one JSON object a line. Pixels go another way.

Client to worker: ``load``, ``tile``, ``finetune``, ``train``, ``freeze``, ``cancel``, ``rest``,
``close``. Worker to client: ``hello``, ``loaded``, ``tile``, ``finetuned``, ``trained``,
``frozen``, ``progress``, ``error``, ``idle``.
Requests carry an ``id`` that grows; the reply carries the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from ..core import errors

VERSION = 4

OUTPUTS = ("x", "a", "b", "noise", "level")

# Arrays a tile may be given beyond its pixels, float32 of their shape: looks and class of each.
MAPS = ("looks_map", "class_map")

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

DEVICE_NAME = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

_ERROR_KINDS: dict[str, type[errors.SpecklessError]] = {
    kind.__name__: kind
    for kind in (
        errors.SpecklessError,
        errors.InvalidInput,
        errors.ModelError,
        errors.EngineError,
        errors.Cancelled,
    )
}


def encode(message: dict[str, Any]) -> bytes:
    """Write a message as one line of ASCII JSON."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where it is no message, such as what a wrapper script printed."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def error_message(request: int, error: BaseException) -> dict[str, Any]:
    """Describe an error of one request; errors not raised on purpose become EngineError."""
    kind = type(error).__name__
    if kind in _ERROR_KINDS:
        return {"type": "error", "id": request, "kind": kind, "message": str(error)}
    text = f"The computation failed with {kind}: {error}"
    return {"type": "error", "id": request, "kind": "EngineError", "message": text}


def error_from(message: dict[str, Any]) -> errors.SpecklessError:
    """Turn an error message back into the exception."""
    kind = _ERROR_KINDS.get(str(message.get("kind")), errors.EngineError)
    return kind(str(message.get("message", "")))


@dataclass(frozen=True)
class DeviceInfo:
    """A device torch knows of.

    Attributes
    ----------
    name : str
        What to ask for: ``cpu``, ``cuda:0``, ``mps``.
    title : str
        The hardware's own name.
    usable : bool
        A test computation gave the right answer there.
    reason : str
        Why not usable, else what speaks for it.
    """

    name: str
    title: str
    usable: bool
    reason: str = ""


@dataclass(frozen=True)
class Hello:
    """What the worker found when it started.

    Attributes
    ----------
    python, python_version : str
        The interpreter it runs in.
    torch, numpy, safetensors : str or None
        Versions; None where missing or broken.
    problem : str
        Why no model can run here; empty when all is well.
    devices : list of DeviceInfo
        Devices found, unusable ones with the reason.
    default_device : str
        What ``auto`` stands for.
    threads : int
        CPU threads torch computes with.
    memory_limit : int
        MiB it may take; 0 where there is no bound.
    managed : bool
        The interpreter belongs to the operating system, where pip refuses to install.
    pid : int
        Process id of the worker.
    """

    python: str
    python_version: str
    torch: str | None = None
    numpy: str | None = None
    safetensors: str | None = None
    problem: str = ""
    devices: list[DeviceInfo] = field(default_factory=list)
    default_device: str = "cpu"
    threads: int = 0
    memory_limit: int = 0
    managed: bool = False
    pid: int = 0

    def to_message(self) -> dict[str, Any]:
        """Describe it as a message."""
        values = dict(vars(self), devices=[vars(device) for device in self.devices])
        return {"type": "hello", "version": VERSION, **values}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Hello:
        """Read it from a message.

        Raises
        ------
        EngineError
            When the worker is of another version of the plugin.
        """
        values = {key: value for key, value in message.items() if key not in ("type", "version")}
        if message.get("version") != VERSION:
            raise errors.EngineError(
                f"The engine speaks protocol {message.get('version')}, the plugin {VERSION}. "
                "Restart QGIS: the plugin was updated while it ran."
            )
        values["devices"] = [DeviceInfo(**device) for device in values["devices"]]
        return cls(**values)

    def why_no_gpu(self) -> str:
        """Sentence saying why the default device is the CPU; empty when it is not."""
        if self.default_device != "cpu":
            return ""
        return "; ".join(
            f"{device.name}: {device.reason}" for device in self.devices if not device.usable
        )

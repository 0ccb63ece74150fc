"""The worker's side of the conversation. Says hello even where torch or numpy are missing."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import platform
import queue
import signal
import sys
import sysconfig
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import Cancelled, EngineError, SpecklessError
from .limits import Limits
from .protocol import DeviceInfo, Hello, decode, encode, error_message

if TYPE_CHECKING:
    from .computing import Models, TileComputer
    from .shared_memory import SlotReader

_REST_AFTER_SECONDS = 10.0
_PROGRESS_EVERY_SECONDS = 0.25


class Server:
    """Answers requests one after the other, while a thread listens for cancel and for the end.

    Parameters
    ----------
    requests, replies : int
        File descriptors to read from and write to.
    idle_seconds : float
        Time without a request after which the client is asked whether to end.
    bounds : Limits, optional
        What it may take of the computer.
    """

    def __init__(
        self, requests: int, replies: int, idle_seconds: float, bounds: Limits | None = None
    ) -> None:
        self._requests = requests
        self._replies = replies
        self._idle_seconds = min(idle_seconds, 1e6)
        self._bounds = bounds or Limits()
        self._write_lock = threading.Lock()
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled_up_to = 0
        self._devices: list[DeviceInfo] = []
        self._models: Models
        self._computer: TileComputer
        self._slots: SlotReader

    def run(self) -> None:
        """Serve until told to close, or until the client is gone."""
        faulthandler.enable(all_threads=False)
        # Ctrl+C is for the client, which then cancels in good order.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(os, "nice"):
            os.nice(10)
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        # Whatever was printed before `worker.take_over_streams` ends here.
        os.write(self._replies, b"\n")
        self._send(self._prepare().to_message())
        waited = 0.0
        while True:
            pause = min(_REST_AFTER_SECONDS, max(self._idle_seconds - waited, 0.01))
            try:
                request = self._queue.get(timeout=pause)
            except queue.Empty:
                waited = self._idle(waited, pause)
                continue
            waited = 0.0
            self._answer(request)

    def _listen(self) -> None:
        """Read requests; leave at once when the client closes or dies, even while computing."""
        with open(self._requests, "rb") as stream:
            for line in stream:
                request = decode(line)
                if request is None:
                    continue
                if request["op"] == "cancel":
                    self._cancelled_up_to = max(self._cancelled_up_to, request["id"])
                elif request["op"] == "close":
                    break
                else:
                    self._queue.put(request)
        os._exit(0)

    def _send(self, message: dict[str, Any]) -> None:
        data = memoryview(encode(message))
        with self._write_lock:
            try:
                while data:
                    data = data[os.write(self._replies, data) :]
            except OSError:
                os._exit(0)  # nobody listens any more

    def _prepare(self) -> Hello:
        """Import what computes, find the devices."""
        versions, problem = _versions()
        values: dict[str, Any] = {
            "python": sys.executable,
            "python_version": platform.python_version(),
            "managed": _is_managed(),
            "pid": os.getpid(),
            **versions,
        }
        if problem:
            return Hello(problem=problem, **values)
        import torch

        from . import devices, limits
        from .computing import Models, TileComputer
        from .shared_memory import SlotReader

        self._devices = devices.find_devices()
        limits.apply(self._bounds, torch)
        self._models = Models(self._devices)
        self._computer = TileComputer(self._models, room=limits.room_for_tiles(self._bounds))
        self._slots = SlotReader()
        return Hello(
            devices=self._devices,
            default_device=devices.default_device(self._devices),
            threads=torch.get_num_threads(),
            memory_limit=self._bounds.memory or 0,
            **values,
        )

    def _idle(self, waited: float, pause: float) -> float:
        """Return the time waited since the last request."""
        if waited < _REST_AFTER_SECONDS <= waited + pause:
            self._rest()
        waited += pause
        if waited >= self._idle_seconds:
            # The client decides: only it knows whether it is about to ask for something.
            self._send({"type": "idle"})
            return 0.0
        return waited

    def _rest(self) -> None:
        """Give back memory kept for speed."""
        if not self._devices:
            return
        self._slots.release()
        self._computer.release_memory()
        if sys.platform.startswith("linux"):
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
            if trim is not None:
                trim(0)

    def _answer(self, request: dict[str, Any]) -> None:
        identifier = request.get("id", 0)
        try:
            if request["op"] == "rest":
                self._rest()
                return
            self._check_cancelled(identifier)
            if not self._devices:
                raise EngineError("This Python cannot compute: torch, numpy or safetensors lack.")
            answers = {"load": self._load, "tile": self._tile, "finetune": self._finetune}
            answers |= {"train": self._train, "freeze": self._freeze}
            reply = answers[request["op"]](request)
        except Exception as error:  # one request's failure must not end the process
            if not isinstance(error, SpecklessError):
                traceback.print_exc()
            self._send(error_message(identifier, error))
            if self._devices and import_module(".computing", __package__).has_broken_device(error):
                os._exit(70)  # a new process is the only cure
            return
        self._send(reply)

    def _check_cancelled(self, identifier: int) -> None:
        if identifier <= self._cancelled_up_to:
            raise Cancelled("Stopped on request.")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        loaded = self._models.load(Path(request["path"]), request["device"], request["precision"])
        self._computer.retry_full_tiles(loaded.handle)
        return {
            "type": "loaded",
            "id": request["id"],
            "handle": loaded.handle,
            "card": loaded.card.to_json(),
            "device": loaded.device,
            "precision": loaded.precision,
            "reason": loaded.reason,
        }

    def _tile(self, request: dict[str, Any]) -> dict[str, Any]:
        from ..core.tiling import Window
        from .computing import TileTask
        from .shared_memory import TileLayout

        started = time.perf_counter()
        inner = Window(*request["inner"])
        outputs = request["outputs"]
        inputs = request["inputs"]
        layout = TileLayout(tuple(request["shape"]), (inner.height, inner.width), outputs, inputs)
        memory = self._slots.map(request["slot"])
        task = TileTask(
            intensity=layout.view(memory, "intensity"),
            valid=layout.view(memory, "valid"),
            inner=inner,
            scale=request["scale"],
            looks=request["looks"],
            knob=request["knob"],
            ensemble=request["ensemble"],
            stages=request["stages"],
            results={name: layout.view(memory, name) for name in outputs},
            maps={name: layout.view(memory, name) for name in inputs},
        )
        names, warnings = self._computer.compute(
            request["handle"], task, self._watch(request["id"])
        )
        return {
            "type": "tile",
            "id": request["id"],
            "arrays": names,
            "warnings": warnings,
            "seconds": time.perf_counter() - started,
        }

    def _finetune(self, request: dict[str, Any]) -> dict[str, Any]:
        from .tuning import TuningTask

        reply = TuningTask(request, self._devices, self._watch_entries(request["id"])).run()
        self._computer.release_memory()
        return {"type": "finetuned", "id": request["id"], **reply}

    def _freeze(self, request: dict[str, Any]) -> dict[str, Any]:
        from .freezing import freeze

        freeze(request, self._devices, self._watch(request["id"]))
        self._computer.release_memory()
        return {"type": "frozen", "id": request["id"]}

    def _train(self, request: dict[str, Any]) -> dict[str, Any]:
        from .training import TrainingTask

        reply = TrainingTask(request, self._devices, self._watch_entries(request["id"])).run()
        self._computer.release_memory()
        return {"type": "trained", "id": request["id"], **reply}

    def _watch_entries(self, identifier: int) -> Any:
        """As `_watch`, and sends the entries of a list as they are added."""
        plain = self._watch(identifier)
        told = 0

        def watch(fraction: float, entries: list[dict[str, float]]) -> None:
            nonlocal told
            plain(fraction)
            if len(entries) > told:
                news = {"fraction": fraction, "entries": entries[told:]}
                self._send({"type": "progress", "id": identifier, **news})
                told = len(entries)

        return watch

    def _watch(self, identifier: int) -> Any:
        """Return what is called between operations: cancels, and shows that work goes on."""
        said = time.monotonic()

        def watch(fraction: float) -> None:
            nonlocal said
            self._check_cancelled(identifier)
            now = time.monotonic()
            if now - said >= _PROGRESS_EVERY_SECONDS:
                said = now
                self._send({"type": "progress", "id": identifier, "fraction": fraction})

        return watch


def _versions() -> tuple[dict[str, str | None], str]:
    """Import what is needed; return versions and what is wrong."""
    versions: dict[str, str | None] = {}
    problems = []
    for name in ("numpy", "torch", "safetensors"):
        try:
            versions[name] = str(getattr(import_module(name), "__version__", "unknown"))
        except ModuleNotFoundError as error:
            versions[name] = None
            problems.append(f"{error}.")
        except Exception as error:  # broken libraries raise OSError, RuntimeError, SystemError …
            versions[name] = None
            hint = ""
            if os.name == "nt" and isinstance(error, OSError):
                hint = " (install the Microsoft Visual C++ Redistributable, or another torch)"
            problems.append(f"{name} is installed but does not start: {error}{hint}.")
    return versions, " ".join(problems)


def _is_managed() -> bool:
    """Tell whether pip refuses this Python because the operating system owns it (PEP 668)."""
    if sys.prefix != sys.base_prefix:
        return False
    return Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()

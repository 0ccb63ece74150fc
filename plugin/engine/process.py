"""The worker as a child process: its start, its lines, its end and what the end means."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import EngineError
from .interpreter import child_environment
from .limits import Limits
from .protocol import decode, encode

WORKER = Path(__file__).resolve().with_name("worker.py")

_STDERR_LINES = 20
_STDERR_BYTES = 8192

_SIGNALS = {
    "SIGKILL": "it was killed, probably because the computer ran out of memory. "
    "Close other programs or choose a smaller tile size, then run again",
    "SIGSEGV": "it crashed in native code (segmentation fault)",
    "SIGBUS": "it crashed reaching for memory (bus error), perhaps on a full disk",
    "SIGILL": "this torch uses instructions that the processor does not know; "
    "install a torch built for it",
    "SIGABRT": "it gave up (abort)",
}

_WINDOWS_CODES = {
    0xC0000005: "it crashed in native code (access violation)",
    0xC000001D: "this torch uses instructions that the processor does not know; "
    "install a torch built for it",
    0xC0000017: "the computer ran out of memory",
    0xC0000135: "a DLL is missing; install the Microsoft Visual C++ Redistributable",
    0xC0000142: "a DLL did not start; install the Microsoft Visual C++ Redistributable",
}


class WorkerProcess:
    """A running worker.

    Parameters
    ----------
    python : str
        Interpreter to run it with.
    descriptors : sequence of int
        Open files it inherits (POSIX).
    idle_seconds : float
        When it asks whether to end.
    limits : Limits
    on_message : callable
        Called with the process and each message, in a thread of its own.
    on_end : callable
        Called once with the process after its end, in the same thread.

    Raises
    ------
    EngineError
        When the interpreter cannot be run.
    """

    def __init__(
        self,
        python: str,
        descriptors: Sequence[int],
        idle_seconds: float,
        limits: Limits,
        on_message: Callable[[WorkerProcess, dict[str, Any]], None],
        on_end: Callable[[WorkerProcess], None],
    ) -> None:
        command = [python, str(WORKER), str(idle_seconds), *limits.arguments()]
        self.python = python
        self.limits = limits
        self.killed_on_purpose = False
        self._on_message = on_message
        self._on_end = on_end
        self._last_output = b""
        self._write_lock = threading.Lock()
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=child_environment(python),
                **_platform_options(descriptors),
            )
        except OSError as error:
            raise EngineError(
                f"The engine cannot be started with {python}: {error.strerror or error}. "
                "Name another Python in the options or in SPECKLESS_PYTHON."
            ) from error
        self._stderr_thread = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def listen(self) -> None:
        """Start to call back."""
        self._stderr_thread.start()
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    def send(self, message: dict[str, Any]) -> None:
        """Send a message. To a dead process it is lost: its end is reported by ``on_end``."""
        stdin = self._popen.stdin
        with self._write_lock:
            try:
                if stdin is not None:
                    stdin.write(encode(message))
                    stdin.flush()
            except (OSError, ValueError):
                self._last_output += b"\n(the engine no longer listened)"

    def kill(self, on_purpose: bool = False) -> None:
        """End the process at once; on purpose means that its end is no failure."""
        self.killed_on_purpose = on_purpose
        self._popen.kill()

    def wait(self, timeout: float) -> bool:
        """Wait until the process has ended and ``on_end`` was called; tell whether it was."""
        self._reader.join(timeout)
        return not self._reader.is_alive()

    def close(self, grace: float = 1.0) -> None:
        """Ask the process to end, make it end after a while."""
        self.send({"op": "close"})
        if not self.wait(grace):
            self.kill()
            self.wait(grace)

    def end_text(self) -> str:
        """Say how the process ended, with its last words."""
        text = f"The engine ended unexpectedly: {describe_exit(self._popen.returncode)}."
        lines = self._last_output.decode("utf-8", "replace").splitlines()[-_STDERR_LINES:]
        last = "\n".join(lines).strip()
        return f"{text}\nIts last output:\n{last}" if last else text

    def _read(self) -> None:
        stdout = self._popen.stdout
        if stdout is not None:
            for line in stdout:
                message = decode(line)
                if message is None:
                    self._last_output = (self._last_output + line)[-_STDERR_BYTES:]
                else:
                    self._on_message(self, message)
        self._popen.wait()
        # A grandchild may keep stderr open; what it says is not worth waiting for.
        self._stderr_thread.join(0.5)
        self._on_end(self)
        for stream in (self._popen.stdin, stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:  # unsent bytes for a dead process
                continue

    def _read_stderr(self) -> None:
        stderr = self._popen.stderr
        if stderr is None:
            return
        with stderr:
            # By pieces, not lines: progress bars never end theirs.
            while piece := os.read(stderr.fileno(), 4096):
                self._last_output = (self._last_output + piece)[-_STDERR_BYTES:]


def describe_exit(code: int | None) -> str:
    """Put an exit code into words.

    Parameters
    ----------
    code : int or None
        As `subprocess.Popen.returncode`: negative for signals.
    """
    if code is None:
        return "for an unknown reason"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"{_SIGNALS.get(name, 'it was stopped')} ({name})"
    meaning = _WINDOWS_CODES.get(code & 0xFFFFFFFF) if os.name == "nt" else None
    return meaning or f"exit code {code}"


def _platform_options(descriptors: Sequence[int]) -> dict[str, Any]:
    if os.name == "nt":
        # Without the flags a console window opens, and the user's window stutters.
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        flags |= getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
        return {"creationflags": flags}
    # In a session of its own the Ctrl+C of a terminal reaches the client only.
    return {"pass_fds": tuple(descriptors), "start_new_session": True}

"""Whole processes measured: wall time, processor time and peak memory, on chosen cores."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..plugin.core.errors import InvalidInput


class Cost(NamedTuple):
    """What a process and its children took.

    Attributes
    ----------
    wall, cpu : float
        Seconds; of the processor, of all threads and of the system on their behalf.
    memory : float
        Bytes; the largest resident set of any one of the processes.
    """

    wall: float
    cpu: float
    memory: float


def default_cores(number: int = 2) -> list[int]:
    """Return the last cores this process may use."""
    return sorted(os.sched_getaffinity(0))[-number:]


def measure(
    command: Sequence[str], cores: Sequence[int], environment: dict[str, str] | None = None
) -> Cost:
    """Run a command to its end.

    Raises
    ------
    InvalidInput
        With the end of what it said, if it fails.
    """
    own = os.sched_getaffinity(0)
    # Inherited. Set by the child itself it would take a copy of this process first, 12 ms long.
    os.sched_setaffinity(0, cores)
    start = time.perf_counter()
    try:
        started = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    finally:
        os.sched_setaffinity(0, own)
    with started as process:
        assert process.stdout is not None
        watch = _Watch(process.pid)
        said = process.stdout.read()
        # wait4 tells the use of this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        watch.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        end = said.decode(errors="replace").strip()[-500:]
        raise InvalidInput(f"{Path(command[0]).name} failed ({process.returncode}): {end}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, watch.peak)


class _Watch:
    """Looks, every twentieth of a second, for the largest resident set of a process's family.

    The system's own figure for a child begins with the memory of the process that made it.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self.peak = pid, 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            for pid in _family(self._pid):
                self.peak = max(self.peak, _high_water(pid))


def _family(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:  # it ended
        return [pid]
    return [pid, *(member for child in text.split() for member in _family(int(child)))]


def _high_water(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return float(sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))


def least(costs: Sequence[Cost]) -> Cost:
    """Return the least of each figure: what disturbs a run only ever adds."""
    return Cost(*(min(figure) for figure in zip(*costs)))

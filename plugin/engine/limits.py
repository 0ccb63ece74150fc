"""How much of the computer the worker may take."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InvalidInput

MIB = 2**20
# What torch needs beyond what it holds when it has started, to compute anything at all.
_LEAST_ROOM = 192 * MIB


@dataclass(frozen=True)
class Limits:
    """Bounds of a worker, set when it starts.

    Attributes
    ----------
    threads : int or None
        CPU threads; None for torch's own choice, one a core.
    memory : int or None
        MiB; None for no bound. Of main memory on Linux, and of each CUDA device's. Where it does
        not suffice the worker computes in smaller parts, as with a full computer.

    Raises
    ------
    InvalidInput
        If one is not positive.
    """

    threads: int | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InvalidInput(f"The engine needs at least one thread, got {self.threads}.")
        if self.memory is not None and self.memory < 1:
            raise InvalidInput(f"The engine needs some memory, got {self.memory} MiB.")

    def arguments(self) -> list[str]:
        """For the worker's command line; 0 stands for None."""
        return [str(self.threads or 0), str(self.memory or 0)]

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Limits:
        """Read them from the worker's command line."""
        threads, memory = (int(value) for value in [*arguments, "0", "0"][:2])
        return cls(threads or None, memory or None)


def apply(limits: Limits, torch: Any) -> int:
    """Bind this process; return the bound of main memory in MiB, 0 for none.

    Parameters
    ----------
    limits : Limits
    torch : module
    """
    if limits.threads:
        torch.set_num_threads(limits.threads)
    if not limits.memory:
        return 0
    wanted = limits.memory * MIB
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            total = torch.cuda.get_device_properties(index).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, wanted / total), index)
    return _limit_data(wanted) // MIB


def _limit_data(wanted: int) -> int:
    """Bound what the process may allocate in bytes, at no less than it cannot do without."""
    if not sys.platform.startswith("linux"):
        return 0
    import resource

    allowed = max(wanted, _data_size() + _LEAST_ROOM)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    return allowed


def _data_size() -> int:
    """Bytes this process has allocated, as the kernel counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0

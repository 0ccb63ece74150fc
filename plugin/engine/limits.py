"""How much of the computer the worker may take."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InvalidInput

MIB = 2**20
LEAST_ROOM = 64 * MIB


@dataclass(frozen=True)
class Limits:
    """Bounds of a worker, set when it starts.

    Attributes
    ----------
    threads : int or None
        CPU threads; None for torch's own choice, one a core.
    memory : int or None
        MiB; None for no bound. Of main memory, about, and of each CUDA device's. Where it does
        not suffice the worker computes tiles in smaller parts.

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


def apply(limits: Limits, torch: Any) -> None:
    """Bind this process: its threads, and its memory on CUDA devices.

    Main memory is bound by computing in parts (see `room_for_tiles`). A bound set by the operating
    system would not do: where oneDNN gets no memory, some of its kernels return garbage.

    Parameters
    ----------
    limits : Limits
    torch : module
    """
    if limits.threads:
        torch.set_num_threads(limits.threads)
    if limits.memory and torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            total = torch.cuda.get_device_properties(index).total_memory
            part = min(1.0, limits.memory * MIB / total)
            torch.cuda.set_per_process_memory_fraction(part, index)


def room_for_tiles(limits: Limits) -> int:
    """Bytes of main memory that computing a tile may take; 0 for no bound.

    Torch itself takes a few hundred MiB, which count. However little is left, tiles may take
    `LEAST_ROOM`.
    """
    if not limits.memory:
        return 0
    return max(limits.memory * MIB - _resident(), LEAST_ROOM)


def _resident() -> int:
    """Bytes this process has in memory; a fair guess where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 400 * MIB
    return pages * os.sysconf("SC_PAGE_SIZE")

"""Pixels between the processes: memory both map, one slot for each tile in flight.

On POSIX a slot is a file without a name, its descriptor handed down to the worker, so that
nothing can be left behind whichever process dies, and however. On Windows it is a named section
of the page file, which vanishes with its last handle.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.errors import EngineError

_ALIGNMENT = 64
_GRANULE = 1 << 20


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class TileLayout:
    """Where the arrays of a tile lie in its slot.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the source pixels.
    inner_shape : tuple of int
        (height, width) of the results.
    outputs : sequence of str
        Names of the results.
    inputs : sequence of str
        Names of what is given beyond "intensity" and "valid", float32 of ``shape``.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        inner_shape: tuple[int, int],
        outputs: Sequence[str],
        inputs: Sequence[str] = (),
    ) -> None:
        self._arrays: dict[str, tuple[int, tuple[int, int], type]] = {}
        offset = 0
        plan: list[tuple[str, tuple[int, int], type]] = [
            ("intensity", shape, np.float32),
            ("valid", shape, np.bool_),
            *((name, shape, np.float32) for name in inputs),
            *((name, inner_shape, np.float32) for name in outputs),
        ]
        for name, array_shape, dtype in plan:
            self._arrays[name] = (offset, array_shape, dtype)
            offset = _aligned(offset + array_shape[0] * array_shape[1] * np.dtype(dtype).itemsize)
        self.size = offset

    def view(self, memory: mmap.mmap, name: str) -> np.ndarray:
        """Return the array as a view; drop it before the slot is mapped anew."""
        offset, shape, dtype = self._arrays[name]
        flat: np.ndarray = np.frombuffer(
            memory, dtype=dtype, count=shape[0] * shape[1], offset=offset
        )
        return flat.reshape(shape)


class Slot:
    """The client's end of one slot: creates the memory and lets it grow."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.generation = 0
        self.size = 0
        self.descriptor, self._on_disk = (-1, False) if os.name == "nt" else _nameless_file()
        self._name = f"speckless-{os.getpid()}-{os.urandom(8).hex()}"
        self._memory: mmap.mmap | None = None

    def reserve(self, size: int) -> mmap.mmap:
        """Return memory of at least ``size`` bytes; what it held before may be lost.

        Raises
        ------
        EngineError
            When the system has not that much.
        """
        if self._memory is not None and self.size >= size:
            return self._memory
        self.shrink()
        size = -(-size // _GRANULE) * _GRANULE
        self.generation += 1
        try:
            if os.name == "nt":
                self._memory = _named_section(self.tag, size)
            else:
                _allocate(self.descriptor, size, self._on_disk)
                self._memory = mmap.mmap(self.descriptor, size)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"No memory for a tile ({size / 2**20:.0f} MB): {error}. "
                "Choose a smaller tile size or close other programs."
            ) from error
        self.size = size
        return self._memory

    @property
    def tag(self) -> str:
        """Name of the section on Windows, another for each size."""
        return f"{self._name}-{self.generation}"

    def describe(self) -> dict[str, Any]:
        """Say what `SlotReader` needs to find the memory."""
        return {
            "index": self.index,
            "generation": self.generation,
            "size": self.size,
            "descriptor": self.descriptor,
            "tag": self.tag,
        }

    def shrink(self) -> None:
        """Give the memory back; the slot can be used again."""
        # Closing fails where a view lives on in a traceback; dropped, it is unmapped after that.
        self._memory = None
        if self.descriptor >= 0 and self.size:
            os.ftruncate(self.descriptor, 0)
        self.size = 0

    def close(self) -> None:
        """Give everything back."""
        self.shrink()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class SlotReader:
    """The worker's end: maps what the client describes, and keeps it mapped."""

    def __init__(self) -> None:
        self._mapped: dict[int, tuple[int, mmap.mmap]] = {}

    def map(self, description: dict[str, Any]) -> mmap.mmap:
        """Return the slot's memory."""
        index, generation = description["index"], description["generation"]
        known = self._mapped.get(index)
        if known is not None and known[0] == generation:
            return known[1]
        if os.name == "nt":
            memory = _named_section(description["tag"], description["size"])
        else:
            memory = mmap.mmap(description["descriptor"], description["size"])
        self._mapped[index] = (generation, memory)
        return memory

    def release(self) -> None:
        """Unmap all."""
        self._mapped.clear()


def _named_section(tag: str, size: int) -> mmap.mmap:
    # typeshed hides the keyword on the platform the checker runs on.
    return mmap.mmap(-1, size, tagname=tag)  # type: ignore[call-arg,unused-ignore]


def _nameless_file() -> tuple[int, bool]:
    """Return an open file that no folder lists, and whether it lies on a disk."""
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("speckless"), False
        except OSError:  # kernels and sandboxes without it: a file will do
            pass
    descriptor, path = tempfile.mkstemp(prefix="speckless-")
    os.unlink(path)
    return descriptor, True


def _allocate(descriptor: int, size: int, on_disk: bool) -> None:
    available = None if on_disk else _available_memory()
    if available is not None and size > available:
        # The kernel would grant it, and end some process when it is used.
        raise OSError(f"only {available / 2**20:.0f} MB are free")
    if on_disk and hasattr(os, "posix_fallocate"):
        # A sparse file on a full disk would kill both processes by SIGBUS at the first write.
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None

"""The process of ``./run filter``: starts fast, for the work may take less than the start."""

from __future__ import annotations

import gc
import os
import sys
import threading

# What tiles of two threads take, in blocks that the C library does not give back (see `run`).
_BLOCK_BYTES, _BLOCKS = 2**24, 2


def _clear_memory() -> None:
    """Have the system clear memory that the first tiles will use; does so without Python's lock."""
    import numpy as np

    blocks = [np.empty(_BLOCK_BYTES, np.uint8) for _ in range(_BLOCKS)]
    for block in blocks:
        block.fill(0)


if __name__ == "__main__":
    # Nothing that is imported is garbage.
    gc.disable()
    # Tiles are computed in threads already: those of matrix products would wait for each other.
    # Read when numpy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Functions of GDAL's two hundred libraries are looked up when they are called.
    if hasattr(sys, "setdlopenflags"):
        sys.setdlopenflags(os.RTLD_LAZY)

    import numpy  # noqa: F401

    if "GLIBC_TUNABLES" in os.environ:
        # While GDAL is loaded, by one core.
        threading.Thread(target=_clear_memory).start()

    from .filter_command import main

    gc.freeze()
    gc.enable()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All files are closed; to take the interpreter apart is of no use to anyone.
    os._exit(code)

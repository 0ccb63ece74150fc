"""The process of ``./run filter``: starts fast, for the work may take less than the start."""

from __future__ import annotations

import gc
import os
import sys

if __name__ == "__main__":
    # Nothing that is imported is garbage.
    gc.disable()
    # Tiles are computed in threads already: those of matrix products would wait for each other.
    # Read when numpy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Functions of GDAL's two hundred libraries are looked up when they are called.
    if hasattr(sys, "setdlopenflags"):
        sys.setdlopenflags(os.RTLD_LAZY)

    from .filter_command import main

    gc.freeze()
    gc.enable()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All files are closed; to take the interpreter apart is of no use to anyone.
    os._exit(code)

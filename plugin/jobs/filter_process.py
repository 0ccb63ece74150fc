"""The process of ``./run filter``: starts fast, for the work may take less than the start."""

from __future__ import annotations

import gc
import os
import sys

# Nothing that is imported is garbage.
gc.disable()
# Tiles are computed in threads already: those of matrix products would wait for each other.
# Read when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy  # noqa: E402, F401  (before GDAL, see there)

from ..raster.preloading import load_gdal_meanwhile  # noqa: E402

load_gdal_meanwhile()

from .filter_command import main  # noqa: E402

if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All files are closed; to take the interpreter apart is of no use to anyone.
    os._exit(code)

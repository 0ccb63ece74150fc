"""GDAL's libraries loaded while Python does something else."""

from __future__ import annotations

import importlib.util
import sys
import threading
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def load_gdal_meanwhile() -> None:
    """Begin to load GDAL's libraries in a thread, for an import of `osgeo` that comes later.

    They are some two hundred, and the interpreter waits while an import loads them. Modules that
    are imported meanwhile must not need the system's loader either, or they wait: import numpy
    before. Does nothing where the system has no ``dlopen``, or Python no GDAL.
    """
    found = None if sys.platform == "win32" else importlib.util.find_spec("osgeo")
    for folder in (found and found.submodule_search_locations) or ():
        for suffix in EXTENSION_SUFFIXES:
            library = Path(folder) / f"_gdal{suffix}"
            if library.exists():
                threading.Thread(target=_load, args=(library,)).start()
                return


def _load(library: Path) -> None:
    import ctypes
    import os

    # ctypes' own loading would hold the interpreter's lock; a call of C does not.
    load = ctypes.CDLL(None).dlopen
    load.restype, load.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    load(os.fsencode(library), sys.getdlopenflags())

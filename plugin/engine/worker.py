"""Entry of the worker process, run as a script by any Python with torch, safetensors and numpy.

Usage: ``python worker.py IDLE_SECONDS [THREADS [MEMORY]]``, by `process.WorkerProcess` only.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def import_package() -> None:
    """Import the plugin as ``speckless`` from where it lies, whatever its folder is called."""
    spec = importlib.util.spec_from_file_location(
        "speckless", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"The plugin's folder {ROOT} cannot be imported.")
    package = importlib.util.module_from_spec(spec)
    sys.modules["speckless"] = package
    spec.loader.exec_module(package)


def take_over_streams() -> tuple[int, int]:
    """Keep the pipes to the client for the protocol alone.

    What libraries print to descriptor 1 goes to stderr. Descriptor 0 becomes empty: besides the
    danger of a library reading it, on Windows loading a DLL hangs while a thread reads the
    standard input.

    Returns
    -------
    tuple of int
        Descriptors to read requests from, and to write replies to.
    """
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.stdout is None:
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    return requests, replies


def main(arguments: list[str]) -> None:
    """Serve until the client closes or dies."""
    # The script's folder would let modules named like ours shadow other packages' modules.
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]
    requests, replies = take_over_streams()
    import_package()
    server = importlib.import_module("speckless.plugin.engine.server")
    limits = importlib.import_module("speckless.plugin.engine.limits")
    bounds = limits.Limits.from_arguments(arguments[1:])
    server.Server(requests, replies, float(arguments[0]), bounds).run()


if __name__ == "__main__":
    main(sys.argv[1:])

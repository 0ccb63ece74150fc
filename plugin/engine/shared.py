"""The one engine of this process, which all jobs take turns with."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from .client import Engine
from .conversation import IsCancelled
from .limits import Limits

_shared: Engine | None = None
_shared_limits = Limits()
_shared_lock = threading.Lock()


@contextmanager
def shared_engine(
    python: str | None = None,
    is_cancelled: IsCancelled | None = None,
    threads: int | None = None,
    gives_way: bool = False,
) -> Iterator[Engine]:
    """Hold the one engine of this process, which keeps its models hot between jobs.

    Parameters
    ----------
    python : str, optional
        Interpreter to use; another than the last time restarts the worker.
    is_cancelled : callable, optional
        Asked while another job holds the engine.
    threads : int, optional
        CPU threads in place of those of `limit_shared_engine`; another number than the last time
        restarts the worker.
    gives_way : bool
        See `Engine.reserve`.

    Raises
    ------
    Cancelled
        When cancelled while waiting.
    """
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Engine()
            atexit.register(_shared.close)
        engine = _shared
    with engine.reserve(is_cancelled, gives_way):
        engine.python = python
        engine.limits = replace(_shared_limits, threads=threads or _shared_limits.threads)
        yield engine


def limit_shared_engine(threads: int | None, memory: int | None) -> None:
    """Bound the shared worker from its next use on.

    Parameters
    ----------
    threads : int or None
        CPU threads; None for torch's own choice.
    memory : int or None
        MiB it may take; None for no bound.

    Raises
    ------
    InvalidInput
    """
    global _shared_limits
    _shared_limits = Limits(threads, memory)


def close_shared_engine() -> None:
    """End the shared worker, if there is one; the plugin calls this when it is unloaded."""
    if _shared is not None:
        _shared.close()

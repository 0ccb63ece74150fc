"""Reading, computing and writing a raster at the same time, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, TypeVar

from ..core.errors import Cancelled
from .scenes import IsCancelled

T = TypeVar("T")

_POLL = 0.1  # seconds between questions whether the user cancelled
_MOST_THREADS = 16


def usable_cores() -> int:
    """Return how many threads pay: the cores this process may use, 16 at most."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Windows, macOS
        cores = os.cpu_count() or 1
    return max(1, min(cores, _MOST_THREADS))


def stream(
    work: Iterable[T],
    read: Callable[[T], Any],
    compute: Callable[[T, Any], Any],
    write: Callable[[T, Any], None],
    written: Callable[[T], None],
    is_cancelled: IsCancelled,
    threads: int,
) -> None:
    """Take pieces of work from file to file, in order.

    Parameters
    ----------
    work : iterable
        The pieces.
    read : callable
        Takes a piece, returns its data; called in this thread.
    compute : callable
        Takes a piece and its data; called in `threads` threads, so it must release the
        interpreter's lock to gain by them, as numpy and scipy do.
    write : callable
        Takes a piece and what `compute` made of it; called in one further thread, one piece
        after the other.
    written : callable
        Takes a piece that was written; called in this thread.
    is_cancelled : callable
        Asked every tenth of a second.
    threads : int

    Raises
    ------
    Cancelled
        When pieces under way are done; none is begun after the question was answered.
    """
    computing: deque[tuple[T, Future[Any]]] = deque()
    writing: deque[tuple[T, Future[Any]]] = deque()
    with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(1) as pen:

        def finish_oldest() -> None:
            piece, future = computing.popleft()
            made = _wait(future, is_cancelled)
            writing.append((piece, pen.submit(write, piece, made)))
            while len(writing) > 2:
                finish_writing()

        def finish_writing() -> None:
            piece, future = writing.popleft()
            _wait(future, is_cancelled)
            written(piece)

        try:
            for piece in work:
                if is_cancelled():
                    raise Cancelled("Despeckling was cancelled.")
                computing.append((piece, pool.submit(compute, piece, read(piece))))
                while len(computing) > threads + 1:
                    finish_oldest()
            while computing:
                finish_oldest()
            while writing:
                finish_writing()
        finally:
            # Without effect on success; else nothing that waits is begun any more.
            for _, future in (*computing, *writing):
                future.cancel()


def _wait(future: Future[Any], is_cancelled: IsCancelled) -> Any:
    while True:
        try:
            return future.result(_POLL)
        except NotYet:
            # Raised by the work itself too, in Python 3.11 and newer the same class.
            if future.done():
                return future.result()
            if is_cancelled():
                raise Cancelled("Despeckling was cancelled.") from None

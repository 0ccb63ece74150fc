"""Reading, computing and writing a raster at the same time, in bounded memory."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
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

    Each piece stays in one thread from reading to writing, for its pixels are in that core's
    cache; meanwhile the others compute.

    Parameters
    ----------
    work : iterable
        The pieces.
    read : callable
        Takes a piece, returns its data; called for one piece after the other.
    compute : callable
        Takes a piece and its data; called in all threads at a time, so it must release the
        interpreter's lock to gain by them, as numpy and scipy do.
    write : callable
        Takes a piece and what `compute` made of it; called for one piece after the other.
    written : callable
        Takes a piece that was written; called in this thread.
    is_cancelled : callable
        Asked for each piece and every tenth of a second, in this thread.
    threads : int

    Raises
    ------
    Cancelled
        When pieces under way are done; none is begun after the question was answered.
    """
    line = _Line(work, read, compute, write, threads)
    workers = [threading.Thread(target=line.run) for _ in range(threads)]
    try:
        for worker in workers:
            worker.start()
        while not line.ended:
            # The pieces written, or None where there was none for a while.
            for piece in line.wait(_POLL) or [None]:
                if is_cancelled():
                    raise Cancelled("Despeckling was cancelled.")
                if piece is not None:
                    written(piece)
    finally:
        line.stop()
        for worker in workers:
            worker.join()
    if line.errors:
        raise line.errors[0]


class _Line:
    """What the threads of one `stream` share."""

    def __init__(
        self,
        work: Iterable[Any],
        read: Callable[[Any], Any],
        compute: Callable[[Any, Any], Any],
        write: Callable[[Any, Any], None],
        threads: int,
    ) -> None:
        self._work = enumerate(work)
        self._read, self._compute, self._write = read, compute, write
        self._reading = threading.Lock()
        self._turn = threading.Condition()  # of the piece `_next` to be written
        self._next = 0
        self._news = threading.Condition()
        self._done: deque[Any] = deque()
        self._stopped = False
        self._running = threads
        self.errors: list[BaseException] = []

    @property
    def ended(self) -> bool:
        """Whether no thread runs any more, and all that was written was told of."""
        with self._news:
            return not self._running and not self._done

    def run(self) -> None:
        """Take pieces from start to end, until there are no more or the line is stopped."""
        try:
            while self._take_one():
                pass
        except BaseException as error:
            self.errors.append(error)
            self.stop()
        with self._news:
            self._running -= 1
            self._news.notify()

    def stop(self) -> None:
        """Have no step begun any more."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def wait(self, seconds: float) -> list[Any]:
        """Return the pieces written since the last call, at once if there are any."""
        with self._news:
            if self._running and not self._done:
                self._news.wait(seconds)
            done = list(self._done)
            self._done.clear()
        return done

    def _take_one(self) -> bool:
        with self._reading:
            place, piece = next(self._work, (-1, None))
            if self._stopped or place < 0:
                return False
            data = self._read(piece)
        if self._stopped:
            return False
        made = self._compute(piece, data)
        del data
        with self._turn:
            self._turn.wait_for(lambda: self._stopped or self._next == place)
            if self._stopped:
                return False
            self._write(piece, made)
            self._next += 1
            self._turn.notify_all()
        with self._news:
            self._done.append(piece)
            self._news.notify()
        return True

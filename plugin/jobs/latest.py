"""Work of which only the newest matters: a preview, the numbers of an area being drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..core.errors import Cancelled

IsCancelled = Callable[[], bool]


class LatestOnly:
    """Runs one piece of work at a time in a thread of its own; a newer one supersedes older ones.

    What waits is dropped, what runs is told to stop by its ``is_cancelled``, and nothing of what
    was superseded is delivered.

    Parameters
    ----------
    name : str
        Of the thread.
    deliver : callable
        Called in that thread with (key, result, error) of work that ran to its end; one of the
        last two is None.

    Notes
    -----
    The thread starts with the first request and ends by `close`.
    """

    def __init__(self, name: str, deliver: Callable[[Any, Any, Exception | None], None]) -> None:
        self._name = name
        self._deliver = deliver
        self._changed = threading.Condition()
        self._waiting: tuple[int, Any, Callable[[IsCancelled], Any]] | None = None
        self._newest = 0
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether anything waits or runs."""
        with self._changed:
            return self._busy or self._waiting is not None

    def submit(self, key: Any, work: Callable[[IsCancelled], Any]) -> None:
        """Have ``work(is_cancelled)`` run in place of anything asked for before."""
        with self._changed:
            if self._closed:
                return
            self._newest += 1
            self._waiting = (self._newest, key, work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def cancel(self) -> None:
        """Drop what waits and stop what runs."""
        with self._changed:
            self._newest += 1
            self._waiting = None
            self._changed.notify_all()

    def close(self, seconds: float = 3.0) -> bool:
        """Stop everything for good; tell whether the thread ended within this time."""
        with self._changed:
            self._closed = True
            self._newest += 1
            self._waiting = None
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(seconds)
        return not thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing waits or runs; False when it took longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and not self._waiting, seconds)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed or self._waiting is None:
                    return
                (number, key, work), self._waiting = self._waiting, None
                self._busy = True

            def is_cancelled(mine: int = number) -> bool:
                return mine != self._newest

            result, error = None, None
            try:
                result = work(is_cancelled)
            except Cancelled:
                continue
            except Exception as raised:
                error = raised
            if not is_cancelled():
                self._deliver(key, result, error)
            del work, result, error

"""Who may use the engine: one job at a time, and some of them only while no other wants it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.errors import Cancelled
from .conversation import POLL_SECONDS, IsCancelled


class Reservation:
    """A lock that a thread may take several times. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._wanting = 0

    @property
    def is_wanted(self) -> bool:
        """Whether a job waits, other than those that give way."""
        return self._wanting > 0

    @contextmanager
    def hold(self, is_cancelled: IsCancelled | None, gives_way: bool) -> Iterator[None]:
        """Wait for the jobs before, and hold off the others.

        Parameters
        ----------
        is_cancelled : callable or None
            Asked while waiting.
        gives_way : bool
            Let all others that wait go first. Such a job is to leave when it `is_wanted`.

        Raises
        ------
        Cancelled
            When cancelled while waiting.
        """
        with self._counting:
            self._wanting += not gives_way
        try:
            while not self._is_taken(gives_way):
                if is_cancelled is not None and is_cancelled():
                    raise Cancelled("Stopped while waiting for the engine.")
        finally:
            with self._counting:
                self._wanting -= not gives_way
        try:
            yield
        finally:
            self._lock.release()

    def _is_taken(self, gives_way: bool) -> bool:
        if not self._lock.acquire(timeout=POLL_SECONDS):
            return False
        if gives_way and self.is_wanted:
            self._lock.release()
            time.sleep(POLL_SECONDS)  # or it would be taken again before those who wait wake up
            return False
        return True

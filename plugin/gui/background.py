"""Between threads that compute and the one that draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..jobs.latest import IsCancelled, LatestOnly


class Background(QObject):
    """Runs the newest piece of work in a thread, and tells of it in the window's own.

    Parameters
    ----------
    name : str
        Of the thread.
    parent : QObject
    """

    done = pyqtSignal(object, object)  # key, result
    failed = pyqtSignal(object, object)  # key, exception
    told = pyqtSignal(object)  # whatever work sends by `tell` on its way

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._alive = True
        self._latest = LatestOnly(f"Speckless {name}", self._deliver)

    @property
    def is_busy(self) -> bool:
        """Whether anything waits or runs."""
        return self._latest.is_busy

    def submit(self, key: Any, work: Callable[[IsCancelled], Any]) -> None:
        """Run work, in place of what was asked for before."""
        self._latest.submit(key, work)

    def tell(self, message: Any) -> None:
        """Send a message to the window; to be called by running work."""
        if self._alive:
            self.told.emit(message)

    def cancel(self) -> None:
        """Stop what runs, without waiting."""
        self._latest.cancel()

    def close(self) -> None:
        """Stop for good, and wait for the thread to end."""
        self._alive = False
        self._latest.close()

    def _deliver(self, key: Any, result: Any, error: Exception | None) -> None:
        # In the thread: Qt carries signals over to the objects' own.
        if not self._alive:
            return
        if error is None:
            self.done.emit(key, result)
        else:
            self.failed.emit(key, error)

"""Numbers that keep up with the mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .background import Background

Work = Callable[[Callable[[], bool]], Any]


class Live(QObject):
    """Runs pieces of work one after the other in a thread, the newest next.

    Unlike in a `Background` work is not stopped by a newer piece: while the mouse goes on moving,
    its results are shown all the same, and only what waits is superseded.

    Parameters
    ----------
    name : str
        Of the thread.
    parent : QObject
    """

    done = pyqtSignal(object, object)  # key, result
    failed = pyqtSignal(object, object)  # key, exception

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._background = Background(name, self)
        self._background.done.connect(self._on_done)
        self._background.failed.connect(self._on_failed)
        self._waiting: tuple[Any, Work] | None = None
        self._running = False

    @property
    def is_busy(self) -> bool:
        """Whether anything waits, runs, or is about to be told."""
        return self._running or self._waiting is not None

    def submit(self, key: Any, work: Work) -> None:
        """Run work as soon as the present one is done."""
        self._waiting = (key, work)
        if not self._running:
            self._next()

    def cancel(self) -> None:
        """Stop what runs, without waiting, and tell nothing of it."""
        self._waiting, self._running = None, False
        self._background.cancel()

    def close(self) -> None:
        """Stop for good, and wait for the thread to end."""
        self.cancel()
        self._background.close()

    def _next(self) -> None:
        waiting, self._waiting = self._waiting, None
        self._running = waiting is not None
        if waiting is not None:
            self._background.submit(*waiting)

    def _on_done(self, key: Any, result: Any) -> None:
        if self._running:
            self._next()
            self.done.emit(key, result)

    def _on_failed(self, key: Any, error: Exception) -> None:
        if self._running:
            self._next()
            self.failed.emit(key, error)

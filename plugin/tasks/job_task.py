"""A job as a task of QGIS: seen, and stopped, in its task manager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qgis.core import QgsMapLayer, QgsTask

from ..core.errors import Cancelled, SpecklessError
from ..jobs.messages import Caution
from ..toolbelt import log

Outcome = Callable[[Any, str], None]


class Job(Protocol):
    """What `plugin.jobs` offers."""

    def run(
        self, progress: Callable[[float, str], None], is_cancelled: Callable[[], bool]
    ) -> Any: ...


class JobTask(QgsTask):
    """Runs a job in a thread of QGIS's task manager.

    Parameters
    ----------
    job : Job
    title : str
        Shown in the task manager.
    outcome : callable
        Called on the main thread with (result, problem): the result, or None and what went
        wrong, "" where the user stopped it.
    layers : sequence of QgsMapLayer
        The task is cancelled when one of them is removed.
    """

    def __init__(self, job: Job, title: str, outcome: Outcome, layers: list[QgsMapLayer]) -> None:
        super().__init__(title, QgsTask.Flag.CanCancel)
        self.setDependentLayers(layers)
        self._job = job
        self._outcome: Outcome | None = outcome
        self._result: Any = None
        self._problem = ""
        self._messages: list[str] = []

    def run(self) -> bool:
        """Do the work, in the task's thread."""
        try:
            self._result = self._job.run(self._report, self.isCanceled)
        except Cancelled:
            return False
        except SpecklessError as error:
            self._problem = str(error)
            return False
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"
            return False
        return True

    def finished(self, succeeded: bool) -> None:
        """Tell how it went, on the main thread."""
        for message in self._messages:
            (log.warning if isinstance(message, Caution) else log.info)(message)
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            outcome(self._result if succeeded else None, self._problem)

    def abandon(self, milliseconds: int = 5000) -> None:
        """Stop, wait for the end, and tell nobody: what listened is about to go."""
        self._outcome = None
        self.cancel()
        self.waitForFinished(milliseconds)

    def _report(self, done: float, message: str) -> None:
        self.setProgress(100.0 * done)
        if message:
            self._messages.append(message)

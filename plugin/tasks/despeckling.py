"""Despeckling a layer as a task of QGIS."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsMapLayer

from ..jobs.despeckling import DespeckleJob, DespeckleResult
from .job_task import JobTask

Outcome = Callable[[DespeckleResult | None, str], None]


class DespeckleTask(JobTask):
    """A `JobTask` of a `DespeckleJob`."""

    def __init__(
        self, job: DespeckleJob, title: str, outcome: Outcome, layers: list[QgsMapLayer]
    ) -> None:
        super().__init__(job, title, outcome, layers)

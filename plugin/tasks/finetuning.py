"""Fine-tuning as a task of QGIS, which tells of each epoch while it runs."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsMapLayer
from qgis.PyQt.QtCore import pyqtSignal

from ..jobs.area_tuning import AreaTuningJob
from ..jobs.finetune_result import FineTuneResult
from ..jobs.finetuning import FineTuneJob
from ..jobs.messages import Epoch
from .job_task import JobTask

Outcome = Callable[[FineTuneResult | None, str], None]


class FineTuneTask(JobTask):
    """A `JobTask` of a fine-tuning."""

    measured = pyqtSignal(object)  # dict: an entry of the tuning's history

    def __init__(
        self,
        job: FineTuneJob | AreaTuningJob,
        title: str,
        outcome: Outcome,
        layers: list[QgsMapLayer],
    ) -> None:
        super().__init__(job, title, outcome, layers)

    def _report(self, done: float, message: str) -> None:
        super()._report(done, message)
        if isinstance(message, Epoch):
            self.measured.emit(message.entry)

"""Fine-tuning on polygons: the mask is made in the job's thread, for it opens the raster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..core.errors import InvalidInput
from ..raster.polygons import PolygonMask
from .finetune_result import FineTuneResult
from .finetuning import FineTuneJob
from .scenes import IsCancelled, Progress


@dataclass(frozen=True)
class AreaTuningJob:
    """A `FineTuneJob` that learns from the pixels in polygons only.

    Attributes
    ----------
    tuning : FineTuneJob
        Its extent and area are set here.
    polygons : sequence of bytes
        Well-known binary, in the CRS of the raster.
    """

    tuning: FineTuneJob
    polygons: Sequence[bytes]

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> FineTuneResult:
        """Tune; on any error or cancel no model is written.

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError, RasterError
        """
        mask = PolygonMask(self.tuning.input, self.polygons)
        if mask.bounds is None:
            raise InvalidInput(
                "The areas lie outside the raster: draw some inside it, or learn from the "
                "visible part."
            )
        return replace(self.tuning, extent=mask.bounds, area=mask).run(progress, is_cancelled)

"""A model adapted to a scene, and what is to be made of it at once.

The user's files appear together when all is done: until then the tuned model lies in a folder
for temporary files. So a cancelled or failed run leaves nothing, and never half a model.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.models.registry import free_id
from ..core.tiling import Window
from ..raster.creation import check_output
from .despeckling import DespeckleJob, DespeckleResult
from .finetuning import FineTuneJob, FineTuneResult, IsCancelled, Progress
from .publishing import between, check_report, lies_in, make_folder, publish_file, write_page
from .tuning_report import cut_crop, tuning_page


@dataclass(frozen=True)
class AdaptJob:
    """Fine-tune a model; if asked, despeckle with it, report, and put it into the list of models.

    Attributes
    ----------
    tuning : FineTuneJob
        Its output is where the tuned model ends up.
    despeckled : str, optional
        Raster to write with the tuned model, of the bands it was tuned on.
    extent : Window, optional
        Part of the raster to despeckle; that to learn from is the tuning's.
    creation_options : sequence of str
        Of that raster.
    report : str, optional
        HTML file to write.
    list_folder : str, optional
        Folder of models to add the tuned one to, under an id that none has; made if need be.
    ensemble : bool
        As for `DespeckleJob`.
    """

    tuning: FineTuneJob
    despeckled: str | None = None
    extent: Window | None = None
    creation_options: Sequence[str] = ()
    report: str | None = None
    list_folder: str | None = None
    ensemble: bool = False

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> AdaptResult:
        """Do the work; on any error or cancel no file is left and old ones are untouched.

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError, RasterError
        """
        target = Path(self.tuning.output)
        self.check()
        if self.list_folder:
            make_folder(Path(self.list_folder))
        share = 0.8 if self.despeckled else 0.96
        with tempfile.TemporaryDirectory(prefix="speckless-") as folder:
            staged = Path(folder, target.name)
            tuning = replace(self.tuning, output=str(staged), model_id=self._id())
            tuned = tuning.run(between(progress, 0.0, share), is_cancelled)
            final = replace(tuned, path=str(target))
            page = None
            if self.report:
                crop = cut_crop(self.tuning, tuned, staged, is_cancelled)
                page = tuning_page(self.tuning, final, crop)
            despeckled = None
            if self.despeckled:
                job = self._despeckling(staged, tuned)
                progress(share, "Despeckling with the tuned model.")
                despeckled = job.run(between(progress, share, 0.98), is_cancelled)
            publish_file(staged, target)
            if page is not None and self.report:
                write_page(page, self.report)
        listed = self._add_to_list(target, tuned)
        progress(1.0, "")
        return AdaptResult(final, despeckled, self.report or "", listed)

    def check(self) -> None:
        """Refuse outputs that could not be written; nothing is made but for the folder's test.

        Raises
        ------
        InvalidInput, ModelError, RasterError
        """
        self.tuning.check_output()
        if self.despeckled:
            check_output(self.despeckled, [self.tuning.input])
        if self.report:
            check_report(self.report)

    def _id(self) -> str:
        """The id wanted; where it goes into the list, one that is free."""
        target = Path(self.tuning.output)
        wanted = self.tuning.model_id or target.stem
        if not self.list_folder or lies_in(target, Path(self.list_folder)):
            return wanted
        folders = [Path(folder) for folder in (*self.tuning.model_folders, self.list_folder)]
        return free_id(wanted, folders)

    def _despeckling(self, model: Path, tuned: FineTuneResult) -> DespeckleJob:
        tuning = self.tuning
        assert self.despeckled
        return DespeckleJob(
            input=tuning.input,
            output=self.despeckled,
            bands=tuning.bands,
            model_file=str(model),
            domain=tuned.domain,
            # The maps are made for the knob they were tuned at: no turning.
            looks=tuned.looks,
            extent=self.extent,
            device=tuning.device,
            precision=tuning.precision,
            creation_options=self.creation_options,
            python=tuning.python,
            ensemble=self.ensemble,
        )

    def _add_to_list(self, model: Path, tuned: FineTuneResult) -> str:
        if not self.list_folder:
            return ""
        folder = Path(self.list_folder)
        if lies_in(model, folder):
            return str(model)
        path = folder / f"{tuned.tuned.card.id}.safetensors"
        publish_file(model, path)
        return str(path)


@dataclass(frozen=True)
class AdaptResult:
    """What an `AdaptJob` did.

    Attributes
    ----------
    tuned : FineTuneResult
    despeckled : DespeckleResult or None
    report : str
        File written; empty if none was asked for.
    listed : str
        File in the folder of models; empty if it was not to be added.
    """

    tuned: FineTuneResult
    despeckled: DespeckleResult | None
    report: str
    listed: str

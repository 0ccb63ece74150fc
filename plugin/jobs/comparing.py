"""Several methods of despeckling on one scene, each assessed in the same way."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.errors import Cancelled, InvalidInput, SpecklessError
from ..core.filters.base import SpeckleFilter
from ..core.tiling import Window
from ..raster.alignment import pixel_offset
from ..raster.source import RasterSource
from .assessing import AssessJob
from .assessment import Assessment
from .despeckling import DespeckleJob
from .filtering import FilterJob
from .limits import check_positive
from .messages import Caution
from .pairs import open_despeckled
from .scenes import IsCancelled, Progress, measure_bands, settle_looks, window_in

FILTER, NETWORK, RASTER = "classical filters", "networks", "rasters given"

# Share of a method's time that goes into its assessment, for the progress bar alone.
_ASSESSED = 0.3


@dataclass(frozen=True)
class CompareJob:
    """Despeckle one band by several methods and compare the results.

    Attributes
    ----------
    input : str
    filters : sequence of SpeckleFilter
        Classical filters to run.
    models : sequence of str
        Ids of networks to run.
    rasters : sequence of str
        Results of other methods, on the pixels of the input.
    reference : str, optional
        Raster without speckle on those pixels.
    band : int
    domain : str
        "auto" or one of `core.domains.DOMAINS`.
    looks : float, optional
        Estimated from the whole scene by default.
    areas : sequence of bytes
        Homogeneous areas, see `AssessJob`.
    extent : Window, optional
        Part of the input to despeckle and compare; what the rasters do not all cover is left
        out too.
    folder : str, optional
        Keep the results there, each named after its method.
    device, precision, python, model_folders
        Of the networks, see `DespeckleJob`.
    """

    input: str
    filters: Sequence[SpeckleFilter] = ()
    models: Sequence[str] = ()
    rasters: Sequence[str] = ()
    reference: str | None = None
    band: int = 1
    domain: str = "auto"
    looks: float | None = None
    areas: Sequence[bytes] = field(default=(), repr=False)
    extent: Window | None = None
    folder: str | None = None
    device: str = "auto"
    precision: str = "auto"
    python: str | None = None
    model_folders: Sequence[str] = ()

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything runs.

        Raises
        ------
        InvalidInput
        """
        check_positive("LOOKS", self.looks)
        if not (self.filters or self.models or self.rasters):
            raise InvalidInput(
                "There is nothing to compare: choose filters, networks or despeckled rasters."
            )
        if self.folder and Path(self.folder).exists() and not Path(self.folder).is_dir():
            raise InvalidInput(f"{self.folder} is a file; choose a folder for the results.")

    def run(self, progress: Progress, is_cancelled: IsCancelled) -> Comparison:
        """Run and assess all methods; one that fails is listed with the reason.

        Raises
        ------
        Cancelled, InvalidInput, RasterError
            If no method could be assessed, among others.
        """
        self.check()
        with RasterSource(self.input, [self.band], self.domain) as source:
            progress(0.0, f"Domain: {source.domain} ({source.domain_reason}).")
            for note in source.notes:
                progress(0.0, note)
            looks = self.looks
            if looks is None:
                looks = settle_looks(None, measure_bands(source, is_cancelled), progress)
            domain = source.domain
            window = self._common(source)
        try:
            if self.folder:
                os.makedirs(self.folder, exist_ok=True)
            workspace = tempfile.TemporaryDirectory(prefix=".speckless-", dir=self.folder)
        except OSError as error:
            raise InvalidInput(
                f"The results cannot be kept in {self.folder} ({error.strerror}); choose another "
                "folder."
            ) from error
        with workspace as work:
            plan = self._plan(window, looks, work)
            done: list[MethodResult] = []
            for number, method in enumerate(plan):
                start, share = number / len(plan), 1 / len(plan)
                progress(start, f"{method.name} …")
                done.append(
                    self._result(method, looks, window, _part(progress, start, share), is_cancelled)
                )
            if not any(result.assessment for result in done):
                raise InvalidInput(
                    "None of the methods gave a result. "
                    + " ".join(f"{result.name}: {result.problem}" for result in done)
                )
            self._keep(done)
        progress(1.0, "")
        return Comparison(done, looks, self.looks is not None, domain, window)

    def _common(self, source: RasterSource) -> Window:
        """Part of the input that is to be compared."""
        window = window_in(source, self.extent)
        for path in self.rasters:
            with open_despeckled(source, path) as opened:
                x, y = pixel_offset(source, opened)
                common = window.intersection(Window(x, y, opened.width, opened.height))
            if common is None:
                raise InvalidInput(
                    f"{path} has no pixel in common with what is to be compared; leave it out, or "
                    "choose another extent."
                )
            window = common
        return window

    def _plan(self, window: Window, looks: float, work: str) -> list[_Method]:
        plan: list[_Method] = []

        def free(name: str) -> str:
            # A filter may come more than once, with other settings.
            count = sum(1 for method in plan if method.id == name) + 1
            return str(Path(work, f"{name}.tif" if count == 1 else f"{name}-{count}.tif"))

        for filter in self.filters:
            path = free(filter.id)
            job = FilterJob(self.input, path, filter, [self.band], self.domain, looks, window)
            plan.append(_Method(filter.id, filter.title, FILTER, path, job.run))
        for model in self.models:
            path = free(model)
            network = DespeckleJob(
                input=self.input,
                output=path,
                bands=[self.band],
                model=model,
                domain=self.domain,
                looks=looks,
                extent=window,
                device=self.device,
                precision=self.precision,
                python=self.python,
                model_folders=self.model_folders,
            )
            plan.append(_Method(model, model, NETWORK, path, network.run))
        plan += [_Method(path, Path(path).stem, RASTER, path, None) for path in self.rasters]
        return _distinct(plan)

    def _result(
        self,
        method: _Method,
        looks: float,
        window: Window,
        progress: Progress,
        is_cancelled: IsCancelled,
    ) -> MethodResult:
        seconds = None
        try:
            if method.run is not None:
                started = time.perf_counter()
                method.run(_part(progress, 0.0, 1 - _ASSESSED, quiet=True), is_cancelled)
                seconds = time.perf_counter() - started
            job = AssessJob(
                input=self.input,
                despeckled=method.path,
                reference=self.reference,
                band=self.band,
                domain=self.domain,
                looks=looks,
                areas=self.areas,
                extent=window,
            )
            found = job.run(_part(progress, 1 - _ASSESSED, _ASSESSED, quiet=True), is_cancelled)
        except Cancelled:
            raise
        except SpecklessError as error:
            progress(0.0, Caution(f"{method.name}: {error}"))
            return MethodResult(method.name, method.kind, method.path, seconds, None, str(error))
        return MethodResult(method.name, method.kind, method.path, seconds, found)

    def _keep(self, done: list[MethodResult]) -> None:
        """Move the results into the folder they are to be kept in."""
        for place, result in enumerate(done):
            if result.kind == RASTER or result.assessment is None:
                continue
            kept = ""
            if self.folder:
                kept = str(Path(self.folder, Path(result.path).name))
                try:
                    os.replace(result.path, kept)
                except OSError as error:
                    raise InvalidInput(
                        f"Cannot keep {kept} ({error.strerror}): is an older one open in another "
                        "program?"
                    ) from error
            done[place] = MethodResult(
                result.name, result.kind, kept, result.seconds, result.assessment
            )


@dataclass(frozen=True)
class MethodResult:
    """What one method gave.

    Attributes
    ----------
    name : str
    kind : str
        `FILTER`, `NETWORK` or `RASTER`.
    path : str
        Of the despeckled raster; "" where it was not kept.
    seconds : float or None
        Of the despeckling; None for rasters given, and where it failed.
    assessment : Assessment or None
    problem : str
        Why there is no assessment.
    """

    name: str
    kind: str
    path: str
    seconds: float | None
    assessment: Assessment | None
    problem: str = ""

    def value(self, figure: str) -> float | None:
        """A figure's value; None where there is none."""
        return None if self.assessment is None else self.assessment.figures[figure].value


@dataclass(frozen=True)
class Comparison:
    """What a `CompareJob` found: methods in the order given, looks, domain and window."""

    methods: list[MethodResult]
    looks: float
    looks_given: bool
    domain: str
    window: Window

    @property
    def assessed(self) -> list[MethodResult]:
        """The methods that gave a result."""
        return [method for method in self.methods if method.assessment is not None]


@dataclass(frozen=True)
class _Method:
    id: str
    name: str
    kind: str
    path: str
    run: Callable[[Progress, IsCancelled], object] | None


def _distinct(plan: list[_Method]) -> list[_Method]:
    """Number methods of the same name."""
    seen: dict[str, int] = {}
    found = []
    for method in plan:
        seen[method.name] = seen.get(method.name, 0) + 1
        count = seen[method.name]
        name = method.name if count == 1 else f"{method.name} ({count})"
        found.append(replace(method, name=name))
    return found


def _part(progress: Progress, start: float, share: float, quiet: bool = False) -> Progress:
    """Progress of a step; quiet ones tell warnings alone."""

    def tell(done: float, message: str) -> None:
        loud = not quiet or isinstance(message, Caution)
        progress(start + share * done, message if loud else "")

    return tell

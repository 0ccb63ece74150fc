"""The provider "Speckless" of the Processing toolbox."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingModelAlgorithm, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..plugin.toolbelt import log
from ..plugin.toolbelt.paths import plugin_path
from ..plugin.version import VERSION
from .assess import AssessAlgorithm
from .compare import CompareAlgorithm
from .despeckle import DespeckleAlgorithm
from .filters import FILTER_ALGORITHMS
from .finetune import FineTuneAlgorithm
from .roi_statistics import RoiStatisticsAlgorithm
from .simulate import SimulateAlgorithm
from .temporalreference import TemporalReferenceAlgorithm
from .train import TrainAlgorithm


class ShippedModel(QgsProcessingModelAlgorithm):
    """A model file as an algorithm whose id is the file's name, not its title.

    Parameters
    ----------
    path : Path
        A .model3 file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.is_readable = self.fromFile(str(path))
        children = self.childAlgorithms().values()
        self.is_complete = all(child.algorithm() is not None for child in children)

    def name(self) -> str:
        return self._path.stem

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(plugin_path("resources", "icons", "speckless.svg"))

    def createInstance(self) -> ShippedModel:
        return type(self)(self._path)


class SpecklessProvider(QgsProcessingProvider):
    """Algorithms of Speckless, and the models shipped with it."""

    def id(self) -> str:
        return "speckless"

    def name(self) -> str:
        return "Speckless"

    def longName(self) -> str:
        return "Speckless (despeckling of SAR images)"

    def versionInfo(self) -> str:
        return VERSION

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(plugin_path("resources", "icons", "speckless.svg"))

    def loadAlgorithms(self) -> None:
        self.addAlgorithm(DespeckleAlgorithm())
        self.addAlgorithm(FineTuneAlgorithm())
        self.addAlgorithm(RoiStatisticsAlgorithm())
        self.addAlgorithm(TrainAlgorithm())
        self.addAlgorithm(TemporalReferenceAlgorithm())
        self.addAlgorithm(AssessAlgorithm())
        self.addAlgorithm(CompareAlgorithm())
        self.addAlgorithm(SimulateAlgorithm())
        for algorithm in FILTER_ALGORITHMS:
            self.addAlgorithm(algorithm())
        for path in sorted(plugin_path("resources", "models").glob("*.model3")):
            model = ShippedModel(path)
            if model.is_readable:
                self.addAlgorithm(model)
            else:
                log.warning(f"The model {path} cannot be read.")

    def complete_models(self, provider_id: str = "") -> None:
        """Load the models anew if steps of theirs were not found; for the registry's signal.

        A model looks its steps up when it is read. Those of this provider cannot be found before
        it is registered itself, and others may be registered later.
        """
        models = [model for model in self.algorithms() if isinstance(model, ShippedModel)]
        if not all(model.is_complete for model in models):
            self.refreshAlgorithms()

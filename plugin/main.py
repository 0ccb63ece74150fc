"""The plugin as QGIS sees it. Wiring only."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication

from ..processing_provider.provider import SpecklessProvider
from .engine.client import close_shared_engine


class SpecklessPlugin:
    """Adds the Processing provider; in qgis_process ``iface`` is None.

    Parameters
    ----------
    iface : QgisInterface or None
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: SpecklessProvider | None = None

    def initProcessing(self) -> None:
        """Add the algorithms; all that qgis_process calls."""
        self.provider = SpecklessProvider()
        registry = QgsApplication.processingRegistry()
        registry.providerAdded.connect(self.provider.complete_models)
        registry.addProvider(self.provider)

    def initGui(self) -> None:
        """Add what the window shows."""
        self.initProcessing()

    def unload(self) -> None:
        """Leave QGIS as it was."""
        if self.provider is not None:
            registry = QgsApplication.processingRegistry()
            registry.providerAdded.disconnect(self.provider.complete_models)
            registry.removeProvider(self.provider)
            self.provider = None
        close_shared_engine()

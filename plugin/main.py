"""The plugin as QGIS sees it. Wiring only."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from ..processing_provider.provider import SpecklessProvider
from .engine.shared import close_shared_engine, limit_shared_engine
from .toolbelt.paths import plugin_path
from .toolbelt.settings import GROUP, Settings

translate = QCoreApplication.translate


class SpecklessPlugin:
    """Adds the Processing provider and the dock; in qgis_process ``iface`` is None.

    Parameters
    ----------
    iface : QgisInterface or None
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: SpecklessProvider | None = None
        self.dock: Any = None
        self.action: QAction | None = None
        self.options: Any = None

    def initProcessing(self) -> None:
        """Add the algorithms; all that qgis_process calls."""
        apply_settings()
        self.provider = SpecklessProvider()
        registry = QgsApplication.processingRegistry()
        registry.providerAdded.connect(self.provider.complete_models)
        registry.addProvider(self.provider)

    def initGui(self) -> None:
        """Add what the window shows."""
        self.initProcessing()
        if self.iface is None:
            return
        # Only here: without a window there are no widgets to import.
        from .gui.dock import SpecklessDock
        from .gui.options_page import OptionsFactory

        self.options = OptionsFactory(self._on_options)
        self.iface.registerOptionsWidgetFactory(self.options)
        self.dock = SpecklessDock(self.iface)
        icon = QIcon(str(plugin_path("resources", "icons", "speckless.svg")))
        self.action = QAction(icon, translate("Speckless", "&Speckless"), self.iface.mainWindow())
        self.action.setObjectName("SpecklessDockAction")
        self.action.setToolTip(translate("Speckless", "Despeckle SAR images interactively"))
        self.action.setCheckable(True)
        self.dock.setToggleVisibilityAction(self.action)
        self.iface.addToolBarIcon(self.action)
        self.iface.rasterMenu().addAction(self.action)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        # When QGIS starts, it restores its docks after this; when the plugin is reloaded it
        # does not.
        visible = QgsSettings().value(f"{GROUP}/dock/visible", False, type=bool)
        self.dock.setVisible(visible)
        self.action.setChecked(visible)

    def _on_options(self) -> None:
        apply_settings()
        if self.dock is not None:
            self.dock.settings_changed()

    def unload(self) -> None:
        """Leave QGIS as it was."""
        if self.options is not None:
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.options = None
        if self.dock is not None:
            QgsSettings().setValue(f"{GROUP}/dock/visible", self.dock.isUserVisible())
            self.dock.shut_down()
            self.iface.rasterMenu().removeAction(self.action)
            self.iface.removeToolBarIcon(self.action)
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.action.deleteLater()
            self.dock = self.action = None
        if self.provider is not None:
            registry = QgsApplication.processingRegistry()
            registry.providerAdded.disconnect(self.provider.complete_models)
            registry.removeProvider(self.provider)
            self.provider = None
        close_shared_engine()


def apply_settings() -> None:
    """Let the engine know what the user chose for it."""
    settings = Settings.load()
    limit_shared_engine(settings.threads or None, settings.memory_limit or None)

"""Runs inside the real QGIS window (--code): installs the plugin's zip, twice, as users do.

Writes what it saw to the folder in SPECKLESS_TEST_OUTPUT; test_install.py judges it.
"""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any

import pyplugin_installer
from qgis import utils
from qgis.core import Qgis, QgsApplication, QgsProject
from qgis.PyQt.QtCore import QTimer

FOLDER = Path(os.environ["SPECKLESS_TEST_OUTPUT"])


def installed() -> dict[str, Any]:
    provider = QgsApplication.processingRegistry().providerById("speckless")
    return {
        "running": "speckless" in utils.active_plugins,
        "folder": str(Path(utils.plugins["speckless"].provider.svgIconPath()).parents[2]),
        "algorithms": sorted(a.id() for a in provider.algorithms()),
        "parameters": len(provider.algorithm("despeckle").parameterDefinitions()),
        "version": utils.pluginMetadata("speckless", "version"),
    }


def scenario() -> dict[str, Any]:
    messages: list[list[str]] = []

    def note(text: str, tag: str, level: Any) -> None:
        if level in (Qgis.MessageLevel.Warning, Qgis.MessageLevel.Critical):
            messages.append([tag, text])

    QgsApplication.messageLog().messageReceived.connect(note)
    seen: dict[str, Any] = {"before": "speckless" in utils.available_plugins}
    installer = pyplugin_installer.instance()
    # The second time it replaces a running plugin.
    for time in ("first", "again"):
        installer.installFromZipFile(os.environ["SPECKLESS_TEST_ZIP"])
        seen[time] = installed()
    utils.unloadPlugin("speckless")
    seen["after"] = QgsApplication.processingRegistry().providerById("speckless") is not None
    seen["messages"] = messages
    return seen


def main() -> None:
    try:
        seen = scenario()
    except Exception:
        seen = {"error": traceback.format_exc()}
    (FOLDER / "installed.json").write_text(json.dumps(seen, indent=1))
    QgsProject.instance().clear()
    utils.iface.actionExit().trigger()


QTimer.singleShot(1500, main)

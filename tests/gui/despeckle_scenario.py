"""Runs inside the real QGIS window (--code): despeckles the sample by the algorithm's dialog.

Writes what it saw to the folder in SPECKLESS_TEST_OUTPUT; test_window.py judges it.
"""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any

import processing
from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtTest import QTest
from qgis.utils import iface

FOLDER = Path(os.environ["SPECKLESS_TEST_OUTPUT"])
SAMPLE = os.environ["SPECKLESS_TEST_SAMPLE"]
MODEL = os.environ["SPECKLESS_TEST_MODEL"]


def contrast(layer: Any) -> list[float]:
    enhancement = layer.renderer().contrastEnhancement()
    return [enhancement.minimumValue(), enhancement.maximumValue()]


def wait_for(condition: Any, milliseconds: int = 60000) -> bool:
    for _ in range(milliseconds // 50):
        if condition():
            return True
        QTest.qWait(50)
    return False


def scenario() -> dict[str, Any]:
    complaints: list[str] = []
    QgsApplication.messageLog().messageReceived.connect(
        lambda text, tag, level: complaints.append(text) if "Python" in tag else None
    )
    registry = QgsApplication.processingRegistry()
    seen: dict[str, Any] = {
        "algorithms": [a.id() for a in registry.providerById("speckless").algorithms()]
    }
    before = iface.addRasterLayer(SAMPLE, "before")
    seen["contrast before"] = contrast(before)
    dialog = processing.createAlgorithmDialog(
        "speckless:despeckle",
        {"INPUT": before.id(), "MODEL_FILE": MODEL, "OUTPUT": str(FOLDER / "despeckled.tif")},
    )
    dialog.show()
    QTest.qWait(300)
    dialog.grab().save(str(FOLDER / "dialog.png"))
    layers = QgsProject.instance().mapLayers
    dialog.runAlgorithm()
    seen["finished"] = wait_for(lambda: len(layers()) == 2)
    dialog.close()
    after = next(layer for layer in layers().values() if layer.id() != before.id())
    seen["result"] = after.source()
    seen["valid"] = after.isValid()
    seen["contrast after"] = contrast(after)
    iface.mapCanvas().setExtent(before.extent())
    wait_for(lambda: not iface.mapCanvas().isDrawing(), 10000)
    QTest.qWait(500)
    iface.mainWindow().grab().save(str(FOLDER / "window.png"))
    seen["complaints"] = complaints
    return seen


def main() -> None:
    try:
        seen = scenario()
    except Exception:
        seen = {"error": traceback.format_exc()}
    (FOLDER / "seen.json").write_text(json.dumps(seen, indent=1))
    # Otherwise QGIS would ask whether to save the project.
    QgsProject.instance().clear()
    iface.actionExit().trigger()


QTimer.singleShot(1500, main)

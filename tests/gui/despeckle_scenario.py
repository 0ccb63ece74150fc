"""Runs inside the real QGIS window (--code): despeckles and fine-tunes by the dialogs.

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
AFFINE = os.environ["SPECKLESS_TEST_AFFINE"]


def contrast(layer: Any) -> list[float]:
    enhancement = layer.renderer().contrastEnhancement()
    return [enhancement.minimumValue(), enhancement.maximumValue()]


def wait_for(condition: Any, milliseconds: int = 60000) -> bool:
    for _ in range(milliseconds // 50):
        if condition():
            return True
        QTest.qWait(50)
    return False


def finetune(layer: str) -> bool:
    """Fine-tune by the dialog; whether a model was written."""
    target = FOLDER / "tuned.safetensors"
    dialog = processing.createAlgorithmDialog(
        "speckless:finetune",
        {
            "INPUT": layer, "MODEL_FILE": AFFINE, "LOOKS": 6, "EPOCHS": 1, "AUGMENT": "FT",
            "DEPTH": "head", "MODEL_OUTPUT": str(target), "REPORT": str(FOLDER / "report.html"),
        },
    )  # fmt: skip
    dialog.show()
    QTest.qWait(300)
    dialog.grab().save(str(FOLDER / "finetune.png"))
    dialog.runAlgorithm()
    written = wait_for(lambda: (FOLDER / "report.html").is_file())
    QTest.qWait(300)
    dialog.close()
    return written and target.is_file()


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
    seen["tuned"] = finetune(before.id())
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

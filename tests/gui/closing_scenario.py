"""Runs inside the real QGIS window (--code): QGIS is closed in the middle of work.

SPECKLESS_TEST_PART says of which: "run" or "tuning". test_closing.py judges what is left.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import qgis.utils
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMessageBox
from qgis.utils import iface

# QGIS runs this without a __file__.
sys.path.insert(0, os.environ["SPECKLESS_TEST_TOOLS"])
from window_tools import (
    catch_exceptions,
    choose,
    dock,
    engine_pid,
    exceptions,
    wait_for_computing,
)

FOLDER = Path(os.environ["SPECKLESS_TEST_OUTPUT"])
PART = os.environ["SPECKLESS_TEST_PART"]

seen: dict[str, Any] = {"exceptions": exceptions, "asked": []}


def save() -> None:
    (FOLDER / f"closing_{PART}.json").write_text(json.dumps(seen, indent=1))


def answer() -> None:
    """Say yes, quit, whatever QGIS asks."""
    box = QApplication.activeModalWidget()
    if not isinstance(box, QMessageBox):
        return
    seen["asked"].append(box.text())
    save()
    for button in (QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.Discard):
        if box.button(button) is not None:
            box.button(button).click()
            return
    box.defaultButton().click() if box.defaultButton() else box.accept()


def scenario() -> None:
    QgsSettings().setValue("speckless/model_folder", os.environ["SPECKLESS_TEST_MODELS"])
    QgsSettings().setValue("speckless/device", "cpu")
    qgis.utils.reloadPlugin("speckless")
    layer = iface.addRasterLayer(os.environ["SPECKLESS_TEST_SAMPLE"], "sample")
    panel = dock()
    panel.setUserVisible(True)
    QTest.qWait(300)
    choose(layer, "tiny-slow" if PART == "run" else "tiny-affine")
    panel.run_section.output.setFilePath(str(FOLDER / "closing_result.tif"))
    section = panel.run_section if PART == "run" else panel.finetune_section
    (section.run if PART == "run" else section.start).click()

    def task() -> Any:
        return panel.runs.task if PART == "run" else panel.tuning.tunings.task

    seen["is running"] = wait_for_computing(task)
    seen["engine"] = engine_pid()


def main() -> None:
    catch_exceptions()
    try:
        scenario()
    except Exception:
        seen["error"] = traceback.format_exc()
    save()
    leaving.start(1000)


# QGIS first asks to cancel what runs, and stays; so again, as a user would.
leaving = QTimer()
leaving.timeout.connect(lambda: QApplication.activeModalWidget() or iface.actionExit().trigger())
answering = QTimer()
answering.timeout.connect(answer)
answering.start(200)
QTimer.singleShot(1500, main)

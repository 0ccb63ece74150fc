"""Settings that are kept and take effect, the page that shows them, and the report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsSettings

from speckless.plugin.engine.client import Hello
from speckless.plugin.engine.protocol import DeviceInfo
from speckless.plugin.engine.shared import limit_shared_engine, shared_engine
from speckless.plugin.gui.choices import Choices
from speckless.plugin.gui.diagnostics import report
from speckless.plugin.gui.help_panel import CLASSICAL, HelpPanel
from speckless.plugin.gui.options_page import OptionsFactory, OptionsPage
from speckless.plugin.main import apply_settings
from speckless.plugin.toolbelt import log
from speckless.plugin.toolbelt.settings import GROUP, Settings


@pytest.fixture(autouse=True)
def clean(plugin: Any) -> Iterator[None]:
    names = ("engine_python", "device", "model_folder", "threads", "memory_limit")
    before = {name: QgsSettings().value(f"{GROUP}/{name}") for name in names}
    for name in names:
        QgsSettings().remove(f"{GROUP}/{name}")
    yield
    for name, value in before.items():
        QgsSettings().remove(f"{GROUP}/{name}")
        if value is not None:
            QgsSettings().setValue(f"{GROUP}/{name}", value)
    limit_shared_engine(None, None)


def test_settings_are_kept() -> None:
    assert Settings.load() == Settings()
    chosen = Settings("/opt/python", "cuda:1", "/models", 3, 2048)
    chosen.save()
    assert Settings.load() == chosen
    QgsSettings().setValue(f"{GROUP}/threads", "many")
    assert Settings.load().threads == 0


def test_page_shows_and_stores() -> None:
    Settings("/opt/python", "cpu", "", 2, 1024).save()
    saved = []
    page = OptionsFactory(lambda: saved.append(Settings.load())).createWidget()
    assert page.settings() == Settings("/opt/python", "cpu", "", 2, 1024)
    page.python.setFilePath(" /usr/bin/python3 ")
    page.device.setCurrentText("mps")
    page.models.setFilePath("/tmp")
    page.threads.setValue(0)
    page.memory.setValue(4096)
    assert Settings.load().threads == 2, "nothing is stored before it is accepted"
    page.apply()
    assert saved == [Settings("/usr/bin/python3", "mps", "/tmp", 0, 4096)]


def test_every_field_can_be_reached_and_explains_itself() -> None:
    from qgis.PyQt.QtWidgets import QLabel

    page = OptionsPage(lambda: None)
    fields = (page.python, page.device, page.threads, page.memory, page.models)
    buddies = [label.buddy() for label in page.findChildren(QLabel)]
    for field in fields:
        assert field.toolTip()
        assert field in buddies
    texts = [label.text() for label in page.findChildren(QLabel) if label.buddy()]
    texts += [page.test.text(), page.copy.text()]
    keys = [text[text.index("&") + 1].lower() for text in texts]
    assert len(set(keys)) == len(keys)


def test_threads_and_memory_reach_the_engine() -> None:
    Settings(threads=1, memory_limit=6000).save()
    apply_settings()
    with shared_engine() as engine:
        hello = engine.start()
    assert hello.threads == 1
    if sys.platform.startswith("linux"):
        assert hello.memory_limit >= 6000


def test_device_python_and_folder_reach_the_jobs(tmp_path: Path) -> None:
    Settings("/opt/python", "cuda:1", str(tmp_path)).save()
    job = Choices("", "scene.tif", looks=4.0).despeckle_job("out.tif", True)
    assert (job.device, job.python, job.model_folders) == ("cuda:1", "/opt/python", [str(tmp_path)])


def test_engine_is_tried(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = OptionsPage(lambda: None)
    qtbot.addWidget(page)
    page.threads.setValue(1)
    page.test.click()
    assert not page.test.isEnabled()
    qtbot.waitUntil(page.test.isEnabled, timeout=300_000)
    assert "It works: torch" in page.outcome.text()
    assert "1 threads" in page.outcome.text()
    assert "Engine computes on" in page.report.toPlainText()
    monkeypatch.setenv("SPECKLESS_PYTHON", "/no/such/python")
    page.test.click()
    qtbot.waitUntil(page.test.isEnabled, timeout=60_000)
    assert "/no/such/python" in page.outcome.text()


HELLO = Hello(
    "/home/ada/envs/bin/python", "3.11.2", "2.13.0", "1.24.2", "0.4", "",
    [DeviceInfo("cpu", "A processor", True), DeviceInfo("cuda:0", "Old", False, "too old")],
    "cpu", 4, 3000,
)  # fmt: skip


def test_report_tells_what_helps_and_no_paths() -> None:
    errors = [(datetime(2024, 5, 6, 7, 8, 9), "cannot open /data/secret/client/scene.tif")]
    text = report(HELLO, "", errors)
    for part in (
        "Speckless ", "QGIS 3", "GDAL 3", "torch 2.13.0", "cuda:0: Old, not usable: too old",
        "4 threads, at most 3000 MiB", "dopamine-sar", "07:08:09 cannot open …/scene.tif",
    ):  # fmt: skip
        assert part in text, part
    assert "secret" not in text
    assert str(Path.home()) not in text or str(Path.home()) == "/"


def test_report_without_engine_says_why() -> None:
    text = report(None, "No Python was found to run the engine in.", [])
    assert "not running (No Python was found" in text
    assert "none" in text.splitlines()[-1]
    log.recent.clear()
    log.warning("something went wrong")
    assert "something went wrong" in report(None, "")


def test_first_help_says_what_is_missing_and_what_works(plugin: Any, qtbot: Any) -> None:
    panel = HelpPanel()
    qtbot.addWidget(panel)
    panel.show_problem("No module named 'torch'")
    assert panel.text.toPlainText() == "No module named 'torch'"
    assert plugin.provider.algorithm(CLASSICAL.partition(":")[2]) is not None

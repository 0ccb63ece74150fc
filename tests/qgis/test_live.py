"""Live work: results keep coming while the mouse moves on, and the last one is the newest."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from qgis.PyQt.QtCore import QObject

from speckless.plugin.gui.live import Live


@pytest.fixture
def live(plugin: Any) -> Any:
    parent = QObject()
    made = Live("test", parent)
    yield made
    made.close()


def test_results_come_while_more_is_asked_for(live: Live, qtbot: Any) -> None:
    done = []
    live.done.connect(lambda key, result: done.append(result))
    seen_underway = 0
    for number in range(60):
        live.submit(None, lambda _, mine=number: time.sleep(0.02) or mine)
        qtbot.wait(4)
        seen_underway = len(done)
    assert seen_underway >= 3
    assert len(done) < 60, "what waits is superseded"
    qtbot.waitUntil(lambda: not live.is_busy)
    assert done[-1] == 59
    assert done == sorted(done)


def test_nothing_is_told_after_cancel(live: Live, qtbot: Any) -> None:
    told = []
    live.done.connect(lambda *found: told.append(found))
    live.failed.connect(lambda *found: told.append(found))
    go = threading.Event()
    live.submit(1, lambda _: go.wait(5))
    live.submit(2, lambda _: 2)
    live.cancel()
    go.set()
    qtbot.wait(100)
    assert told == []
    assert not live.is_busy
    live.submit(3, lambda _: 3)
    qtbot.waitUntil(lambda: told == [(3, 3)])


def test_errors_are_told_and_work_goes_on(live: Live, qtbot: Any) -> None:
    failed, done = [], []
    live.failed.connect(lambda key, error: failed.append(str(error)))
    live.done.connect(lambda key, result: done.append(key))

    def fail(_: Any) -> None:
        raise ValueError("no")

    live.submit(1, fail)
    live.submit(2, lambda _: 2)
    qtbot.waitUntil(lambda: done == [2])
    assert failed == ["no"]

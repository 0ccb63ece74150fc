"""Only the newest request is worth an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.jobs.latest import LatestOnly


class Delivered:
    def __init__(self) -> None:
        self.all: list[tuple[Any, Any, Exception | None]] = []

    def __call__(self, key: Any, result: Any, error: Exception | None) -> None:
        self.all.append((key, result, error))


@pytest.fixture
def delivered() -> Delivered:
    return Delivered()


@pytest.fixture
def worker(delivered: Delivered) -> Iterator[LatestOnly]:
    worker = LatestOnly("test", delivered)
    yield worker
    assert worker.close()


def test_result_is_delivered(worker: LatestOnly, delivered: Delivered) -> None:
    worker.submit("a", lambda is_cancelled: 6 * 7)
    assert worker.wait(5)
    assert delivered.all == [("a", 42, None)]


def test_error_is_delivered(worker: LatestOnly, delivered: Delivered) -> None:
    def fail(_: Any) -> None:
        raise InvalidInput("no")

    worker.submit("a", fail)
    assert worker.wait(5)
    key, result, error = delivered.all[0]
    assert (key, result, str(error)) == ("a", None, "no")


def test_newest_supersedes_what_runs_and_what_waits(
    worker: LatestOnly, delivered: Delivered
) -> None:
    started, ran = threading.Event(), []

    def long(is_cancelled: Any) -> str:
        started.set()
        while not is_cancelled():
            time.sleep(0.001)
        raise Cancelled("superseded")

    worker.submit("first", long)
    assert started.wait(5)
    for number in range(20):
        worker.submit(number, lambda _, n=number: ran.append(n) or n)
    assert worker.wait(5)
    assert delivered.all[-1] == (19, 19, None)
    assert "first" not in [key for key, _, _ in delivered.all]


def test_work_that_ignores_the_stop_is_not_delivered(
    worker: LatestOnly, delivered: Delivered
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def deaf(_: Any) -> str:
        started.set()
        go_on.wait(5)
        return "stale"

    worker.submit("deaf", deaf)
    assert started.wait(5)
    worker.cancel()
    go_on.set()
    assert worker.wait(5)
    assert delivered.all == []


def test_closing_ends_the_thread(delivered: Delivered) -> None:
    before = threading.active_count()
    worker = LatestOnly("test", delivered)
    worker.submit("a", lambda _: 1)
    assert worker.wait(5)
    assert threading.active_count() == before + 1
    assert worker.close()
    assert threading.active_count() == before
    worker.submit("b", lambda _: 2)
    assert [key for key, _, _ in delivered.all] == ["a"]

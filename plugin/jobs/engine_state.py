"""Whether the engine can compute here, and on what."""

from __future__ import annotations

from collections.abc import Callable

from ..engine.client import Engine, Hello
from ..engine.interpreter import cure
from ..engine.shared import shared_engine


def describe_engine(python: str | None, is_cancelled: Callable[[], bool]) -> tuple[Hello, str]:
    """Start the engine if need be.

    Returns
    -------
    (Hello, str)
        What it found, and what to do where it cannot compute; empty if it can.

    Raises
    ------
    Cancelled, EngineError
    """
    with shared_engine(python, is_cancelled) as engine:
        hello = engine.start(is_cancelled)
    return hello, cure(hello) if hello.problem else ""


def try_engine(
    python: str | None,
    threads: int | None,
    memory: int | None,
    is_cancelled: Callable[[], bool],
) -> tuple[Hello, str]:
    """Start an engine of its own for a moment, whatever the shared one does; see `describe_engine`.

    Raises
    ------
    Cancelled, EngineError, InvalidInput
    """
    with Engine(python, threads=threads, memory=memory) as engine:
        hello = engine.start(is_cancelled)
    return hello, cure(hello) if hello.problem else ""

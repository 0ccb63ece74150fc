"""Work in the background of a window, which lets go of the engine for whatever was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..core.errors import Cancelled
from ..engine.client import Engine
from ..engine.shared import shared_engine
from .scenes import IsCancelled

Result = TypeVar("Result")


class Interrupted(Cancelled):
    """Raised by work between two of its pieces, for another job to have the engine."""


def give_way(
    work: Callable[[Engine], Result], python: str | None, is_cancelled: IsCancelled
) -> Result:
    """Do work with the shared engine; where another job wants it, go on after that.

    Parameters
    ----------
    work : callable
        Called with the engine, and again after it has raised `Interrupted`, see
        `stop_between`: it is to keep what was done.
    python : str or None
        As for `shared_engine`.
    is_cancelled : callable

    Raises
    ------
    Cancelled
        While it waits; else by the work.
    """
    while True:
        with shared_engine(python, is_cancelled, gives_way=True) as engine:
            try:
                return work(engine)
            except Interrupted:
                continue


def stop_between(engine: Engine, is_cancelled: IsCancelled, gives_way: bool) -> None:
    """Stop work where it should, between two pieces.

    What is being computed is waited for, not broken off: where an operation of the network takes
    long, breaking off costs the process, and the other job would have to start it again.

    Raises
    ------
    Cancelled
    Interrupted
        When another job wants the engine, and the work gives way.
    """
    if is_cancelled():
        raise Cancelled("Stopped on request.")
    if gives_way and engine.is_wanted:
        raise Interrupted

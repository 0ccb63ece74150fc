"""Requests and replies over the life, death and rebirth of the worker process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import Cancelled, EngineError, InvalidInput, SpecklessError
from .limits import Limits
from .process import WorkerProcess
from .protocol import Hello, error_from
from .shared_memory import Slot, TileLayout
from .tiles import TileResult

IsCancelled = Callable[[], bool]

# A running tile stops between two operations of torch; one that does not within this time is
# ended with its process. Both together stay within the 1.5 s promised.
CANCEL_GRACE_SECONDS = 1.0

POLL_SECONDS = 0.05

_STOPPED = "Stopped on request."
_CLOSED = "The engine was closed."


@dataclass
class Ticket:
    """A request on its way; tiles have a slot until they are answered."""

    slot: Slot | None = None
    layout: TileLayout | None = None
    outcome: dict[str, Any] | TileResult | SpecklessError | None = None
    cancelled: bool = False
    fraction: float = 0.0
    entries: list[dict[str, Any]] = field(default_factory=list)


class Conversation:
    """Talks to one worker process at a time. Every method may be called from any thread.

    Parameters
    ----------
    slots : int
        Tiles in flight.
    idle_seconds : float
        The worker may end after this time without a request.
    """

    def __init__(self, slots: int, idle_seconds: float) -> None:
        self.generation = 0
        self.hello: Hello | None = None
        self.death: SpecklessError | None = None
        self.holders = 0
        self._slot_count = slots
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._start_lock = threading.RLock()
        self._slots: list[Slot] = []
        self._free: list[Slot] = []
        self._process: WorkerProcess | None = None
        self._tickets: dict[int, Ticket] = {}
        self._last_id = 0
        self._cancelled_up_to = 0

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def start(
        self, python: str, limits: Limits, is_cancelled: IsCancelled | None
    ) -> tuple[Hello, int]:
        """Start a worker unless one runs with this interpreter and these limits.

        Returns
        -------
        its hello, and its generation

        Raises
        ------
        EngineError, Cancelled
        """
        with self._start_lock:
            process = self._process
            if process is not None and process.killed_on_purpose:
                process.wait(5.0)
            elif (
                process is not None
                and (process.python, process.limits) != (python, limits)
                and not self._pending()
            ):
                self.close()
            with self._changed:
                if self._process is None:
                    # A thread that was told to stop must not bring back what was closed.
                    if is_cancelled is not None and is_cancelled():
                        raise Cancelled(_STOPPED)
                    self._launch(python, limits)
                try:
                    while self.hello is None:
                        if self._process is None:
                            raise self.death or EngineError(_CLOSED)
                        self._wait(is_cancelled)
                except Cancelled:
                    if self._process is not None:
                        self._process.kill(on_purpose=True)
                    raise
                return self.hello, self.generation

    def is_current(self, generation: int) -> bool:
        """Tell whether the worker of this generation lives."""
        process = self._process
        alive = process is not None and not process.killed_on_purpose
        return alive and self.generation == generation

    def hold(self, change: int) -> int:
        """Count the jobs that need the worker even while it is idle; return their number."""
        with self._changed:
            self.holders += change
            return self.holders

    def request(self, message: dict[str, Any], generation: int, ticket: Ticket) -> int:
        """Send a request to the worker of this generation and return its id.

        Raises
        ------
        EngineError
            When that worker is gone.
        """
        with self._changed:
            if self._process is None or self.generation != generation:
                self._free_slot(ticket)
                raise self.death or EngineError(_CLOSED)
            self._last_id += 1
            self._tickets[self._last_id] = ticket
            self._process.send(dict(message, id=self._last_id))
            return self._last_id

    def take_slot(self, is_cancelled: IsCancelled | None) -> Slot:
        """Wait for a free slot.

        Raises
        ------
        EngineError
            When the worker is gone.
        Cancelled
        """
        with self._changed:
            while self._process is not None and not self._free:
                self._wait(is_cancelled)
            if self._process is None:
                raise self.death or EngineError(_CLOSED)
            return self._free.pop()

    def give_back(self, slot: Slot) -> None:
        """Return a slot that was not used after all."""
        with self._changed:
            self._free_slot(Ticket(slot))

    def outcome(self, identifier: int, is_cancelled: IsCancelled | None) -> Any:
        """Wait for the reply to a request; it can be fetched once.

        Raises
        ------
        SpecklessError
            What the worker raised; EngineError when it died; Cancelled.
        """
        try:
            with self._changed:
                ticket = self._tickets.get(identifier)
                if ticket is None:
                    if 0 < identifier <= self._cancelled_up_to:
                        raise Cancelled(_STOPPED)
                    raise InvalidInput(f"There is no ticket {identifier}, or it was fetched.")
                while ticket.outcome is None and not ticket.cancelled:
                    self._wait(is_cancelled)
                if ticket.cancelled:
                    raise Cancelled(_STOPPED)
                del self._tickets[identifier]
        except Cancelled:
            self.cancel()
            raise
        if isinstance(ticket.outcome, SpecklessError):
            raise ticket.outcome
        return ticket.outcome

    def progress(self, identifier: int) -> float:
        """Fraction done of a tile; 1 where the ticket was fetched."""
        with self._changed:
            ticket = self._tickets.get(identifier)
            return 1.0 if ticket is None else ticket.fraction

    def entries(self, identifier: int) -> list[dict[str, Any]]:
        """What a request has reported besides its fraction, so far."""
        with self._changed:
            ticket = self._tickets.get(identifier)
            return [] if ticket is None else list(ticket.entries)

    def cancel(self) -> None:
        """Stop everything under way; returns when it has stopped, within 1.5 s."""
        with self._changed:
            pending = self._pending()
            for ticket in pending:
                ticket.cancelled = True
            self._cancelled_up_to = self._last_id
            process = self._process
            if process is None or not pending:
                return
            process.send({"op": "cancel", "id": self._last_id})
            self._changed.notify_all()
            deadline = time.monotonic() + CANCEL_GRACE_SECONDS
            while any(t.outcome is None for t in pending) and time.monotonic() < deadline:
                self._changed.wait(max(deadline - time.monotonic(), 0.001))
            stuck = any(t.outcome is None for t in pending)
        if stuck:
            process.kill(on_purpose=True)
            process.wait(0.4)

    def rest(self) -> None:
        """Drop results nobody fetched and give the tiles' memory back; models stay hot."""
        self.cancel()
        with self._changed:
            self._tickets = {k: t for k, t in self._tickets.items() if t.outcome is None}
            for slot in self._free:
                slot.shrink()
            if self._process is not None:
                self._process.send({"op": "rest"})

    def close(self) -> None:
        """End the worker and give everything back."""
        with self._changed:
            process, self._process, self.hello = self._process, None, None
            self._fail_all(EngineError(_CLOSED))
        if process is not None:
            process.close()
        with self._changed:
            if self._process is None:
                for slot in self._slots:
                    slot.close()
                self._slots, self._free = [], []

    def _pending(self) -> list[Ticket]:
        return [ticket for ticket in self._tickets.values() if ticket.outcome is None]

    def _launch(self, python: str, limits: Limits) -> None:
        if not self._slots:
            self._slots = [Slot(index) for index in range(self._slot_count)]
            self._free = list(self._slots)
        self.death = self.hello = None
        descriptors = [slot.descriptor for slot in self._slots if slot.descriptor >= 0]
        self._process = WorkerProcess(
            python, descriptors, self._idle_seconds, limits, self._hear, self._bury
        )
        self.generation += 1
        self._process.listen()

    def _wait(self, is_cancelled: IsCancelled | None) -> None:
        """Wait for a change (the lock is held), asking meanwhile whether to go on."""
        self._changed.wait(None if is_cancelled is None else POLL_SECONDS)
        if is_cancelled is None:
            return
        # The caller's function may be slow, or take locks of its own.
        self._changed.release()
        try:
            wanted = is_cancelled()
        finally:
            self._changed.acquire()
        if wanted:
            raise Cancelled(_STOPPED)

    def _hear(self, process: WorkerProcess, message: dict[str, Any]) -> None:
        """Take a message, in the process's thread."""
        kind = message.get("type")
        with self._changed:
            if process is not self._process:
                return
            ticket = self._tickets.get(message.get("id", 0))
            if kind == "hello":
                try:
                    self.hello = Hello.from_message(message)
                except (SpecklessError, TypeError, KeyError) as error:
                    self.death = EngineError(str(error))
                    process.kill()
            elif kind == "idle":
                self._let_go(process)
            elif ticket is not None and kind == "progress":
                ticket.fraction = float(message["fraction"])
                ticket.entries += message.get("entries", [])
            elif ticket is not None:
                self._settle(ticket, message)
                if ticket.cancelled:  # nobody will fetch it
                    del self._tickets[message["id"]]
            self._changed.notify_all()

    def _settle(self, ticket: Ticket, message: dict[str, Any]) -> None:
        """Record the reply to a request and free its slot (the lock is held)."""
        if message["type"] == "error":
            ticket.outcome = error_from(message)
        elif ticket.slot is None or ticket.layout is None:
            ticket.outcome = message
        else:
            memory = ticket.slot.reserve(ticket.layout.size)
            arrays = {n: ticket.layout.view(memory, n).copy() for n in message["arrays"]}
            ticket.outcome = TileResult(arrays, message["warnings"], message["seconds"])
            ticket.fraction = 1.0
        self._free_slot(ticket)

    def _free_slot(self, ticket: Ticket) -> None:
        # A slot of before `close` has no place in the list any more.
        if ticket.slot is not None and ticket.slot in self._slots:
            self._free.append(ticket.slot)
        ticket.slot = None
        self._changed.notify_all()

    def _let_go(self, process: WorkerProcess) -> None:
        """Let the idle worker end, unless somebody is about to use it (the lock is held)."""
        if self.holders or self._pending():
            return
        self._process = self.hello = None
        process.send({"op": "close"})

    def _bury(self, process: WorkerProcess) -> None:
        """Record the end of the process, in its thread."""
        with self._changed:
            if process is not self._process:
                return
            self._process = self.hello = None
            error = self.death or EngineError(process.end_text())
            self.death = None if process.killed_on_purpose else error
            self._fail_all(error)

    def _fail_all(self, error: SpecklessError) -> None:
        for ticket in self._tickets.values():
            if ticket.outcome is None:
                ticket.outcome = Cancelled(_STOPPED) if ticket.cancelled else error
            self._free_slot(ticket)
        self._tickets = {k: t for k, t in self._tickets.items() if not t.cancelled}
        self._changed.notify_all()

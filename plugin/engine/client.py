"""The engine as the rest of the plugin sees it: load a model, submit tiles, fetch results."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import EngineError, InvalidInput
from ..core.models import registry
from ..core.models.card import ModelCard
from ..core.tuning import Scene
from .conversation import Conversation, IsCancelled, Ticket
from .interpreter import cure, find_python
from .limits import Limits
from .protocol import Hello
from .reservation import Reservation
from .shared_memory import TileLayout
from .tiles import (
    Loaded,
    TileRequest,
    TileResult,
    Trained,
    TrainingRequest,
    Tuned,
    TuningRequest,
    write_scenes,
)

__all__ = [
    "Engine",
    "Hello",
    "Loaded",
    "TileRequest",
    "TileResult",
    "Trained",
    "TrainingRequest",
    "Tuned",
    "TuningRequest",
]

_WEIGHTS = ".safetensors"

# Takes the fraction done and what was measured so far.
Tell = Callable[[float, list[dict[str, float]]], None]


class Engine:
    """A worker process that computes tiles, started on first use and again after its death.

    Parameters
    ----------
    python : str, optional
        Interpreter to use; see `interpreter.find_python`. May be changed later.
    idle_seconds : float
        The worker ends after this time without a request.
    threads : int, optional
        CPU threads, by default one a core. The worker runs at low priority, so that the user's
        window stays responsive even so.
    memory : int, optional
        MiB the worker may take; see `limits.Limits`.
    slots : int
        Tiles in flight.

    Notes
    -----
    Every method may be called from any thread. Jobs hold the engine by `reserve`.
    """

    def __init__(
        self,
        python: str | None = None,
        idle_seconds: float = 600.0,
        threads: int | None = None,
        slots: int = 3,
        memory: int | None = None,
    ) -> None:
        self.python = python
        self.limits = Limits(threads, memory)
        self.slots = slots
        self._conversation = Conversation(slots, idle_seconds)
        self._reservation = Reservation()
        self._last_loaded: Loaded | None = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def hello(self) -> Hello | None:
        """What the running worker found; None while there is none."""
        return self._conversation.hello

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        return self._conversation.pid

    @property
    def is_wanted(self) -> bool:
        """Whether a job waits for the engine, other than those that give way."""
        return self._reservation.is_wanted

    @contextmanager
    def reserve(
        self, is_cancelled: IsCancelled | None = None, gives_way: bool = False
    ) -> Iterator[Engine]:
        """Hold the engine for one job; others wait. Leaving drops what was not fetched.

        Parameters
        ----------
        is_cancelled : callable, optional
        gives_way : bool
            Let all others that wait go first. Such a job is to leave when it `is_wanted`.

        Raises
        ------
        Cancelled
            When cancelled while waiting.
        """
        with self._reservation.hold(is_cancelled, gives_way):
            self._conversation.hold(+1)
            try:
                yield self
            finally:
                if self._conversation.hold(-1) == 0:
                    self._conversation.rest()

    def start(self, is_cancelled: IsCancelled | None = None) -> Hello:
        """Start the worker unless it runs, and return what it found.

        Raises
        ------
        EngineError
            When it cannot start.
        Cancelled
            When cancelled while waiting.
        """
        return self._start(is_cancelled)[0]

    def load(
        self,
        model: str | Path,
        device: str = "auto",
        precision: str = "auto",
        is_cancelled: IsCancelled | None = None,
    ) -> Loaded:
        """Make a model ready; at once if it is still hot.

        Parameters
        ----------
        model : str or Path
            Identifier of an installed model, or path of a weights file.
        device : {"auto", "cpu", "cuda", "cuda:N", "mps"}
        precision : {"auto", "fp32", "bf16", "fp16"}

        Raises
        ------
        ModelError
            When there is no such model, or its weights are damaged.
        InvalidInput
            When there is no such device, or it does not compute in this precision.
        EngineError
            When the engine cannot start, lacks torch, or dies.
        Cancelled
            When cancelled while waiting.
        """
        text = os.fspath(model)
        is_path = isinstance(model, Path) or os.path.dirname(text) or text.endswith(_WEIGHTS)
        path = Path(model).absolute() if is_path else registry.find(text)
        ModelCard.read(path)  # a wrong file needs no engine to be refused
        generation = self._ready(is_cancelled)
        message = {"op": "load", "path": str(path), "device": device, "precision": precision}
        ticket = self._conversation.request(message, generation, Ticket())
        reply = self._conversation.outcome(ticket, is_cancelled)
        loaded = Loaded(
            card=ModelCard.from_json(reply["card"]),
            device=reply["device"],
            precision=reply["precision"],
            reason=reply["reason"],
            path=path,
            handle=reply["handle"],
            generation=generation,
        )
        self._last_loaded = loaded
        return loaded

    def submit(self, request: TileRequest, is_cancelled: IsCancelled | None = None) -> int:
        """Hand over a tile; waits while all slots are taken, which frees itself in time.

        Returns
        -------
        int
            Ticket for `result`.

        Raises
        ------
        InvalidInput
            When the request is malformed, or no model was loaded.
        EngineError
            When the engine died; `load` starts it anew.
        Cancelled
            When cancelled while waiting.
        """
        request.check()
        loaded = self._living(request.model or self._last_loaded, is_cancelled)
        shape, inner = request.intensity.shape, request.inner
        inputs = tuple(request.maps)
        layout = TileLayout(
            (shape[0], shape[1]), (inner.height, inner.width), tuple(request.outputs), inputs
        )
        slot = self._conversation.take_slot(is_cancelled)
        try:
            memory = slot.reserve(layout.size)
            layout.view(memory, "intensity")[...] = request.intensity
            layout.view(memory, "valid")[...] = request.valid
            for name, values in request.maps.items():
                layout.view(memory, name)[...] = values
        except BaseException:
            self._conversation.give_back(slot)
            raise
        message = {"handle": loaded.handle, "slot": slot.describe(), **request.to_message()}
        return self._conversation.request(message, loaded.generation, Ticket(slot, layout))

    def result(self, ticket: int, is_cancelled: IsCancelled | None = None) -> TileResult:
        """Wait for a tile. Each ticket can be fetched once.

        Raises
        ------
        Cancelled
            When `is_cancelled` says so, which stops all that is under way, or by `cancel`.
        EngineError
            When the worker failed or died.
        """
        outcome = self._conversation.outcome(ticket, is_cancelled)
        if not isinstance(outcome, TileResult):
            raise InvalidInput(f"Ticket {ticket} is not of a tile.")
        return outcome

    def finetune(
        self,
        request: TuningRequest,
        progress: Tell,
        is_cancelled: IsCancelled,
    ) -> Tuned:
        """Fine-tune a model into a new weights file; tiles wait meanwhile.

        Parameters
        ----------
        request : TuningRequest
        progress : callable
            Called now and then, in this thread, with the fraction done and the epochs measured
            so far.
        is_cancelled : callable

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError
            No file is written then; the next call with the same request goes on from the
            checkpoint.
        """
        ModelCard.read(request.model)
        generation = self._ready(is_cancelled)
        with tempfile.TemporaryDirectory(prefix="speckless-") as folder:
            scenes = Path(folder, "scenes.npz")
            request.write_scenes(scenes)
            message = {**request.to_message(), "scenes": str(scenes)}
            reply = self._converse(message, generation, progress, is_cancelled)
        # The last epoch may have come together with the reply.
        progress(1.0, reply["history"])
        del reply["type"], reply["id"]
        reply["card"] = ModelCard.from_json(reply["card"])
        return Tuned(**reply)

    def train(self, request: TrainingRequest, progress: Tell, is_cancelled: IsCancelled) -> Trained:
        """Train a network into a new weights file; tiles wait meanwhile.

        Parameters
        ----------
        request : TrainingRequest
        progress : callable
            Called now and then, in this thread, with the fraction done and the log so far.
        is_cancelled : callable

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError
            No model is written then; the next call with the same request goes on from the
            checkpoint.
        """
        generation = self._ready(is_cancelled)
        with tempfile.TemporaryDirectory(prefix="speckless-") as folder:
            message = {"op": "train", **request.hand_over(Path(folder))}
            reply = self._converse(message, generation, progress, is_cancelled)
            with np.load(message["samples"], allow_pickle=False) as arrays:
                reply["samples"] = {name: arrays[name] for name in arrays.files}
        progress(1.0, reply["log"])
        del reply["type"], reply["id"]
        reply["card"] = ModelCard.from_json(reply["card"])
        return Trained(**reply)

    def _converse(
        self, message: dict[str, Any], generation: int, progress: Tell, is_cancelled: IsCancelled
    ) -> dict[str, Any]:
        """Send a long request, tell how it goes, and return the reply."""
        ticket = self._conversation.request(message, generation, Ticket())

        def poll() -> bool:
            part = self._conversation.progress(ticket)
            progress(part, self._conversation.entries(ticket))
            return is_cancelled()

        reply: dict[str, Any] = self._conversation.outcome(ticket, poll)
        return reply

    def freeze(
        self,
        model: Path,
        output: Path,
        scenes: Sequence[Scene],
        looks: float,
        device: str = "auto",
        is_cancelled: IsCancelled | None = None,
    ) -> None:
        """Write a model that normalises by the statistics of these windows of a scene.

        For models whose card says ``per_scene``; what is written gives any tile the pixels of
        the whole scene.

        Raises
        ------
        Cancelled, EngineError, InvalidInput, ModelError
            No file is written then.
        """
        generation = self._ready(is_cancelled)
        with tempfile.TemporaryDirectory(prefix="speckless-") as folder:
            path = Path(folder, "scenes.npz")
            write_scenes(path, scenes)
            message = {
                "op": "freeze",
                "path": str(model.absolute()),
                "output": str(output.absolute()),
                "scenes": str(path),
                "looks": float(looks),
                "device": device,
            }
            ticket = self._conversation.request(message, generation, Ticket())
            self._conversation.outcome(ticket, is_cancelled)

    def progress(self, ticket: int) -> float:
        """Fraction of a tile that is done, as far as known; 1 once it is fetched."""
        return self._conversation.progress(ticket)

    def cancel(self) -> None:
        """Stop everything under way; returns when it has stopped, within 1.5 s."""
        self._conversation.cancel()

    def close(self) -> None:
        """End the worker. The next `start` or `load` makes a new one."""
        self._conversation.close()

    def _ready(self, is_cancelled: IsCancelled | None) -> int:
        """Start the worker; its generation if it can compute."""
        hello, generation = self._start(is_cancelled)
        if hello.problem:
            raise EngineError(cure(hello))
        return generation

    def _start(self, is_cancelled: IsCancelled | None) -> tuple[Hello, int]:
        return self._conversation.start(find_python(self.python), self.limits, is_cancelled)

    def _living(self, loaded: Loaded | None, is_cancelled: IsCancelled | None) -> Loaded:
        """Return the model as the present worker knows it; the idle one may have left."""
        if loaded is None:
            raise InvalidInput("No model is loaded; load one before submitting tiles.")
        if self._conversation.is_current(loaded.generation):
            return loaded
        if self._conversation.death is not None:
            raise self._conversation.death
        last = self._last_loaded
        if last is not None and self._conversation.is_current(last.generation):
            same = (last.path, last.device, last.precision)
            if same == (loaded.path, loaded.device, loaded.precision):
                return last
        return self.load(loaded.path, loaded.device, loaded.precision, is_cancelled)

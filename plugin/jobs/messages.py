"""What jobs tell while they run."""

from __future__ import annotations

from typing import Any


class Caution(str):
    """A message that the user should heed: shown as a warning, where others are information.

    A job tells each once, by ``progress``, when the reason arises; its result lists them too.
    """

    __slots__ = ()


class Epoch(str):
    """A message that tells of an epoch of fine-tuning, with its figures.

    Parameters
    ----------
    text : str
    entry : dict
        Of `core.finetuning.FineTuner.history`.
    """

    __slots__ = ("entry",)
    entry: dict[str, Any]

    def __new__(cls, text: str, entry: dict[str, Any]) -> Epoch:
        message = super().__new__(cls, text)
        message.entry = dict(entry)
        return message

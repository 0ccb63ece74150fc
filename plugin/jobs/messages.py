"""What jobs tell while they run."""

from __future__ import annotations


class Caution(str):
    """A message that the user should heed: shown as a warning, where others are information.

    A job tells each once, by ``progress``, when the reason arises; its result lists them too.
    """

    __slots__ = ()

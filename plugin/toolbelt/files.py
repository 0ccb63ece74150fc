"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def publish(source: str | Path, target: str | Path) -> None:
    """Copy a file so that ``target`` is at any moment its old self or the whole new one.

    Raises
    ------
    OSError
        When it cannot be written; nothing is left then.
    """
    _replace(Path(target), lambda part: shutil.copyfile(source, part))


def write_text(target: str | Path, text: str) -> None:
    """Write a text (UTF-8) likewise.

    Raises
    ------
    OSError
    """
    _replace(Path(target), lambda part: part.write_text(text, encoding="utf-8", newline="\n"))


def _replace(target: Path, write: Callable[[Path], object]) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)

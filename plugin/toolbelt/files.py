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
    replace_whole(target, lambda part: shutil.copyfile(source, part))


def write_text(target: str | Path, text: str) -> None:
    """Write a text (UTF-8) likewise.

    Raises
    ------
    OSError
    """
    replace_whole(target, lambda part: part.write_text(text, encoding="utf-8", newline="\n"))


def replace_whole(target: str | Path, write: Callable[[Path], object]) -> None:
    """Have a file written beside ``target``, then put in its place.

    Parameters
    ----------
    target : str or Path
    write : callable
        Writes the file whose path it is given.

    Raises
    ------
    OSError
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)

"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def publish(source: str | Path, target: str | Path) -> None:
    """Copy a file so that ``target`` is at any moment its old self or the whole new one.

    Raises
    ------
    OSError
        When it cannot be written; nothing is left then.
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(source, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)

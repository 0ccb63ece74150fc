"""Texts that may be shown to others."""

from __future__ import annotations

import re
from pathlib import Path

# Absolute paths of both kinds of systems, up to the next space or mark.
_PATH = re.compile(r"(?<![\w~.:/\\])(?:[A-Za-z]:[\\/]|\\\\|/(?=[^/\s]+/))[^\s'\"<>|:;,()]+")


def without_home(text: str, home: Path | None = None) -> str:
    """Replace the user's home folder, whose name often is the user's own, by ``~``."""
    folder = str(home or Path.home())
    return text.replace(folder, "~") if len(folder) > 1 else text


def without_paths(text: str) -> str:
    """Leave only the last part of every absolute path: what a file is called, not where it lies."""
    return _PATH.sub(lambda found: "…/" + re.split(r"[\\/]", found[0].rstrip("\\/"))[-1], text)

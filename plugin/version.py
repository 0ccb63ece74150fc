"""The version, read from metadata.txt so that it is written down once."""

from __future__ import annotations

from pathlib import Path

_METADATA = Path(__file__).resolve().parents[1] / "metadata.txt"


def _read_version() -> str:
    # Without configparser, which takes longer to load than this to run.
    for line in _METADATA.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "version":
            return value.strip()
    return "0"


VERSION = _read_version()

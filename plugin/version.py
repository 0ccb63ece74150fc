"""The version, read from metadata.txt so that it is written down once."""

from __future__ import annotations

import configparser
from pathlib import Path

_METADATA = Path(__file__).resolve().parents[1] / "metadata.txt"


def _read_version() -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(_METADATA, encoding="utf-8")
    return parser.get("general", "version", fallback="0")


VERSION = _read_version()

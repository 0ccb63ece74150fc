"""Results of long runs: a file that a killed run goes on from, means, and tables of text."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Values = dict[str, Any]


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Where results are kept."""
    parser.add_argument(
        "--store", metavar="FILE", help="results as JSON lines; a killed run goes on from them"
    )
    parser.add_argument("--report", action="store_true", help="only show what the store holds")


class Store:
    """One JSON object a line, appended as soon as it is known.

    Parameters
    ----------
    path : str or Path, optional
        Without one, results are only kept in memory.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path else None
        self.known: dict[str, Values] = {}
        self._whole = True
        if self.path and self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            self._whole = not text or text.endswith("\n")
            for line in text.splitlines():
                try:
                    entry = json.loads(line)
                    self.known[_name(entry["key"])] = entry["values"]
                except (ValueError, KeyError, TypeError):
                    continue  # cut short by a kill: computed again

    def get(self, key: Mapping[str, Any]) -> Values | None:
        """What is known of a key."""
        return self.known.get(_name(key))

    def need(self, key: Mapping[str, Any], compute: Callable[[], Values]) -> Values:
        """What is known of a key, or else what is computed now, and kept."""
        found = self.get(key)
        if found is None:
            found = compute()
            self.known[_name(key)] = found
            self._append({"key": dict(key), "values": found})
        return found

    def _append(self, entry: dict[str, Any]) -> None:
        if not self.path:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if self._whole else "\n") + json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._whole = True


def _name(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error; the error is NaN for a single value."""
    array = np.asarray(values, np.float64)
    error = array.std(ddof=1) / np.sqrt(array.size) if array.size > 1 else np.nan
    return float(array.mean()), float(error)


def with_error(values: Sequence[float], digits: int = 3, sign: bool = False) -> str:
    """Mean ± standard error, as text."""
    mean, error = mean_and_error(values)
    text = f"{mean:{'+' if sign else ''}.{digits}f}"
    return text if np.isnan(error) else f"{text} ±{error:.{digits}f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Text in columns, the first aligned to the left, the others to the right."""
    columns = max(map(len, rows))
    cells = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if place else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells
    )

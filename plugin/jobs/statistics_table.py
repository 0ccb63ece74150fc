"""Records as a table in a file, for spreadsheets (CSV) or for reading (HTML)."""

from __future__ import annotations

import csv
import html
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..core.errors import InvalidInput

_STYLE = (
    "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
    "th,td{border:1px solid #bbb;padding:.2em .6em;text-align:right}"
    "th{background:#eee;color:#111}td.text{text-align:left}"
)


def check_table(path: str) -> None:
    """Refuse a table that could not be written, before there is anything to write.

    Raises
    ------
    InvalidInput
        If its ending is another than .csv or .html, or its folder does not exist.
    """
    if Path(path).suffix.lower() not in (".csv", ".html", ".htm"):
        raise InvalidInput(f"A table is a .csv or .html file; rename {Path(path).name}.")
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise InvalidInput(f"Cannot write {path}: there is no folder {folder}; make it first.")


def write_table(path: str, title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows to a .csv (numbers in full) or .html file (to four digits).

    The file appears when it is complete.

    Parameters
    ----------
    path : str
        Its ending tells the format.
    title : str
        Heading of the HTML page.
    names : sequence of str
        Of the columns.
    rows : sequence of sequences
        Numbers, texts, or None for an empty cell.

    Raises
    ------
    InvalidInput
        If the ending is another, or the file cannot be written.
    """
    check_table(path)
    suffix = Path(path).suffix.lower()
    text = _csv(names, rows) if suffix == ".csv" else _html(title, names, rows)
    part = Path(path).with_name(f".speckless-{uuid4().hex}{suffix}")
    try:
        # Line ends as they are on every system: CSV readers take either.
        with open(part, "x", encoding="utf-8", newline="") as file:
            file.write(text)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InvalidInput(f"Cannot write {path}: {error.strerror}.") from error


def _csv(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue()


def _html(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [
        "<!DOCTYPE html>",
        f'<html><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1><table>",
        "<tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in names) + "</tr>",
    ]
    lines += ["<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table></body></html>", ""])


def _cell(value: Any) -> str:
    if value is None:
        return "<td>–</td>"
    if isinstance(value, float):
        return f"<td>{value:.4g}</td>"
    if isinstance(value, str):
        return f'<td class="text">{html.escape(value)}</td>'
    return f"<td>{value}</td>"

"""A self-contained HTML page, built section by section. Whatever is not `Markup` is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..toolbelt.files import write_text

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 2rem 1.5rem 3rem; background: #fff;
  color: #1c2430; font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; padding-bottom: .25rem;
  border-bottom: 1px solid #d5dbe3; }
p { margin: .5rem 0; max-width: 48rem; }
.subtitle { color: #566172; margin: 0 0 1rem; }
.warning { border-left: 4px solid #c77700; background: #fff6e6; padding: .5rem .8rem;
  max-width: none; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top; }
table.pairs th { color: #566172; font-weight: 500; white-space: nowrap; }
table.pairs td { overflow-wrap: anywhere; }
table.data { border-top: 2px solid #1c2430; border-bottom: 2px solid #1c2430; }
table.data th { border-bottom: 1px solid #1c2430; }
table.data th, table.data td { padding: .25rem .9rem; text-align: right; }
table.data th:first-child, table.data td:first-child { text-align: left; }
table.data tr.marked td { background: #e8f1fb; font-weight: 600; }
.wide { overflow-x: auto; }
.figures { align-items: flex-start; display: flex; flex-wrap: wrap; gap: 1rem 1.2rem;
  margin: .6rem 0; }
figure { display: table; margin: 0; }
figure img { display: block; image-rendering: pixelated; max-width: 100%;
  border: 1px solid #d5dbe3; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { caption-side: bottom; color: #566172; display: table-caption; font-size: .87rem;
  padding-top: .3rem; }
footer { margin-top: 2.5rem; color: #566172; font-size: .87rem; }
@media print {
  @page { margin: 15mm; }
  body { padding: 0; max-width: none; font-size: 10.5pt; }
  h2 { break-after: avoid; }
  figure, tr, .warning { break-inside: avoid; }
  figure img { width: 56mm; height: auto; }
  .wide { overflow: visible; }
  table.data { font-size: 8.5pt; }
  table.data th, table.data td { padding: .15rem .45rem; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""


def plus_minus(value: float, error: float, signed: bool = False) -> str:
    """A value and its standard error, to two digits of the error: "0.0830 ± 0.0021"."""
    if not (math.isfinite(error) and error > 0 and math.isfinite(value)):
        return _minus(f"{value:{'+' if signed else ''}.4g}")
    places = max(0, 1 - math.floor(math.log10(error)))
    if places > 7:
        return _minus(f"{value:{'+' if signed else ''}.3g} ± {error:.2g}")
    return _minus(f"{value:{'+' if signed else ''}.{places}f} ± {error:.{places}f}")


def _minus(text: str) -> str:
    return text.replace("-", "−")


class Markup(str):
    """HTML that is safe as it is: what `charts` and `pictures` make."""


def escaped(text: object) -> str:
    """HTML of a text; `Markup` stays as it is."""
    return text if isinstance(text, Markup) else html.escape(str(text))


class Page:
    """A page that grows from top to bottom.

    Parameters
    ----------
    title : str
    subtitle : str
    language : str
        Code of the language the texts are in.
    """

    def __init__(self, title: str, subtitle: str = "", language: str = "en") -> None:
        self._title = title
        self._language = language
        self._parts = [f"<h1>{escaped(title)}</h1>"]
        if subtitle:
            self._parts.append(f'<p class="subtitle">{escaped(subtitle)}</p>')

    def section(self, title: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escaped(title)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escaped(text)}</p>")

    def warning(self, text: str) -> None:
        """Add a paragraph that stands out."""
        self._parts.append(f'<p class="warning">{escaped(text)}</p>')

    def pairs(self, rows: Iterable[tuple[object, object]]) -> None:
        """Add a table of names and values."""
        lines = [
            f'<tr><th scope="row">{escaped(name)}</th><td>{escaped(value)}</td></tr>'
            for name, value in rows
        ]
        self._parts.append(f'<table class="pairs">{"".join(lines)}</table>')

    def table(
        self,
        header: Sequence[object],
        rows: Iterable[Sequence[object]],
        caption: str = "",
        marked: int | None = None,
    ) -> None:
        """Add a table of data; numbers are the caller's to format.

        Parameters
        ----------
        header : sequence
        rows : iterable of sequence
            Each as long as the header.
        caption : str
        marked : int, optional
            Index of a row to set off.
        """
        head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in header)
        lines = []
        for index, row in enumerate(rows):
            if len(row) != len(header):
                raise ValueError(f"A row of {len(row)} cells under {len(header)} headings.")
            cells = "".join(f"<td>{escaped(cell)}</td>" for cell in row)
            mark = ' class="marked"' if index == marked else ""
            lines.append(f"<tr{mark}>{cells}</tr>")
        below = f"<p><small>{escaped(caption)}</small></p>" if caption else ""
        self._parts.append(
            f'<div class="wide"><table class="data"><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(lines)}</tbody></table></div>{below}"
        )

    def figures(self, figures: Iterable[tuple[Markup, str]]) -> None:
        """Add charts or pictures with their captions, side by side as the page is wide."""
        items = [
            f"<figure>{escaped(figure)}<figcaption>{escaped(caption)}</figcaption></figure>"
            for figure, caption in figures
        ]
        self._parts.append(f'<div class="figures">{"".join(items)}</div>')

    def footer(self, text: str) -> None:
        """Add the last line."""
        self._parts.append(f"<footer>{escaped(text)}</footer>")

    def html(self) -> str:
        """The page."""
        body = "\n".join(self._parts)
        return (
            f'<!DOCTYPE html>\n<html lang="{escaped(self._language)}">\n<head>\n'
            '<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escaped(self._title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n{body}\n</body>\n</html>\n"
        )

    def write(self, path: str | Path) -> None:
        """Write the page, whole or not at all.

        Raises
        ------
        OSError
        """
        write_text(path, self.html())

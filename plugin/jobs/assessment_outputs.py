"""Writing what an assessment found: table and report."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import InvalidInput
from ..reports.page import Page
from .assessing import AssessJob
from .assessment import KINDS, Assessment
from .assessment_report import assessment_page
from .statistics_table import write_table


def check_report_file(path: str) -> None:
    """Refuse a report that could not be written, before there is anything to write.

    Raises
    ------
    InvalidInput
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise InvalidInput(f"A report is an .html file; rename {Path(path).name}.")
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise InvalidInput(f"Cannot write {path}: there is no folder {folder}; make it first.")


def write_page(path: str, page: Page) -> None:
    """Write a report.

    Raises
    ------
    InvalidInput
        If it cannot be written.
    """
    try:
        page.write(path)
    except OSError as error:
        raise InvalidInput(f"Cannot write {path}: {error.strerror}.") from error


def write_report(path: str, job: AssessJob, found: Assessment) -> None:
    """Write the report of an assessment; see `write_page`."""
    write_page(path, assessment_page(job, found))


def write_figures(path: str, found: Assessment) -> None:
    """Write the figures, one a line, to a .csv or .html file.

    Raises
    ------
    InvalidInput
        If it cannot be written.
    """
    rows = [
        (kind.name, kind.title, figure.value, kind.ideal, figure.why)
        for kinds in KINDS.values()
        for kind in kinds
        for figure in [found.figures[kind.name]]
    ]
    names = ("name", "figure", "value", "ideal", "why_none")
    write_table(path, "Assessment of despeckling", names, rows)

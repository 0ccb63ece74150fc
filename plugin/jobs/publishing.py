"""Files for the user, put in place when all is done; and what speaks against them before."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.errors import InvalidInput, RasterError
from ..raster.creation import make_workspace
from ..reports.page import Page
from ..toolbelt.files import publish
from .scenes import Progress


def check_model_output(path: str) -> None:
    """Refuse a weights file that could not be written.

    Raises
    ------
    InvalidInput, RasterError
    """
    output = Path(path)
    if output.suffix != ".safetensors":
        raise InvalidInput(f"The model must be a .safetensors file, not {output.name}.")
    if not output.parent.is_dir():
        raise InvalidInput(f"The folder {output.parent} does not exist; create it first.")
    if output.is_dir():
        raise InvalidInput(f"The output {output} is a folder; give the name of a file in it.")
    os.rmdir(make_workspace(output))


def check_report(path: str) -> None:
    """Refuse a report that could not be written.

    Raises
    ------
    InvalidInput, RasterError
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InvalidInput(f"There is no folder {target.parent}; make it, or choose another one.")
    if target.is_dir():
        raise InvalidInput(f"The report {target} is a folder; give the name of a file in it.")
    os.rmdir(make_workspace(target))


def between(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a part of the work."""
    return lambda part, text: progress(start + (end - start) * part, text)


def lies_in(path: Path, folder: Path) -> bool:
    """Tell whether a file is in a folder, by whatever name."""
    return os.path.realpath(path.parent) == os.path.realpath(folder)


def make_folder(folder: Path) -> None:
    """Make the folder of models where it lacks.

    Raises
    ------
    InvalidInput, RasterError
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"The folder of models {folder} cannot be made ({error.strerror}); choose another one "
            "in the options, or do not add the model to the list."
        ) from error
    os.rmdir(make_workspace(folder / "model"))


def write_page(page: Page, target: str) -> None:
    """Write a report, whole or not at all.

    Raises
    ------
    RasterError
    """
    try:
        page.write(target)
    except OSError as error:
        raise RasterError(f"The report {target} cannot be written ({error.strerror}).") from error


def publish_file(source: Path, target: Path) -> None:
    """Copy a file to where the user wants it, whole or not at all.

    Raises
    ------
    RasterError
    """
    try:
        publish(source, target)
    except OSError as error:
        raise RasterError(
            f"{target} cannot be written ({error.strerror}). Choose another folder, or free it."
        ) from error

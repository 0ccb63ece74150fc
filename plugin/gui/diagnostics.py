"""A report on this installation, for questions and bug reports."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from datetime import datetime

import numpy as np
from osgeo import gdal
from qgis.core import Qgis
from qgis.PyQt.QtCore import QT_VERSION_STR, QSysInfo

from ..core.errors import EngineError
from ..core.models.registry import list_cards
from ..engine.client import Hello
from ..engine.interpreter import VARIABLE, find_python
from ..toolbelt import log
from ..toolbelt.privacy import without_home, without_paths
from ..toolbelt.settings import Settings
from ..version import VERSION


def report(
    hello: Hello | None,
    problem: str,
    errors: Iterable[tuple[datetime, str]] | None = None,
) -> str:
    """Put together what helps to find a fault; no paths but that of the engine's Python.

    Parameters
    ----------
    hello : Hello or None
        What the engine last said; None where it did not start.
    problem : str
        Why it did not, or cannot compute.
    errors : iterable of (datetime, str), optional
        Those of this session's log by default.

    Returns
    -------
    str
        Lines "key: value", in English, for those who help.
    """
    settings = Settings.load()
    lines = [
        f"Speckless {VERSION}",
        f"QGIS {Qgis.QGIS_VERSION}, Qt {QT_VERSION_STR}",
        f"GDAL {gdal.__version__}, numpy {np.__version__}",
        f"Python {platform.python_version()} of QGIS, {sys.platform} {platform.machine()}",
        f"System: {QSysInfo.prettyProductName()}",
        "",
        f"Engine's Python: {_python(settings)}",
        f"Settings: device {settings.device}, threads {settings.threads or 'automatic'}, "
        f"memory {f'{settings.memory_limit} MiB' if settings.memory_limit else 'unbounded'}, "
        f"models in {'a folder of their own' if settings.model_folder else 'the profile'}",
        *_engine(hello, problem),
        "Models: " + ", ".join(card.id for card in list_cards(settings.model_folders())),
        "",
        "Last warnings and errors:",
    ]
    last = list(log.recent if errors is None else errors)
    lines += [
        f"  {when:%H:%M:%S} {without_paths(without_home(text)).strip()}" for when, text in last
    ] or ["  none"]
    return "\n".join(lines)


def _python(settings: Settings) -> str:
    try:
        found = find_python(settings.engine_python or None)
    except EngineError as error:
        return without_home(str(error))
    origin = "QGIS's own"
    if os.environ.get(VARIABLE, "").strip():
        origin = f"from the variable {VARIABLE}"
    elif settings.engine_python:
        origin = "from the options"
    return f"{without_home(found)} ({origin})"


def _engine(hello: Hello | None, problem: str) -> list[str]:
    if hello is None:
        why = without_paths(without_home(problem)) or "not asked yet"
        return [f"Engine: not running ({why})"]
    versions = ", ".join(
        f"{name} {getattr(hello, name) or 'missing'}" for name in ("torch", "numpy", "safetensors")
    )
    lines = [f"Engine: Python {hello.python_version}, {versions}"]
    if hello.problem:
        return [*lines, f"Engine cannot compute: {without_paths(without_home(hello.problem))}"]
    bound = f", at most {hello.memory_limit} MiB" if hello.memory_limit else ""
    lines.append(f"Engine computes on {hello.default_device}, {hello.threads} threads{bound}")
    for device in hello.devices:
        state = "usable" if device.usable else f"not usable: {device.reason}"
        lines.append(f"  {device.name}: {device.title or device.name}, {state}")
    return lines

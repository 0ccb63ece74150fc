"""Packages that only some filters need."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ..errors import MissingPackage


def scipy_module(name: str, purpose: str) -> Any:
    """Import a module of scipy.

    Parameters
    ----------
    name : str
        Below scipy.
    purpose : str
        What needs it, for the message.

    Raises
    ------
    MissingPackage
        Saying what to install, and where.
    """
    try:
        return importlib.import_module(f"scipy.{name}")
    except ImportError as error:
        raise MissingPackage(
            f"The Python package scipy, which {purpose} needs, cannot be imported here "
            f"({error}). Install it into the Python of QGIS ({sys.prefix}): "
            "python -m pip install scipy; in the OSGeo4W installer it is python3-scipy."
        ) from error

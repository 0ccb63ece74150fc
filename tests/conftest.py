"""Registers the checkout as package ``speckless``, whatever its folder is called."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if "speckless" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "speckless", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["speckless"] = package
    spec.loader.exec_module(package)

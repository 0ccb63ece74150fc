"""The arrows between the rooms point one way.

Core <- raster, engine, reports <- jobs <- processing_provider, tasks <- gui. Every import counts,
absolute or relative, at the top of a file or inside a function.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "speckless"

# What each room may import besides itself. "plugin" stands for the two leaves that hold no more
# than names and numbers: plugin/__init__.py and plugin/version.py.
BELOW_JOBS = {"core", "raster", "engine", "reports", "toolbelt"}
ABOVE_JOBS = BELOW_JOBS | {"jobs"}
ARROWS: dict[str, set[str]] = {
    "plugin": set(),
    "toolbelt": set(),
    "core": set(),
    "raster": {"core", "toolbelt"},
    "engine": {"core", "toolbelt"},
    "reports": {"toolbelt"},
    "jobs": BELOW_JOBS,
    "processing_provider": ABOVE_JOBS,
    "tasks": ABOVE_JOBS,
    "gui": ABOVE_JOBS | {"processing_provider", "tasks"},
    "main": ABOVE_JOBS | {"processing_provider", "tasks", "gui"},
    "root": {"main"},
}
OUTSIDE = {"tests", "benchmarks"}  # free to import every room, and imported by none

QT = {"PyQt5", "PyQt6", "PySide2", "PySide6"}
FORBIDDEN: dict[str, set[str]] = {
    "core": {"qgis", "osgeo"},
    "engine": {"qgis", "osgeo"},
    "raster": {"qgis"},
    "reports": {"qgis", "osgeo"},
    "jobs": {"qgis"},
}

# Modules that may load torch when they are imported; all others must start without it.
_CORE_WITH_TORCH = """
    class_training despeckling ensemble finetuning knob_level_fit losses pairs patch_tuning patches
    training training_run training_samples tuning_images tuning_patches
"""
WITH_TORCH = (
    "plugin/core/models/*.py",
    *(f"plugin/core/{name}.py" for name in _CORE_WITH_TORCH.split()),
    *(
        f"plugin/engine/{name}.py"
        for name in ("computing", "devices", "freezing", "server", "training", "tuning", "worker")
    ),
)
WITHOUT_TORCH = {f"plugin/core/models/{name}.py" for name in ("__init__", "card", "registry")}


class Import(NamedTuple):
    line: int
    target: str  # dotted name, absolute
    at_start: bool  # runs when the module is imported


def module_name(path: str) -> str:
    parts = [PACKAGE, *PurePosixPath(path).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(path: str) -> str | None:
    parts = PurePosixPath(path).parts
    if path == "__init__.py":
        return "root"
    if parts[0] in OUTSIDE or parts[0] == "processing_provider":
        return parts[0]
    if path in ("plugin/__init__.py", "plugin/version.py"):
        return "plugin"
    if path == "plugin/main.py":
        return "main"
    return parts[1] if parts[0] == "plugin" and len(parts) > 2 and parts[1] in ARROWS else None


def imports_of(path: str, source: str, modules: Mapping[str, str]) -> Iterator[Import]:
    """Yield what a file imports; names beyond the package's top come as "<beyond>"."""
    package = module_name(path).split(".")
    if PurePosixPath(path).name != "__init__.py":
        package = package[:-1]

    def visit(node: ast.AST, at_start: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, at_start)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package[: len(package) - node.level + 1]
                if node.level > len(package):
                    above = ["<beyond>"]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(node.lineno, full if full in modules else base, at_start)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from visit(statement, False)
            for statement in node.orelse:
                yield from visit(statement, at_start)
        else:
            lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for child in ast.iter_child_nodes(node):
                yield from visit(child, at_start and not lazy)

    yield from visit(ast.parse(source), True)


def may_load_torch(path: str) -> bool:
    matches = any(PurePosixPath(path).match(pattern) for pattern in WITH_TORCH)
    return path.split("/")[0] in OUTSIDE or (matches and path not in WITHOUT_TORCH)


def way_to_torch(module: str, start: Mapping[str, set[str]], seen: frozenset[str]) -> list[str]:
    """Return the chain of imports by which importing `module` loads torch; empty if it does not."""
    if module.split(".")[0] == "torch":
        return [module]
    # Importing a.b.c runs a, a.b and a.b.c.
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        if name in seen:
            continue
        for target in sorted(start.get(name, ())):
            rest = way_to_torch(target, start, seen | {name})
            if rest:
                return [name, *rest]
    return []


def against_arrow(room: str, target: str, modules: Mapping[str, str]) -> str | None:
    """Say what is wrong with a room importing a dotted name, or None."""
    top = target.split(".")[0]
    if top in QT:
        return "import Qt through qgis.PyQt"
    if room in OUTSIDE:
        return None
    if top == "<beyond>":
        return "reaches beyond the package"
    if top in FORBIDDEN.get(room, set()):
        return f"{room} must not know {top}"
    if top in OUTSIDE:
        return f"{top} is not part of the plugin"
    if top != PACKAGE:
        return None
    if target not in modules:
        return f"no such module {target}"
    other = room_of(modules[target])
    if other in (room, "plugin") or other in ARROWS[room]:
        return None
    return f"{room} must not import {other}"


def violations(sources: Mapping[str, str]) -> list[str]:
    """Return every import against the arrows, as "path:line: what".

    Parameters
    ----------
    sources : mapping of str to str
        Python source by path relative to the repository root, with forward slashes.
    """
    modules = {module_name(path): path for path in sources}
    found = []
    start: dict[str, set[str]] = {}
    for path, source in sources.items():
        room = room_of(path)
        if room is None:
            found.append(f"{path}:1: belongs to no room")
            continue
        for line, target, at_start in imports_of(path, source, modules):
            if at_start:
                start.setdefault(module_name(path), set()).add(target)
            if at_start and room == "root" and target != "__future__":
                found.append(f"{path}:{line}: imports {target} before QGIS asks for the plugin")
                continue
            wrong = against_arrow(room, target, modules)
            if wrong:
                found.append(f"{path}:{line}: {wrong}")
    for path in sources:
        if not may_load_torch(path):
            way = way_to_torch(module_name(path), start, frozenset())
            if way:
                found.append(f"{path}:1: loads torch when imported ({' -> '.join(way)})")
    return sorted(set(found))


def read_sources() -> dict[str, str]:
    sources = {}
    for folder, below, names in os.walk(ROOT):
        # Hidden folders hold environments, with thousands of files that are not ours.
        below[:] = [name for name in below if not name.startswith(".") and name != "dist"]
        for name in names:
            if name.endswith(".py"):
                path = Path(folder, name)
                sources[path.relative_to(ROOT).as_posix()] = path.read_text("utf-8")
    return sources


def test_imports_follow_the_arrows() -> None:
    sources = read_sources()
    assert {"__init__.py", "plugin/core/tiling.py", "plugin/jobs/__init__.py"} <= set(sources)
    assert "\n".join(violations(sources)) == ""


GOOD = {
    "__init__.py": "from __future__ import annotations\n"
    "def classFactory(iface):\n    from .plugin.main import Plugin\n",
    "plugin/__init__.py": "",
    "plugin/version.py": "",
    "plugin/main.py": "from qgis.PyQt.QtCore import QObject\nfrom .gui import dock\n",
    "plugin/core/__init__.py": "",
    "plugin/core/tiling.py": "import math\n",
    "plugin/core/quality.py": "import numpy\nfrom . import tiling\n",
    "plugin/core/training.py": "import torch\nfrom .quality import psnr\n",
    "plugin/core/models/__init__.py": "",
    "plugin/core/models/base.py": "from torch import nn\n",
    "plugin/core/models/card.py": "import typing\n"
    "if typing.TYPE_CHECKING:\n    from .base import Despeckler\n",
    "plugin/raster/__init__.py": "",
    "plugin/raster/source.py": "from osgeo import gdal\nfrom speckless.plugin.core import tiling\n",
    "plugin/engine/__init__.py": "",
    "plugin/engine/client.py": "from ..core.models.card import ModelCard\n",
    "plugin/reports/__init__.py": "",
    "plugin/reports/page.py": "from ..toolbelt import log\n",
    "plugin/toolbelt/__init__.py": "",
    "plugin/toolbelt/log.py": "",
    "plugin/jobs/__init__.py": "",
    "plugin/jobs/train.py": "from ..raster import source\nfrom ..version import VERSION\n"
    "def run():\n    from ..core.training import Trainer\n",
    "plugin/gui/__init__.py": "",
    "plugin/tasks/__init__.py": "",
    "plugin/tasks/task.py": "from qgis.core import QgsTask\nfrom ..jobs.train import run\n",
    "plugin/gui/dock.py": "from ..jobs.train import run\nfrom ..tasks import task\n",
    "tests/test_it.py": "import torch, qgis\nfrom speckless.plugin.gui import dock\n",
}


def test_good_example_passes() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("plugin/core/tiling.py", "from ..raster import source", "core must not import raster"),
        ("plugin/core/tiling.py", "from .. import raster", "core must not import raster"),
        ("plugin/core/tiling.py", "import speckless.plugin.jobs.train", "must not import jobs"),
        ("plugin/core/tiling.py", "def f():\n  from ..engine.client import x", "import engine"),
        ("plugin/core/tiling.py", "class A:\n  def f(self):\n    import qgis.core", "know qgis"),
        ("plugin/core/tiling.py", "try:\n  from osgeo import gdal\nexcept E: raise", "know osgeo"),
        ("plugin/core/tiling.py", "from ....elsewhere import x", "beyond the package"),
        ("plugin/core/tiling.py", "from .nothing import x", "no such module"),
        ("plugin/core/tiling.py", "from tests.test_it import x", "not part of the plugin"),
        ("plugin/core/tiling.py", "if a:\n  import torch.nn", "loads torch when imported"),
        ("plugin/core/tiling.py", "from .training import Trainer", "tiling -> speckless.plugin.co"),
        ("plugin/core/models/card.py", "from .base import Despeckler", "loads torch"),
        ("plugin/core/models/__init__.py", "import torch", "card.py:1: loads torch"),
        ("plugin/engine/client.py", "from ..raster import source", "engine must not import raster"),
        ("plugin/engine/client.py", "from osgeo import gdal", "engine must not know osgeo"),
        ("plugin/raster/source.py", "from ..engine import client", "raster must not import engine"),
        ("plugin/raster/source.py", "from qgis.core import Qgis", "raster must not know qgis"),
        ("plugin/jobs/train.py", "from ..gui import dock", "jobs must not import gui"),
        ("plugin/jobs/train.py", "from ..tasks import task", "jobs must not import tasks"),
        ("plugin/tasks/task.py", "from ..gui import dock", "tasks must not import gui"),
        ("plugin/gui/dock.py", "import torch", "loads torch"),
        ("plugin/jobs/train.py", "from qgis.PyQt import QtCore", "jobs must not know qgis"),
        ("plugin/jobs/train.py", "from ..core.training import Trainer", "loads torch"),
        ("plugin/toolbelt/log.py", "from ..core import tiling", "toolbelt must not import core"),
        ("plugin/reports/page.py", "from ..jobs import train", "reports must not import jobs"),
        ("plugin/reports/page.py", "from osgeo import gdal", "reports must not know osgeo"),
        ("plugin/version.py", "from .core import tiling", "plugin must not import core"),
        ("plugin/gui/dock.py", "def f():\n  from PyQt5.QtCore import Qt", "through qgis.PyQt"),
        ("tests/test_it.py", "import PyQt6", "through qgis.PyQt"),
        ("__init__.py", "import os", "before QGIS asks"),
        ("__init__.py", "from .plugin.main import Plugin", "before QGIS asks"),
        ("plugin/attic/old.py", "", "belongs to no room"),
        ("stray.py", "", "belongs to no room"),
    ],
)
def test_bad_examples_fail(path: str, source: str, complaint: str) -> None:
    found = violations({**GOOD, path: source})
    assert any(complaint in line for line in found), found

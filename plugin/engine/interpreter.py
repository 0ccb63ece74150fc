"""Which Python runs the engine, in which environment, and how to give it what it lacks."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from ..core.errors import EngineError
from .protocol import Hello

VARIABLE = "SPECKLESS_PYTHON"

_PYTHON_NAME = re.compile(r"python[\d.]*(\.exe)?", re.IGNORECASE)

# Left by QGIS for itself. Another Python that finds them loads QGIS's libraries, or its own
# standard library from the wrong place.
_QGIS_ONLY = ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PYTHONSTARTUP", "VIRTUAL_ENV")
_QGIS_ONLY_PREFIXES = ("PROJ_", "GDAL_", "QGIS_", "QT_", "LD_LIBRARY_PATH", "DYLD_")

# Networks allocate and free the same large blocks over and over. By default glibc fetches each
# from the kernel, page by page, and gives it back: three times slower. Keep them, in huge pages.
_GLIBC_TUNABLES = {
    "glibc.malloc.mmap_threshold": "4294967296",
    "glibc.malloc.trim_threshold": "8589934592",
    "glibc.malloc.hugetlb": "1",
}
_GLIBC_ALIASES = {
    "MALLOC_MMAP_THRESHOLD_": "glibc.malloc.mmap_threshold",
    "MALLOC_TRIM_THRESHOLD_": "glibc.malloc.trim_threshold",
}


def find_python(setting: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Choose the interpreter of the engine.

    Parameters
    ----------
    setting : str, optional
        Path or command the user chose. The variable ``SPECKLESS_PYTHON`` goes before it.
    environ : mapping, optional
        Environment to look into; the process's own by default.

    Returns
    -------
    str
        Path of an executable.

    Raises
    ------
    EngineError
        When the chosen one does not exist, or none is found.
    """
    environ = os.environ if environ is None else environ
    variable = environ.get(VARIABLE, "").strip()
    if variable:
        return _existing(variable, f"the variable {VARIABLE}")
    if setting and setting.strip():
        return _existing(setting.strip(), "the setting of the engine's Python")
    return own_python()


def own_python() -> str:
    """Return the interpreter belonging to this process, which may be QGIS itself.

    Raises
    ------
    EngineError
        When there is none.
    """
    for candidate in _own_candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    found = shutil.which("python3") or shutil.which("python")
    if found:
        return found
    raise EngineError(
        f"No Python was found to run the engine in. Set the variable {VARIABLE} to the path of "
        "a Python that has torch and safetensors."
    )


def _own_candidates() -> list[Path]:
    """Places where this process's Python may be, the likeliest first.

    Inside QGIS ``sys.executable`` is QGIS itself (Windows, macOS: starting it would open a
    window), or whatever ``python3`` comes first in the path (Linux), often not the Python QGIS
    was linked with. The prefix is that Python's, so it has the last word.
    """
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    names = ("python.exe",) if os.name == "nt" else (version, "python3", "python")
    folders = [
        Path(prefix, folder)
        for prefix in (sys.exec_prefix, sys.prefix, sys.base_exec_prefix)
        for folder in ("bin", ".", "Scripts")
    ]
    guesses = [folder / name for folder in folders for name in names]
    if not sys.executable:
        return guesses
    executable = Path(sys.executable)
    if _PYTHON_NAME.fullmatch(executable.name):
        inside = executable.parent in folders
        return [executable, *guesses] if inside else [*guesses, executable]
    bundle = executable.parent
    return [*guesses, *(bundle / folder / name for folder in (".", "bin") for name in names)]


def _existing(value: str, origin: str) -> str:
    path = shutil.which(os.path.expanduser(value))
    if path is None:
        raise EngineError(
            f"There is no program '{value}', which {origin} names as the engine's Python. "
            "Correct it, or clear it to use QGIS's own Python."
        )
    if Path(path).stem.lower().startswith("qgis"):
        raise EngineError(
            f"'{value}', which {origin} names as the engine's Python, is QGIS itself. "
            "Name a Python interpreter."
        )
    return os.path.abspath(path)


def is_foreign(python: str) -> bool:
    """Tell whether a Python is another than this process's own.

    A virtual environment's interpreter is a link to the one it was made from, so the same file
    is not yet the same Python.
    """
    try:
        own = own_python()
        same = os.path.samefile(python, own)
    except (OSError, EngineError):
        return True
    return not same or _environment_folder(python) != _environment_folder(own)


def _environment_folder(python: str) -> Path | None:
    folder = Path(os.path.abspath(python)).parent
    for parent in (folder, folder.parent):
        if (parent / "pyvenv.cfg").is_file():
            return parent.resolve()
    return None


def child_environment(python: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment to start the engine in.

    Parameters
    ----------
    python : str
        Interpreter the engine will run in.
    environ : mapping, optional
        Environment to start from; the process's own by default.
    """
    child = dict(os.environ if environ is None else environ)
    if is_foreign(python):
        for name in list(child):
            if name in _QGIS_ONLY or name.startswith(_QGIS_ONLY_PREFIXES):
                del child[name]
    else:
        _let_find_packages(child)
    child["PYTHONIOENCODING"] = "utf-8:backslashreplace"
    _tune_allocator(child)
    return child


def _let_find_packages(child: dict[str, str]) -> None:
    """Pass on folders QGIS added to its own search path, if torch lies there."""
    folders = [folder for folder in child.get("PYTHONPATH", "").split(os.pathsep) if folder]
    for package in ("torch", "safetensors"):
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):  # a stand-in without a spec, or one that forbids it
            continue
        if spec is not None and spec.origin:
            folder = str(Path(spec.origin).parents[1])
            if folder not in folders:
                folders.append(folder)
    if folders:
        child["PYTHONPATH"] = os.pathsep.join(folders)


def _tune_allocator(child: dict[str, str]) -> None:
    if not sys.platform.startswith("linux"):
        return
    given = child.get("GLIBC_TUNABLES", "")
    taken = {item.partition("=")[0] for item in given.split(":")}
    taken |= {tunable for alias, tunable in _GLIBC_ALIASES.items() if alias in child}
    added = [f"{name}={value}" for name, value in _GLIBC_TUNABLES.items() if name not in taken]
    child["GLIBC_TUNABLES"] = ":".join([given, *added] if given else added)


def cure(hello: Hello) -> str:
    """Say what the engine's Python lacks, and the commands that give it to it.

    Parameters
    ----------
    hello : Hello
        Of a worker with a ``problem``.
    """
    python = f'"{hello.python}"' if " " in hello.python else hello.python
    packages = "torch safetensors" if hello.numpy else "torch safetensors numpy"
    if hello.managed:
        environment = "~/speckless-engine"
        pip = (
            f"  {python} -m venv {environment} && "
            f"{environment}/bin/python -m pip install torch safetensors numpy\n"
            f"  (then name {environment}/bin/python as the engine's Python: see below)"
        )
    else:
        pip = f"  {python} -m pip install {packages}"
    lines = [
        f"The engine cannot compute: {hello.problem}",
        f"It runs in {hello.python} (Python {hello.python_version}). One of these cures it:",
        f"pip:\n{pip}",
        "conda:\n  conda create -n speckless python pytorch safetensors numpy",
    ]
    if os.name == "nt":
        lines.append(
            "QGIS on Windows, in the OSGeo4W Shell:\n  python -m pip install torch safetensors"
        )
    lines.append(
        f"To use another Python, set the variable {VARIABLE}, or the engine's Python in the "
        "options of Speckless, to its path."
    )
    return "\n".join(lines)

"""Whatever a user's variables say, other processes run this Python and this checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_python():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPECKLESS_PYTHON", raising=False)
        yield


@pytest.fixture(scope="session")
def own_package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which ``speckless`` is this checkout, whatever its folder is called."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "speckless").symlink_to(Path(__file__).resolve().parents[2])
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

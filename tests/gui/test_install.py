"""The plugin's zip in a fresh profile, by QGIS's own "Install from ZIP"."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scenarios import ROOT

from speckless.benchmarks.window import run_qgis


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scenario saw in the window."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is nothing to package from")
    folder = tmp_path_factory.mktemp("install")
    package = folder / "speckless.zip"
    subprocess.run([str(ROOT / "run"), "package", str(package)], check=True, capture_output=True)
    variables = {"SPECKLESS_TEST_OUTPUT": str(folder), "SPECKLESS_TEST_ZIP": str(package)}
    errors = run_qgis(Path(__file__).with_name("install_scenario.py"), variables, None)
    assert (folder / "installed.json").is_file(), errors
    found = json.loads((folder / "installed.json").read_text())
    assert "error" not in found, found["error"]
    return found


@pytest.mark.parametrize("time", ["first", "again"])
def test_installed_plugin_runs(seen: dict[str, Any], time: str) -> None:
    assert not seen["before"]
    assert seen[time]["running"]
    assert "speckless:despeckle" in seen[time]["algorithms"]
    assert seen[time]["parameters"] > 10
    assert f"version={seen[time]['version']}" in (ROOT / "metadata.txt").read_text("utf-8")


def test_it_is_the_zip_that_runs(seen: dict[str, Any]) -> None:
    assert ROOT not in [Path(seen["first"]["folder"]), *Path(seen["first"]["folder"]).parents]


def test_unloading_takes_the_provider_away(seen: dict[str, Any]) -> None:
    assert not seen["after"]


def test_qgis_logs_nothing_against_the_plugin(seen: dict[str, Any]) -> None:
    ours = [m for m in seen["messages"] if m[0] == "Speckless" or "plugins/speckless" in m[1]]
    assert ours == []

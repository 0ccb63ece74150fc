"""QGIS's window closed in mid-run and in mid-tuning: no crash, no process, no half a file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from networks import save_network
from scenarios import SAMPLE, SLOW, SMALL

from speckless.benchmarks.window import run_qgis


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("part", ["run", "tuning"])
def test_closing_in_the_middle_is_clean(part: str, tmp_path: Path) -> None:
    models, output = tmp_path / "models", tmp_path / "output"
    models.mkdir()
    output.mkdir()
    save_network(models / "tiny-affine.safetensors", SMALL)
    save_network(models / "tiny-slow.safetensors", SLOW)
    variables = {
        "SPECKLESS_TEST_TOOLS": str(Path(__file__).parent),
        "SPECKLESS_TEST_OUTPUT": str(output),
        "SPECKLESS_TEST_SAMPLE": str(SAMPLE),
        "SPECKLESS_TEST_MODELS": str(models),
        "SPECKLESS_TEST_PART": part,
        "OMP_NUM_THREADS": "1",
        # Temporary files, which must go, apart from the state that a tuning goes on from.
        "TMPDIR": str(output),
    }
    errors = run_qgis(Path(__file__).with_name("closing_scenario.py"), variables, seconds=900)
    assert "died on signal" not in errors
    report = output / f"closing_{part}.json"
    assert report.is_file(), errors
    seen = json.loads(report.read_text())
    assert "error" not in seen, seen["error"]
    assert seen["is running"]
    assert seen["exceptions"] == []
    end = time.monotonic() + 30
    while is_alive(seen["engine"]) and time.monotonic() < end:
        time.sleep(0.1)
    assert not is_alive(seen["engine"])
    left = {path.name for path in output.rglob("*") if path.is_file()}
    assert {name for name in left if name.endswith((".tif", ".safetensors", ".part"))} == set()
    names = sorted(path.name for path in models.iterdir())
    assert names == ["tiny-affine.safetensors", "tiny-slow.safetensors"]

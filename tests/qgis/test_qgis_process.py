"""The plugin in qgis_process: its own program, its own profile, exit codes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from despeckle_scenes import mean_3x3, read

ROOT = Path(__file__).resolve().parents[2]
DOOR = [str(ROOT / "run"), "process"]


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DOOR, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_text(scene: str, boxcar: str, intensity: np.ndarray, tmp_path: Path) -> None:
    output = str(tmp_path / "out.tif")
    done = process(
        "run", "speckless:despeckle", f"--INPUT={scene}", f"--MODEL_FILE={boxcar}", "--LOOKS=4",
        f"--OUTPUT={output}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Domain: intensity" in done.stdout
    assert "LOOKS_USED:\t4" in done.stdout
    np.testing.assert_allclose(read(output), mean_3x3(intensity), rtol=1e-5)


def test_json(scene: str, boxcar: str, intensity: np.ndarray, tmp_path: Path) -> None:
    output = str(tmp_path / "out.tif")
    done = process(
        "--json", "run", "speckless:despeckle", f"--INPUT={scene}", f"--MODEL_FILE={boxcar}",
        "--LOOKS=4", "--BANDS=1", f"--OUTPUT={output}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results["OUTPUT"] == output
    assert results["LOOKS_USED"] == 4
    assert results["DOMAIN_USED"] == "intensity"
    np.testing.assert_allclose(read(output), mean_3x3(intensity), rtol=1e-5)


@pytest.mark.parametrize(
    ("argument", "message"),
    [("--LOOKS=0", "LOOKS must be a positive number"), ("--EXTENT=0,1,0,1", "outside the raster")],
)
def test_refusals_exit_with_an_error(
    scene: str, boxcar: str, tmp_path: Path, argument: str, message: str
) -> None:
    done = process(
        "--json", "run", "speckless:despeckle", f"--INPUT={scene}", f"--MODEL_FILE={boxcar}",
        argument, f"--OUTPUT={tmp_path / 'out.tif'}",
    )  # fmt: skip
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "out.tif").exists()


def test_python_without_torch_is_told_what_to_do(scene: str, boxcar: str, tmp_path: Path) -> None:
    bare = tmp_path / "bin" / "python3"
    bare.parent.mkdir()
    # Isolated and without site-packages: nothing but the standard library.
    bare.write_text('#!/bin/sh\nexec /usr/bin/python3 -I -S "$@"\n')
    bare.chmod(bare.stat().st_mode | stat.S_IXUSR)
    done = process(
        "run", "speckless:despeckle", f"--INPUT={scene}", f"--MODEL_FILE={boxcar}", "--LOOKS=4",
        f"--OUTPUT={tmp_path / 'out.tif'}", SPECKLESS_PYTHON=str(bare),
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install torch" in done.stderr
    assert "SPECKLESS_PYTHON" in done.stderr
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("style", ["text", "json"])
def test_interrupt_stops_soon_and_leaves_nothing(
    style: str, write_raster: Callable[..., str], boxcar: str, tmp_path: Path
) -> None:
    source = write_raster(np.ones((2000, 2000)))
    folder = tmp_path / "out"
    folder.mkdir()
    running = subprocess.Popen(
        [
            *DOOR, *(["--json"] if style == "json" else []), "run", "speckless:despeckle",
            f"--INPUT={source}", f"--MODEL_FILE={boxcar}", "--LOOKS=1", "--TILE_SIZE=16",
            f"--OUTPUT={folder / 'out.tif'}",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        # The writer's hidden workspace appears when the first tile is on its way.
        while not list(folder.rglob("*.tif")) and time.monotonic() < deadline:
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        time.sleep(0.3)
        started = time.monotonic()
        os.kill(running.pid, signal.SIGINT)
        running.communicate(timeout=30)
        took = time.monotonic() - started
    finally:
        running.kill()
    assert running.returncode not in (0, -signal.SIGKILL)
    assert took < 4  # 2 s are the aim; the machine may be busy
    assert list(folder.iterdir()) == []

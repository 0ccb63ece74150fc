"""A picture of the plugin at work: the sample despeckled in a real QGIS window, under Xvfb."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .demo import ROOT, SAMPLE

_SECONDS = 300


def main(arguments: list[str]) -> int:
    """Write window.png, dialog.png, log.png and dock.png into a folder."""
    parser = argparse.ArgumentParser(prog="./run bench window", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / ".run" / "window")
    folder = parser.parse_args(arguments).folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("error.txt", "window.png", "dock.png"):
        (folder / name).unlink(missing_ok=True)
    sample = shutil.copy(SAMPLE, folder / SAMPLE.name)
    seen = {"SPECKLESS_WINDOW_FOLDER": str(folder), "SPECKLESS_WINDOW_SAMPLE": str(sample)}
    error = run_qgis(Path(__file__).with_name("window_scenario.py"), seen)
    if (folder / "error.txt").is_file():
        error = (folder / "error.txt").read_text()
    if not (folder / "dock.png").is_file():
        sys.stderr.write(f"No picture was made. {error}\n")
        return 1
    sys.stdout.write(f"{folder / 'window.png'}\n")
    return 0


def run_qgis(
    script: Path,
    variables: Mapping[str, str],
    plugin: Path | None = ROOT,
    seconds: float = _SECONDS,
) -> str:
    """Run a script in QGIS's window, in a fresh profile with a plugin; return its errors.

    It is ended after so many seconds.

    Raises
    ------
    SystemExit
        When QGIS or, without a display, Xvfb is not installed.
    """
    qgis = shutil.which("qgis.bin") or shutil.which("qgis")
    screen = [] if "DISPLAY" in os.environ else ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24"]
    if not qgis or (screen and not shutil.which(screen[0])):
        raise SystemExit(
            "QGIS or Xvfb is not installed; ./run demo installs QGIS, ./run test both."
        )
    environment = {"SPECKLESS_PYTHON": sys.executable, **os.environ, **variables}
    for name in ("QT_QPA_PLATFORM", "QGIS_CUSTOM_CONFIG_PATH", "PYTHONPATH"):
        environment.pop(name, None)
    with tempfile.TemporaryDirectory() as home:
        profile = Path(home, "profiles", "window")
        (profile / "python" / "plugins").mkdir(parents=True)
        enabled = ""
        if plugin is not None:
            (profile / "python" / "plugins" / "speckless").symlink_to(plugin)
            enabled = "[PythonPlugins]\nspeckless=true\n\n"
        (profile / "QGIS").mkdir()
        (profile / "QGIS" / "QGIS3.ini").write_text(
            f"{enabled}[qgis]\ncheckVersion=false\nshowTips=false\nfirstRunVersionFlag=99999\n"
        )
        done = subprocess.run(
            [
                *screen, qgis, "--nologo", "--noversioncheck",
                "--profiles-path", home, "--profile", "window", "--code", str(script),
            ],
            env=environment, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
    return done.stderr[-2000:]

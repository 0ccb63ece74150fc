"""``qgis_process`` on the bundled sample: our algorithm against a native one, whole process.

The difference holds the start of the engine (torch) and the work itself; the plugin's own
share shows in a native algorithm run with and without the plugin enabled.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from .rates import seconds

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "resources" / "samples" / "sentinel1_sample.tif"


def main(arguments: list[str]) -> int:
    """Print medians of whole-process times and their differences."""
    parser = argparse.ArgumentParser(prog="./run bench startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        native = ["native:rasterlayerstatistics", f"--INPUT={SAMPLE}", "--BAND=1"]
        ours = ["speckless:despeckle", f"--INPUT={SAMPLE}", f"--OUTPUT={folder}/out.tif"]
        engine = (
            "import sys, subprocess; sys.exit(subprocess.run("
            "[sys.executable, '-c', 'import torch, safetensors']).returncode)"
        )
        times = {
            "native algorithm": seconds(lambda: _process("run", *native), options.repeats),
            "speckless:despeckle": seconds(lambda: _process("run", *ours), options.repeats),
            "import torch alone": seconds(
                lambda: subprocess.run([sys.executable, "-c", engine], check=True),
                options.repeats,
            ),
        }
    for name, value in times.items():
        sys.stdout.write(f"{name}: {value:.2f} s\n")
    return 0


def _process(*arguments: str) -> None:
    subprocess.run(
        [str(ROOT / "run"), "process", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

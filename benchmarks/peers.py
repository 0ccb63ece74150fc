"""The classical filters against OTB's Despeckle and SAGA's Multi Direction Lee, side by side.

A raster of single-look speckle is made; then each filter runs in turn as a whole process, ours
(``./run filter``) and the peer's, on the same cores, several times alternating; the least of
wall time, processor time and peak memory count. Where the filter is the same, the outputs are
compared in the interior, borders of the window's radius left out. With --data and --neural also
deepdespeckling's SAR2SAR beside ours, on real scenes of several dates. Peers that are not
installed are named and skipped.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..plugin.core.errors import InvalidInput
from ..plugin.core.filters.registry import find_filter
from ..plugin.core.models.registry import DEFAULT_MODEL
from .memory import make_raster
from .processes import Cost, default_cores, least, measure
from .results import table

ROOT = Path(__file__).resolve().parents[1]
OTB, SAGA = "otbcli_Despeckle", "saga_cmd"
# Filters that OTB and we both have, and what OTB calls the number of looks in each.
SHARED = {"lee": "nblooks", "gammamap": "nblooks", "kuan": "nblooks", "frost": ""}
_PIXELS_COMPARED = 2**22

# Run by the peer's own Python: amplitudes in, amplitudes out.
_SAR2SAR = """
import sys, time, numpy as np
from deepdespeckling.sar2sar.sar2sar_denoiser import Sar2SarDenoiser
denoiser = Sar2SarDenoiser()
image = np.load(sys.argv[1])
image = np.pad(image, [(0, max(256 - side, 0)) for side in image.shape], mode="reflect")
found = denoiser.denoise_image(image, 256, 254)
np.save(sys.argv[2], found["denoised"])
"""


def main(arguments: list[str]) -> int:
    """Measure what is installed; print tables."""
    parser = argparse.ArgumentParser(prog="./run bench peers", description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--filters", nargs="+", default=list(SHARED), choices=list(SHARED))
    parser.add_argument("--saga-side", type=int, default=1024, help="for SAGA, which is slow")
    parser.add_argument("--only", choices=["otb", "saga", "neural"], help="one of the peers")
    parser.add_argument("--radius", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", nargs="+", type=int, default=default_cores())
    parser.add_argument(
        "--co", action="append", default=[], metavar="NAME=VALUE",
        help="creation option of GDAL, for ours and OTB's alike (default: each its own)",
    )  # fmt: skip
    parser.add_argument("--folder", help="for the rasters (default: temporary)")
    parser.add_argument("--data", type=Path, help="folder of scene folders of .npy amplitudes")
    parser.add_argument("--neural", help="a Python that has the package deepdespeckling")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for peer, compare in (("otb", _with_otb), ("saga", _with_saga), ("neural", _with_neural)):
            if options.only in (None, peer):
                compare(options, folder)
    return 0


def _scene(options: argparse.Namespace, folder: Path, side: int) -> Path:
    make_raster(folder / "scene.tif", side, 0.0)
    _say(f"{side}x{side} float32, cores {options.cores}")
    return folder / "scene.tif"


def _with_otb(options: argparse.Namespace, folder: Path) -> None:
    if not shutil.which(OTB):
        _say(f"skipped: {OTB} is not installed (Debian and Ubuntu: otb-bin)")
        return
    rows, scene = [_HEADER], _scene(options, folder, options.side)
    for name in options.filters:
        for radius in options.radius:
            mine, theirs = folder / "ours.tif", folder / "otb.tif"
            both = _alternating(
                ours(name, scene, mine, radius, options.co),
                otb(name, scene, theirs, radius, options.co),
                options,
                (mine, theirs),
            )
            rows += _rows(
                f"{name} {radius}", "OTB", both, options.side, agreement(mine, theirs, radius)
            )
    _say(table(rows))


def _with_saga(options: argparse.Namespace, folder: Path) -> None:
    if not shutil.which(SAGA):
        _say(f"skipped: {SAGA} is not installed (Debian and Ubuntu: saga)")
        return
    scene = _scene(options, folder, options.saga_side)
    command = [
        SAGA, "--flags=s", f"--cores={len(options.cores)}", "grid_filter", "3",
        f"-INPUT={scene}", f"-RESULT={folder / 'saga.sgrd'}",
        f"-STDDEV={folder / 'deviation.sgrd'}", f"-DIR={folder / 'direction.sgrd'}",
    ]  # fmt: skip
    target = folder / "ours.tif"
    mine = ours("refinedlee", scene, target, None, options.co)
    both = _alternating(mine, command, options, (target, folder / "saga.sgrd"))
    # Both choose among directions; they are no more alike than that.
    _say(
        table(
            [_HEADER, *_rows("refined Lee / Multi Direction Lee", "SAGA", both, options.saga_side)]
        )
    )


def _with_neural(options: argparse.Namespace, folder: Path) -> None:
    if not (options.neural and options.data):
        _say("skipped: deepdespeckling needs --neural PYTHON and --data DIR")
        return
    if subprocess.run(
        [options.neural, "-c", "import deepdespeckling"], capture_output=True
    ).returncode:
        _say(
            f"skipped: {options.neural} cannot import deepdespeckling (pip install deepdespeckling)"
        )
        return
    # Torch only where it is asked for.
    from . import multidate
    from .scenes import load

    model = load(DEFAULT_MODEL)
    figures: dict[str, list[list[float]]] = {}
    for name, dates in multidate.read_dates(options.data):
        noisy, others = dates[0], multidate.reference(dates, 0)
        np.save(folder / "amplitude.npy", np.sqrt(noisy))
        command = [
            options.neural,
            "-c",
            _SAR2SAR,
            str(folder / "amplitude.npy"),
            str(folder / "found.npy"),
        ]
        # Its weights are pickles, which newer torch loads on demand only.
        cost = measure(command, options.cores, {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"})
        _say(f"{name}: SAR2SAR {cost.wall:.1f} s, the process with its imports")
        amplitude = np.load(folder / "found.npy")[: noisy.shape[0], : noisy.shape[1]]
        made = {
            "deepdespeckling SAR2SAR": np.square(amplitude, dtype=np.float64),
            f"speckless {DEFAULT_MODEL}": multidate.estimate(model, noisy, 1.0),
            "speckless lee, radius 3": multidate.filtered(find_filter("lee")(radius=3), noisy, 1.0),
            "speckless sarbm3d, looks 0.6": multidate.filtered(
                find_filter("sarbm3d")(), noisy, 0.6
            ),
        }
        for method, x in made.items():
            figures.setdefault(method, []).append(multidate.score(noisy, x, others))
    rows = [["first dates against the mean of the others", *multidate.COLUMNS]]
    for method, found in figures.items():
        rows.append([method, *(f"{value:.3g}" for value in np.mean(found, 0))])
    _say(table(rows))


def ours(
    name: str, scene: Path, target: Path, radius: int | None, options: Sequence[str]
) -> list[str]:
    """Return our command for a filter."""
    command = [str(ROOT / "run"), "filter", name, str(scene), str(target), "--looks", "1"]
    command += ["--radius", str(radius)] if radius is not None else []
    command += ["--variant", "otb"] if name == "frost" else []
    return command + [word for option in options for word in ("--co", option)]


def otb(name: str, scene: Path, target: Path, radius: int, options: Sequence[str]) -> list[str]:
    """Return OTB's command for a filter of the same name."""
    extended = "?" + "".join(f"&gdal:co:{option}" for option in options) if options else ""
    command = [OTB, "-in", str(scene), "-out", f"{target}{extended}", "float", "-filter", name]
    command += [f"-filter.{name}.rad", str(radius)]
    return command + ([f"-filter.{name}.{SHARED[name]}", "1"] if SHARED[name] else [])


def _alternating(
    mine: Sequence[str],
    theirs: Sequence[str],
    options: argparse.Namespace,
    outputs: Sequence[Path],
) -> tuple[Cost, Cost]:
    """Measure both in turn, each writing a new file: an output of an earlier run is deleted."""
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(options.repeats):
        for command, found, path in zip((mine, theirs), costs, outputs):
            path.unlink(missing_ok=True)
            found.append(measure(command, options.cores))
    return least(costs[0]), least(costs[1])


_HEADER = [
    "filter, radius",
    "program",
    "wall s",
    "cpu s",
    "Mpx/s",
    "peak MB",
    "wall, cpu over ours",
    "agreement",
]


def _rows(
    label: str, peer: str, both: tuple[Cost, Cost], side: int, agreed: str = ""
) -> list[list[str]]:
    rows = []
    for program, cost in zip(("speckless", peer), both):
        rate = f"{side**2 / cost.wall / 1e6:.1f}"
        seconds = f"{cost.wall:.2f}", f"{cost.cpu:.2f}"
        rows.append([label, program, *seconds, rate, f"{cost.memory / 1e6:.0f}"])
        label = ""
    rows[1] += [f"{both[1].wall / both[0].wall:.2f}, {both[1].cpu / both[0].cpu:.2f}", agreed]
    return rows


def agreement(one: Path, other: Path, border: int) -> str:
    """Return in words how far two rasters differ, relatively, in the interior.

    Raises
    ------
    InvalidInput
        If they are not of one size.
    """
    first, second = gdal.Open(str(one)), gdal.Open(str(other))
    width, height = first.RasterXSize, first.RasterYSize
    if (second.RasterXSize, second.RasterYSize) != (width, height):
        raise InvalidInput(f"{one.name} and {other.name} are not of one size.")
    most, beyond, step = 0.0, 0, max(1, _PIXELS_COMPARED // width)
    for top in range(border, height - border, step):
        window = (border, top, width - 2 * border, min(step, height - border - top))
        a, b = (d.GetRasterBand(1).ReadAsArray(*window).astype(np.float64) for d in (first, second))
        apart = np.abs(a - b) / np.maximum(np.abs(b), np.finfo(np.float32).tiny)
        most = max(most, float(apart.max()))
        beyond += int(np.count_nonzero(~(apart <= 1e-4)))
    first = second = None
    return f"at most {most:.1e} apart, {beyond} pixels beyond 1e-4"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

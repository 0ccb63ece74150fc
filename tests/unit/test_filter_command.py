"""``./run filter`` and what ``./run bench peers`` and ``memory`` make of it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

gdal = pytest.importorskip("osgeo.gdal")

from raster_files import make_raster  # noqa: E402

from speckless.benchmarks import memory, peers  # noqa: E402
from speckless.benchmarks.processes import Cost, least, measure  # noqa: E402
from speckless.plugin.core.errors import InvalidInput  # noqa: E402
from speckless.plugin.core.filters.base import SceneConstants  # noqa: E402
from speckless.plugin.core.filters.frost import Frost  # noqa: E402
from speckless.plugin.core.filters.idan import Idan  # noqa: E402
from speckless.plugin.jobs.filter_command import main, make_filter  # noqa: E402

VALUES = np.random.default_rng(0).gamma(2.0, 5.0, (40, 50)).astype(np.float32)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    kept = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    for number, handler in kept:
        signal.signal(number, handler)


@pytest.fixture
def scene(tmp_path: Path) -> str:
    return make_raster(tmp_path / "scene.tif", VALUES)


def test_a_raster_is_filtered(scene: str, tmp_path: Path, capsys) -> None:
    target = tmp_path / "out.tif"
    words = ["frost", scene, str(target), "--radius", "2", "--set", "damping=1.5"]
    assert main([*words, "--domain", "intensity", "--co", "COMPRESS=LZW"]) == 0
    expected = Frost(radius=2, damping=1.5)(VALUES, np.ones(VALUES.shape, bool), SceneConstants())
    dataset = gdal.Open(str(target))
    np.testing.assert_allclose(dataset.ReadAsArray(), expected, rtol=1e-6)
    assert dataset.GetMetadata("IMAGE_STRUCTURE")["COMPRESSION"] == "LZW"
    told = capsys.readouterr().out
    assert "Domain: intensity" in told
    assert "2000 pixels" in told


def test_geotiffs_of_filters_are_not_compressed_by_default(scene: str, tmp_path: Path) -> None:
    assert main(["boxcar", scene, str(tmp_path / "out.tif")]) == 0
    structure = gdal.Open(str(tmp_path / "out.tif")).GetMetadata("IMAGE_STRUCTURE")
    assert "COMPRESSION" not in structure


def test_the_process_ends_with_its_words_and_code(
    scene: str, tmp_path: Path, own_package: dict[str, str]
) -> None:
    """It leaves without taking the interpreter apart: nothing said may be lost by that."""
    target = tmp_path / "out.tif"
    command = [sys.executable, "-m", "speckless.plugin.jobs.filter_process", "lee", scene]
    command += [str(target), "--looks", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=own_package)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2000 pixels" in done.stdout
    assert gdal.Open(str(target)).RasterXSize == 50
    command[4] = str(tmp_path / "none.tif")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=own_package)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no file")


def test_errors_are_one_line(scene: str, tmp_path: Path, capsys) -> None:
    assert main(["lees", scene, str(tmp_path / "out.tif")]) == 1
    assert capsys.readouterr().err.startswith("There is no filter 'lees'")
    assert not (tmp_path / "out.tif").exists()


def test_parameters_become_the_filter() -> None:
    assert make_filter("idan", 4, None, ["size=30"]) == Idan(radius=4, size=30)
    assert make_filter("frost", None, "otb", []) == Frost(variant="otb")
    with pytest.raises(InvalidInput, match="no parameter 'sise'; it has size"):
        make_filter("idan", None, None, ["sise=3"])
    with pytest.raises(InvalidInput, match="no parameter 'radius'; it has none of its own"):
        make_filter("lee", None, None, ["radius=3"])
    with pytest.raises(InvalidInput, match="'big' is no value for size"):
        make_filter("idan", None, None, ["size=big"])


def test_agreement_leaves_the_border_out(tmp_path: Path) -> None:
    other = VALUES.copy()
    other[0, :] = other[:, -1] = 0.0
    paths = [Path(make_raster(tmp_path / f"{n}.tif", v)) for n, v in enumerate((VALUES, other))]
    assert peers.agreement(*paths, 1) == "at most 0.0e+00 apart, 0 pixels beyond 1e-4"
    other[5, 5:7] *= 1.01
    other[9, 9] = np.nan
    paths[1] = Path(make_raster(tmp_path / "2.tif", other))
    assert "3 pixels beyond" in peers.agreement(*paths, 1)


def test_missing_peers_are_named(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(peers.shutil, "which", lambda name: None)
    assert peers.main(["--side", "64"]) == 0
    told = capsys.readouterr().out
    assert "skipped: otbcli_Despeckle is not installed (Debian and Ubuntu: otb-bin)" in told
    assert "skipped: saga_cmd" in told
    assert "skipped: deepdespeckling needs --neural PYTHON and --data DIR" in told


@pytest.mark.skipif(not shutil.which(peers.OTB), reason="otbcli_Despeckle is not installed")
@pytest.mark.parametrize("name", peers.SHARED)
def test_filters_of_otb_are_ours(name: str, scene: str, tmp_path: Path) -> None:
    theirs, mine = tmp_path / "otb.tif", tmp_path / "ours.tif"
    measure(peers.otb(name, Path(scene), theirs, 2, ["TILED=YES"]), peers.default_cores())
    words = peers.ours(name, Path(scene), mine, 2, [])
    assert main(words[2:]) == 0
    assert peers.agreement(mine, theirs, 2).endswith("0 pixels beyond 1e-4")


def test_processes_are_measured() -> None:
    code = "import time; x = bytearray(80_000_000); time.sleep(0.3)"
    cost = measure([sys.executable, "-c", code], peers.default_cores())
    assert 0.3 < cost.wall < 20
    assert 0 < cost.cpu < 10
    assert cost.memory > 80e6
    assert least([Cost(1, 5, 3), Cost(2, 4, 9)]) == Cost(1, 4, 3)
    with pytest.raises(InvalidInput, match=r"failed \(3\): no luck"):
        measure(["sh", "-c", "echo no luck; exit 3"], peers.default_cores())


def test_memory_of_a_filter_is_measured(capsys) -> None:
    assert memory.main(["--side", "300", "--filter", "kuan", "--radius", "1"]) == 0
    assert "300x300 float32, 10% nodata, Kuan filter" in capsys.readouterr().out

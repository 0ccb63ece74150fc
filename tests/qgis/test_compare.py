"""speckless:compare: several methods on one scene, a table, a report, and no run lost to one."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL, Recorder, mean_3x3, read
from qgis.core import QgsProcessingException
from toolbox import in_toolbox

Compare = Callable[..., dict[str, Any]]
PART = (ORIGIN[0] + 30 * PIXEL, PIXEL, 0.0, ORIGIN[1] - 10 * PIXEL, 0.0, -PIXEL)


@pytest.fixture
def compare(plugin: Any) -> Compare:
    return in_toolbox(plugin, "compare", MODELS=[], FILTERS=[])


@pytest.fixture
def fields(write_raster: Any) -> dict[str, str]:
    """Four fields of two brightnesses, with and without 4-look speckle."""
    clean = np.kron(np.array([[1.0, 8.0], [8.0, 1.0]]), np.ones((80, 80)))
    noisy = clean * np.random.default_rng(4).gamma(4.0, 0.25, clean.shape)
    return {"clean": write_raster(clean, "clean.tif"), "noisy": write_raster(noisy, "noisy.tif")}


def test_filters_rasters_and_a_reference(
    compare: Compare, fields: dict[str, str], write_raster: Any, tmp_path: Path
) -> None:
    mean = write_raster(mean_3x3(read(fields["noisy"])), "by_hand.tif")
    table, report, folder = tmp_path / "t.csv", tmp_path / "r.html", tmp_path / "kept"
    feedback = Recorder()
    found = compare(
        feedback, INPUT=fields["noisy"], FILTERS=["boxcar", "lee"], RADIUS=1, RASTERS=[mean],
        REFERENCE=fields["clean"], LOOKS=4, TABLE=str(table), REPORT=str(report),
        OUTPUT_FOLDER=str(folder),
    )  # fmt: skip
    assert (found["METHODS"], found["FAILED"], found["LOOKS_USED"]) == (3, "", 4)
    assert sorted(path.name for path in folder.iterdir()) == ["boxcar.tif", "lee.tif"]
    assert read(str(folder / "boxcar.tif")) == pytest.approx(read(mean), rel=1e-5)
    with open(table, newline="", encoding="utf-8") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["Boxcar", "Lee", "by_hand"]
    same = [rows[name] for name in ("Boxcar", "by_hand")]
    for figure in ("ENL_DESPECKLED", "EDGE_CONTRAST", "PSNR", "MEAN_RATIO"):
        values = [float(row[figure]) for row in same]
        assert values[0] == pytest.approx(values[1], rel=1e-4), figure
    assert float(rows["Lee"]["EDGE_CONTRAST"]) > float(rows["Boxcar"]["EDGE_CONTRAST"])
    assert rows["by_hand"]["seconds"] == "" and float(rows["Lee"]["seconds"]) > 0
    assert "Lee" in found["EFFICIENT"]
    text = report.read_text("utf-8")
    assert text.count("data:image/png") == 1 + 3 + 1 + 3 + 1  # input, estimates, truth, ratios, bar
    assert "Smoothing against edges" in text and "Nearest to the clean reference" in text


def test_a_network_and_an_extent(
    compare: Compare,
    fields: dict[str, str],
    boxcar: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from speckless.plugin.toolbelt.settings import Settings

    settings = Settings(model_folder=str(Path(boxcar).parent))
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: settings))
    left, top = ORIGIN
    extent = f"{left + 200},{left + 1400},{top - 1300},{top - 300} [EPSG:32631]"
    table = tmp_path / "t.csv"
    found = compare(
        INPUT=fields["noisy"], FILTERS="boxcar", RADIUS=1, MODELS=["boxcar-3"], LOOKS=4,
        EXTENT=extent, TABLE=str(table), DEVICE="cpu", REPORT="TEMPORARY_OUTPUT",
    )  # fmt: skip
    assert found["METHODS"] == 2, found["FAILED"]
    with open(table, newline="", encoding="utf-8") as file:
        classical, network = csv.DictReader(file)
    assert (classical["kind"], network["kind"]) == ("classical filters", "networks")
    assert classical["PIXELS"] == network["PIXELS"] == "12000.0"
    assert float(network["ENL_DESPECKLED"]) == pytest.approx(
        float(classical["ENL_DESPECKLED"]), rel=1e-3
    )


def test_only_what_all_rasters_cover_is_compared(
    compare: Compare, fields: dict[str, str], write_raster: Any, tmp_path: Path
) -> None:
    part = write_raster(read(fields["clean"])[10:110, 30:150], "part.tif", PART)
    table = tmp_path / "t.csv"
    compare(INPUT=fields["noisy"], FILTERS=["boxcar"], RASTERS=[part], LOOKS=4, TABLE=str(table))
    with open(table, newline="", encoding="utf-8") as file:
        assert [row["PIXELS"] for row in csv.DictReader(file)] == ["12000.0"] * 2


def test_one_failure_does_not_stop_the_others(
    compare: Compare, fields: dict[str, str], write_raster: Any, tmp_path: Path
) -> None:
    empty = write_raster(np.full((160, 160), np.nan), "empty.tif")
    feedback = Recorder()
    report = tmp_path / "r.html"
    found = compare(
        feedback, INPUT=fields["noisy"], FILTERS=["boxcar"], RASTERS=[empty], LOOKS=4,
        REPORT=str(report),
    )  # fmt: skip
    assert found["METHODS"] == 1
    assert "empty: No pixel is valid in both" in found["FAILED"]
    assert any("empty" in warning for warning in feedback.warnings)
    assert "empty gave no result" in report.read_text("utf-8")
    with pytest.raises(QgsProcessingException, match="None of the methods"):
        compare(INPUT=fields["noisy"], RASTERS=[empty], LOOKS=4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"FILTERS": []}, "nothing to compare"),
        ({"FILTERS": ["sharpen"]}, "there is no 'sharpen'"),
        ({"MODELS": ["no-such"]}, "there is no 'no-such'"),
        ({"LOOKS": 0}, "LOOKS must be a positive number"),
        ({"DEVICE": "gpu"}, "Unknown device"),
        ({"BAND": 5}, "has no band 5"),
        ({"INPUT": "/no/such.tif"}, "There is no file"),
        ({"RASTERS": ["/no/such.tif"]}, "There is no file"),
        ({"TABLE": "/tmp/t.txt"}, "A table is a .csv or .html file"),
        ({"EXTENT": "0,10,0,10 [EPSG:32631]"}, "lies outside the raster"),
    ],
    ids=str,
)
def test_refused(
    compare: Compare, fields: dict[str, str], tmp_path: Path, changed: Any, message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    wanted = {"INPUT": fields["noisy"], "FILTERS": ["boxcar"], "LOOKS": 4, **changed}
    with pytest.raises((ValueError, QgsProcessingException)) as refused:
        compare(**wanted)
    assert message in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before


def test_all_nodata_and_tiny(compare: Compare, write_raster: Any, tmp_path: Path) -> None:
    empty = write_raster(np.full((50, 50), np.nan), "empty.tif")
    with pytest.raises(QgsProcessingException, match="no valid pixel"):
        compare(INPUT=empty, FILTERS=["boxcar"])
    tiny = write_raster(np.random.default_rng(0).gamma(4, 0.25, (5, 6)), "tiny.tif")
    report = tmp_path / "tiny.html"
    found = compare(INPUT=tiny, FILTERS=["boxcar", "lee"], LOOKS=4, REPORT=str(report))
    assert (found["METHODS"], found["EFFICIENT"]) == (2, "")
    assert "No method stands out" in report.read_text("utf-8")


def test_help_explains_every_parameter(plugin: Any) -> None:
    algorithm = plugin.provider.algorithm("compare").create()
    assert all(definition.help() for definition in algorithm.parameterDefinitions())

"""Whatever goes wrong with speckless:finetune: a clear word, and never a broken model file."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL, Recorder
from osgeo import gdal
from qgis.core import QgsFeature, QgsGeometry, QgsProcessingException, QgsVectorLayer

Run = Callable[..., dict[str, Any]]


def area(*boxes: tuple[float, float, float, float]) -> QgsVectorLayer:
    """Layer of rectangles given in pixels of the scene."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32631", "areas", "memory")
    for left, top, right, bottom in boxes:
        x0, x1 = ORIGIN[0] + left * PIXEL, ORIGIN[0] + right * PIXEL
        y0, y1 = ORIGIN[1] - top * PIXEL, ORIGIN[1] - bottom * PIXEL
        feature = QgsFeature()
        feature.setGeometry(
            QgsGeometry.fromWkt(
                f"POLYGON (({x0} {y0}, {x1} {y0}, {x1} {y1}, {x0} {y1}, {x0} {y0}))"
            )
        )
        layer.dataProvider().addFeature(feature)
    return layer


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder for temporary files: a cancelled run leaves there what it can go on from."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def out(tmp_path: Path, scratch: Path) -> Iterator[Path]:
    """Folder of outputs, with an older model in it; both as before after the test."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"an older file")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == b"an older file"
    kept = [path.name for path in scratch.rglob("*") if path.is_file()]
    assert all(".checkpoint" in name for name in kept)


@pytest.fixture
def refused(finetune: Run, scene: str, out: Path) -> Callable[..., str]:
    def refused(feedback: Recorder | None = None, **parameters: Any) -> str:
        outputs = {
            "MODEL_OUTPUT": str(out / "model.safetensors"), "OUTPUT": str(out / "x.tif"),
            "REPORT": str(out / "report.html"),
        }  # fmt: skip
        with pytest.raises((ValueError, QgsProcessingException)) as error:
            finetune(feedback, **{"INPUT": scene, **outputs, **parameters})
        return str(error.value)

    return refused


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"LOOKS": 0}, "LOOKS must be a positive number"),
        ({"KNOB": -1}, "KNOB must be a positive number"),
        ({"LEARNING_RATE": 0}, "LEARNING_RATE must be a positive number"),
        ({"DEPTH": "deep"}, "DEPTH must be one of full, head, scale"),
        ({"AUGMENT": "1"}, "AUGMENT must be one of AFT, FT"),
        ({"PRECISION": "fp16"}, "PRECISION must be one of auto, fp32, bf16"),
        ({"EPOCHS": -1}, "EPOCHS"),
        ({"DEVICE": "gpu"}, "Unknown device 'gpu'"),
        ({"DEVICE": "cuda:99"}, "cuda:99"),
        ({"MODEL_FILE": None, "MODEL": "no-such"}, "There is no model 'no-such'"),
        (
            {"MODEL_FILE": None, "MODEL": "ffdnet-sar"},
            "DoPAMINE or deSpeckNet model, or give a REFERENCE",
        ),
        ({"METHOD": "magic"}, "METHOD must be one of auto, aft"),
        ({"METHOD": "retrain"}, "give a REFERENCE"),
        ({"REFERENCE": "/no/such.tif"}, "/no/such.tif"),
        ({"MODEL_FILE": "/no/such.safetensors"}, "/no/such.safetensors cannot be read"),
        ({"MODEL_FILE": __file__}, "is not a model file"),
        ({"MODEL_OUTPUT": "/no/folder/m.safetensors"}, "The folder /no/folder does not exist"),
        ({"OUTPUT": "/no/folder/x.tif"}, "There is no folder /no/folder"),
        ({"REPORT": "/no/folder/r.html"}, "There is no folder /no/folder"),
        ({"BANDS": [7]}, "has no band 7"),
        ({"TRAINING_AREA": "/no/such.gpkg"}, "/no/such.gpkg"),
        ({"EXTENT": "0,10,0,10 [EPSG:32631]"}, "lies outside the raster"),
    ],
    ids=str,
)
def test_wrong_parameters(
    refused: Callable[..., str], parameters: dict[str, Any], message: str
) -> None:
    assert message in refused(**parameters)


def test_wrong_kind_of_model_file_name(finetune: Run, scene: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be a \.safetensors file"):
        finetune(INPUT=scene, MODEL_OUTPUT=str(tmp_path / "model.pth"))


def test_the_start_is_not_overwritten(finetune: Run, scene: str, dopamine: str) -> None:
    before = Path(dopamine).read_bytes()
    with pytest.raises(ValueError, match="must not overwrite"):
        finetune(INPUT=scene, MODEL_OUTPUT=dopamine)
    assert Path(dopamine).read_bytes() == before


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([(5.3, 5.3, 5.7, 5.7)], "Fewer than 64 valid pixels"),
        ([(5.6, 5.6, 6.4, 6.4)], "Fewer than 64 valid pixels"),
        ([(n, n, n + 1, n + 1) for n in range(40)], "Fewer than 64 valid pixels"),
        ([], "There is no polygon"),
        ([(500, 500, 600, 600)], "The training area lies outside the raster"),
    ],
    ids=["one pixel", "no centre", "forty pixels", "none", "elsewhere"],
)
def test_areas_too_small(
    refused: Callable[..., str], boxes: list[tuple[float, float, float, float]], message: str
) -> None:
    assert message in refused(TRAINING_AREA=area(*boxes))


def test_area_outside_the_extent(refused: Callable[..., str]) -> None:
    x, y = ORIGIN
    extent = f"{x + 400},{x + 800},{y - 600},{y - 300} [EPSG:32631]"
    assert "outside the extent" in refused(TRAINING_AREA=area((0, 0, 20, 20)), EXTENT=extent)


def nodata(path: str) -> str:
    dataset = gdal.Open(path, gdal.GA_Update)
    dataset.GetRasterBand(1).SetNoDataValue(-99.0)
    dataset = None
    return path


def test_nodata_only_in_the_area_and_in_all(
    refused: Callable[..., str], write_raster: Callable[..., str], intensity: np.ndarray
) -> None:
    part = intensity.copy()
    part[:40, :40] = -99
    source = nodata(write_raster(part, "part.tif"))
    message = refused(INPUT=source, TRAINING_AREA=area((0, 0, 30, 30)), DOMAIN="intensity")
    assert "all nodata" in message
    empty = nodata(write_raster(np.full((60, 80), -99.0), "empty.tif"))
    assert "no valid pixel" in refused(INPUT=empty, DOMAIN="intensity")


def test_loss_that_is_no_number(refused: Callable[..., str]) -> None:
    message = refused(LEARNING_RATE=1e30)
    assert "diverged" in message and "Lower the learning rate" in message


@pytest.mark.parametrize("moment", ["Epoch 1", "Despeckling"])
def test_cancel_is_prompt(refused: Callable[..., str], moment: str) -> None:
    class Impatient(Recorder):
        cancelled_at = 0.0

        def pushInfo(self, info: str) -> None:
            super().pushInfo(info)
            if moment in info and not self.cancelled_at:
                self.cancelled_at = time.monotonic()
                self.cancel()

    feedback = Impatient()
    epochs = 10_000 if moment == "Epoch 1" else 1
    assert "cancelled" in refused(feedback, EPOCHS=epochs)
    assert time.monotonic() - feedback.cancelled_at < 2


def test_killed_engine_is_an_error_and_the_next_run_works(
    finetune: Run, refused: Callable[..., str], scene: str
) -> None:
    from speckless.plugin.engine import shared

    class Killer(Recorder):
        def pushInfo(self, info: str) -> None:
            super().pushInfo(info)
            if info.startswith("Epoch 1:"):
                assert shared._shared is not None and shared._shared.pid
                os.kill(shared._shared.pid, signal.SIGKILL)

    message = refused(Killer(), EPOCHS=10_000)
    assert "engine" in message.lower()
    results = finetune(INPUT=scene)
    assert results["BEST_EPOCH"] in (0, 1)
    assert Path(results["MODEL_OUTPUT"]).stat().st_size > 1000

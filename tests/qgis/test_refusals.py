"""Each wrong input is refused with a message that says what is wrong, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsProcessingContext, QgsProcessingException, QgsRasterLayer

Run = Callable[..., dict[str, Any]]

SAMPLE = str(Path(__file__).resolve().parents[2] / "resources/samples/sentinel1_sample.tif")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"LOOKS": 0}, "LOOKS must be a positive number"),
        ({"LOOKS": -1.5}, "LOOKS must be a positive number"),
        ({"KNOB": 0}, "KNOB must be a positive number"),
        ({"KNOB": 2}, "boxcar-3' has no knob"),
        ({"KNOB_AUTO": True}, "boxcar-3' is not affine, its risk cannot be estimated"),
        ({"LOOKS_MAP": "/no/such.tif"}, "There is no file /no/such.tif"),
        ({"LOOKS_MAP": SAMPLE}, "leave LOOKS_MAP out"),
        ({"CLASS_MAP": SAMPLE}, "leave CLASS_MAP out"),
        ({"LOOKS_MAP": SAMPLE, "MODEL_FILE": None}, "do not coincide"),
        ({"DEVICE": "gpu"}, "Unknown device 'gpu'"),
        ({"DEVICE": "cuda:x"}, "Unknown device 'cuda:x'"),
        ({"DEVICE": "cuda:99"}, "cuda:99"),
        ({"TILE_SIZE": 5}, "TILE_SIZE must be 0"),
        ({"DOMAIN": "3"}, "DOMAIN must be one of auto, intensity"),
        ({"PRECISION": "int8"}, "PRECISION must be one of"),
        ({"MODEL_FILE": None, "MODEL": "no-such"}, "There is no model 'no-such'"),
        ({"MODEL_FILE": "/no/such.safetensors"}, "/no/such.safetensors cannot be read"),
        ({"SLOPE": "TEMPORARY_OUTPUT"}, "not affine, it has no SLOPE"),
        ({"BIAS": "TEMPORARY_OUTPUT"}, "not affine, it has no BIAS"),
        ({"NOISE": "TEMPORARY_OUTPUT"}, "does not estimate a NOISE map"),
        ({"STAGES": 2}, "has no stages"),
        ({"OUTPUT": "/tmp/a.tif", "RATIO": "/tmp/a.tif"}, "Two outputs have the same path"),
        ({"BANDS": [7]}, "has no band 7"),
        ({"DOMAIN": "complex"}, "does not fit the domain 'complex'"),
        ({"EXTENT": "0,10,0,10 [EPSG:32631]"}, "lies outside the raster"),
        ({"INPUT": "/no/such.tif"}, "There is no file /no/such.tif"),
        ({"INPUT": __file__}, "as a raster"),
        ({"INPUT": None}, "No raster is given"),
        ({"OUTPUT": "/no/such/folder/out.tif"}, "There is no folder /no/such/folder"),
    ],
    ids=str,
)
def test_refused(
    run: Run, scene: str, tmp_path: Path, parameters: dict[str, Any], message: str
) -> None:
    wanted = {"INPUT": scene, "OUTPUT": str(tmp_path / "out.tif"), **parameters}
    with pytest.raises((ValueError, QgsProcessingException)) as refused:
        run(**wanted)
    assert message in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_output_over_the_input(run: Run, scene: str) -> None:
    before = Path(scene).read_bytes()
    with pytest.raises(ValueError, match="is the input itself"):
        run(INPUT=scene, OUTPUT=scene)
    assert Path(scene).read_bytes() == before


def test_nothing_but_nodata(run: Run, write_raster: Any, tmp_path: Path) -> None:
    source = write_raster(np.full((40, 40), -99.0))
    dataset = gdal.Open(source, gdal.GA_Update)
    dataset.GetRasterBand(1).SetNoDataValue(-99.0)
    dataset = None
    with pytest.raises(QgsProcessingException, match=r"(?i)valid|nodata"):
        run(INPUT=source, OUTPUT=str(tmp_path / "out.tif"), DOMAIN="db")
    assert not (tmp_path / "out.tif").exists()


def test_corrupted_weights(run: Run, scene: str, boxcar: str, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray(Path(boxcar).read_bytes())
    content[-2] ^= 1
    damaged.write_bytes(bytes(content))
    with pytest.raises(QgsProcessingException, match="corrupted"):
        run(INPUT=scene, OUTPUT=str(tmp_path / "out.tif"), MODEL_FILE=str(damaged))
    assert not (tmp_path / "out.tif").exists()


def test_layer_that_is_no_file(algorithm: Any, boxcar: str, qgis_app: Any) -> None:
    layer = QgsRasterLayer("type=xyz&url=file:///nowhere/%7Bz%7D", "tiles", "wms")
    assert layer.isValid()
    parameters = {"INPUT": layer, "MODEL_FILE": boxcar, "OUTPUT": "TEMPORARY_OUTPUT"}
    accepted, problem = algorithm.checkParameterValues(parameters, QgsProcessingContext())
    assert not accepted
    assert "'tiles' comes from the data provider 'wms'" in problem


def test_missing_python_is_told_before_anything_runs(
    run: Run, scene: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: Any
) -> None:
    monkeypatch.setenv("SPECKLESS_PYTHON", "/no/such/python")
    ready, problem = algorithm.canExecute()
    assert not ready
    assert "/no/such/python" in problem
    with pytest.raises(ValueError, match="/no/such/python"):
        run(INPUT=scene, OUTPUT=str(tmp_path / "out.tif"))

"""The plugin loaded into a headless QGIS, a tiny model, and a scene with speckle."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL
from networks import TINY, save_network
from osgeo import gdal, osr
from qgis.core import QgsProcessingAlgorithm
from toolbox import in_toolbox


@pytest.fixture(scope="session")
def plugin(qgis_app: Any, qgis_processing: Any) -> Iterator[Any]:
    from speckless.plugin.main import SpecklessPlugin

    loaded = SpecklessPlugin(None)
    loaded.initProcessing()
    yield loaded
    loaded.unload()
    # Tracebacks hold rasters, which must be closed before QGIS ends GDAL.
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        sys.__dict__.pop(name, None)
    gc.collect()


@pytest.fixture
def algorithm(plugin: Any) -> QgsProcessingAlgorithm:
    return plugin.provider.algorithm("despeckle").create()


@pytest.fixture(scope="session")
def boxcar(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of a 3×3 mean: results can be told in advance, and it is fast."""
    path = tmp_path_factory.mktemp("models") / "boxcar.safetensors"
    return str(save_network(path, {"radius": 1}, "boxcar", "none", "Mean of 3×3", "boxcar-3"))


@pytest.fixture(scope="session")
def dopamine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of a DoPAMINE network of four layers, fresh but always the same."""
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    return str(save_network(path, {**TINY, "layers": 4, "channels": 6}, title="Tiny"))


@pytest.fixture
def user_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the user's models, not there yet, and no settings of the machine's user."""
    from speckless.plugin.toolbelt.settings import Settings

    settings = Settings(model_folder=str(tmp_path / "profile" / "models"))
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: settings))
    return tmp_path / "profile" / "models"


@pytest.fixture
def finetune(plugin: Any, dopamine: str) -> Callable[..., dict[str, Any]]:
    """Fine-tune a tiny network, for a moment."""
    return in_toolbox(
        plugin, "finetune", MODEL_FILE=dopamine, LOOKS=4, EPOCHS=1, LEARNING_RATE=1e-3,
        AUGMENT="FT", DEVICE="cpu", MODEL_OUTPUT="TEMPORARY_OUTPUT",
    )  # fmt: skip


@pytest.fixture
def write_raster(tmp_path: Path) -> Callable[..., str]:
    def write(
        values: np.ndarray, name: str = "scene.tif", transform: tuple[float, ...] | None = None
    ) -> str:
        """Write bands (n, height, width) or one band to a GeoTIFF in UTM zone 31N."""
        bands = values[None] if values.ndim == 2 else values
        path = str(tmp_path / name)
        dataset = gdal.GetDriverByName("GTiff").Create(
            path, bands.shape[2], bands.shape[1], bands.shape[0], gdal.GDT_Float32
        )
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(32631)
        dataset.SetProjection(crs.ExportToWkt())
        dataset.SetGeoTransform(transform or (ORIGIN[0], PIXEL, 0.0, ORIGIN[1], 0.0, -PIXEL))
        for number, band in enumerate(bands, 1):
            dataset.GetRasterBand(number).WriteArray(band.astype(np.float32))
        dataset = None
        return path

    return write


@pytest.fixture
def intensity() -> np.ndarray:
    """Homogeneous area under 4-look speckle, 60 rows by 80 columns."""
    return np.random.default_rng(1).gamma(4.0, 0.25, (60, 80)).astype(np.float32)


@pytest.fixture
def scene(write_raster: Callable[..., str], intensity: np.ndarray) -> str:
    return write_raster(intensity)


@pytest.fixture
def run(plugin: Any, boxcar: str) -> Callable[..., dict[str, Any]]:
    """Despeckle by a 3×3 mean."""
    return in_toolbox(plugin, "despeckle", MODEL_FILE=boxcar, LOOKS=4)

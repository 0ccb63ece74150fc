"""deSpeckNet, AINDNet and ScaoedNet through the Toolbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import save_network
from osgeo import gdal

Run = Callable[..., dict[str, Any]]

ARGUMENTS = {
    "despecknet": {"layers": 3, "channels": 4, "domain": "log"},
    "aindnet": {"channels": 4, "estimator_channels": 4, "blocks": (1, 1, 1, 1, 1)},
    "scaoednet": {"channels": 6, "blocks": 1, "block_depth": 1, "depth": 1, "stages": 2},
}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights files of tiny fresh networks."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: str(
            save_network(
                folder / f"{name}.safetensors", arguments, name, title=name, id=f"{name}-tiny"
            )
        )
        for name, arguments in ARGUMENTS.items()
    }


def _read(path: str) -> np.ndarray:
    dataset = gdal.Open(path)
    values = dataset.ReadAsArray()
    dataset = None
    return values


@pytest.mark.parametrize(
    ("name", "map"), [("despecknet", "NOISE"), ("aindnet", "NOISE_LEVEL"), ("scaoednet", "NOISE")]
)
def test_estimate_and_map_are_written(
    run: Run, scene: str, networks: dict[str, str], tmp_path: Path, name: str, map: str
) -> None:
    paths = {"OUTPUT": str(tmp_path / "x.tif"), map: str(tmp_path / "map.tif")}
    results = run(INPUT=scene, MODEL_FILE=networks[name], LOOKS=4, **paths)
    assert results["MODEL_USED"] == f"{name}-tiny"
    estimate, found = _read(results["OUTPUT"]), _read(results[map])
    assert estimate.shape == found.shape
    assert float(np.nanmin(found)) > 0


def test_second_phase_of_despecknet(
    finetune: Run, scene: str, networks: dict[str, str], tmp_path: Path
) -> None:
    from speckless.plugin.core.models.card import ModelCard

    model = str(tmp_path / "tuned.safetensors")
    results = finetune(
        INPUT=scene, MODEL_FILE=networks["despecknet"], EPOCHS=0, MU=0.02, LAMBDA=1e-4,
        MODEL_OUTPUT=model,
    )  # fmt: skip
    recipe = ModelCard.read(results["MODEL_OUTPUT"]).training["recipe"]
    assert (recipe["method"], recipe["epochs"]) == ("despecknet", 1)
    assert (recipe["clean"], recipe["noisy"], recipe["variation"]) == (0.02, 1.0, 1e-4)
    assert results["RISK_AFTER"] <= results["RISK_BEFORE"]


def test_transfer_to_a_real_pair(
    finetune: Run, scene: str, networks: dict[str, str], tmp_path: Path
) -> None:
    from speckless.plugin.core.models.card import ModelCard

    model = str(tmp_path / "tuned.safetensors")
    # Any raster on these pixels will do to see the way through.
    finetune(INPUT=scene, MODEL_FILE=networks["aindnet"], REFERENCE=scene, MODEL_OUTPUT=model)
    assert ModelCard.read(model).training["method"] == "transfer"

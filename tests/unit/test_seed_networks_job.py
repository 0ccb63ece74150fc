"""deSpeckNet, AINDNet and ScaoedNet through the engine: tiles, extents, maps, stages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.weights import save_model
from speckless.plugin.core.tiling import Window
from speckless.plugin.engine.client import Engine
from speckless.plugin.jobs.despeckling import DespeckleJob
from speckless.plugin.jobs.preview import PreviewMaker, PreviewRequest
from speckless.plugin.jobs.scene_cache import SceneCache

gdal = pytest.importorskip("osgeo.gdal")

ARGUMENTS = {
    "despecknet": {"layers": 4, "channels": 4, "domain": "log"},
    "aindnet": {"channels": 4, "estimator_channels": 4, "blocks": (1, 1, 1, 1, 1)},
    "scaoednet": {"channels": 6, "blocks": 1, "block_depth": 1, "depth": 1, "stages": 2},
}
MAPS = {"despecknet": "noise", "aindnet": "noise_level", "scaoednet": "noise"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for name, arguments in ARGUMENTS.items():
        torch.manual_seed(2)
        model = create(name, arguments)
        with torch.no_grad():
            for part in ("last", "decode"):
                if hasattr(model, part):  # estimates that are not the image itself
                    getattr(model, part).weight.mul_(20)
        card = model.describe(
            id=name, title=name, architecture=name, arguments=arguments, scale="geometric"
        )
        paths[name] = str(folder / f"{name}.safetensors")
        save_model(paths[name], model, card)
    return paths


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("scene") / "scene.tif")
    rng = np.random.default_rng(0)
    values = np.linspace(1, 50, 170) * rng.gamma(1.0, 1.0, (150, 170))
    dataset = gdal.GetDriverByName("GTiff").Create(path, 170, 150, 1, gdal.GDT_Float32)
    dataset.GetRasterBand(1).WriteArray(values.astype(np.float32))
    dataset = None
    return path


def _read(path):
    dataset = gdal.Open(str(path))
    return dataset.GetRasterBand(1).ReadAsArray()


def _run(scene, output, **options):
    job = DespeckleJob(
        scene, str(output), looks=1.0, domain="intensity", precision="fp32", **options
    )
    return job.run(lambda part, text: None, lambda: False)


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_tiles_and_extents_give_the_pixels_of_the_whole(name, scene, weights, tmp_path):
    model, map = {"model_file": weights[name]}, MAPS[name]
    files = {map: str(tmp_path / "map.tif")}
    result = _run(scene, tmp_path / "whole.tif", **model, **files)
    whole, of_whole = _read(tmp_path / "whole.tif"), _read(files[map])
    assert result.model == name
    assert (result.noise is not None) == (map == "noise")
    _run(scene, tmp_path / "tiled.tif", **model, tile_size=48)
    np.testing.assert_allclose(_read(tmp_path / "tiled.tif"), whole, rtol=1e-3)
    files = {map: str(tmp_path / "part_map.tif")}
    _run(scene, tmp_path / "part.tif", **model, **files, extent=Window(31, 20, 50, 41))
    part = np.s_[20:61, 31:81]
    np.testing.assert_allclose(_read(tmp_path / "part.tif"), whole[part], rtol=1e-3)
    np.testing.assert_allclose(_read(files[map]), of_whole[part], rtol=1e-3)
    assert float(np.abs(whole / _read(scene) - 1).max()) > 0.01


def test_statistics_are_measured_once_for_a_scene_and_anew_when_it_changes(
    weights, tmp_path, monkeypatch
):
    times, freeze = [], Engine.freeze

    def counted(self, *values):
        times.append(1)
        freeze(self, *values)

    monkeypatch.setattr(Engine, "freeze", counted)
    own = str(tmp_path / "own.tif")
    for seed in (5, 5, 6):
        if not (tmp_path / f"{seed}.tif").exists():
            values = np.random.default_rng(seed).gamma(1.0, 1.0, (40, 50)).astype(np.float32)
            dataset = gdal.GetDriverByName("GTiff").Create(own, 50, 40, 1, gdal.GDT_Float32)
            dataset.GetRasterBand(1).WriteArray(values)
            dataset = None
        _run(own, tmp_path / f"{seed}.tif", model_file=weights["aindnet"])
    assert len(times) == 2


@pytest.mark.parametrize("name", ["aindnet", "scaoednet"])
def test_preview_shows_the_pixels_of_the_run(name, scene, weights, tmp_path):
    _run(scene, tmp_path / "whole.tif", model_file=weights[name])
    request = PreviewRequest(
        scene, 1, Window(0, 0, 170, 150), domain="intensity", model_file=weights[name], looks=1.0,
        precision="fp32",
    )  # fmt: skip
    preview = PreviewMaker(SceneCache()).make(request, lambda preview, part: None, lambda: False)
    assert np.allclose(preview.estimate, _read(tmp_path / "whole.tif"), rtol=1e-3)


def test_stages_are_chosen_and_recorded(scene, weights, tmp_path):
    model = {"model_file": weights["scaoednet"]}
    _run(scene, tmp_path / "one.tif", **model, stages=1)
    _run(scene, tmp_path / "two.tif", **model, stages=2)
    _run(scene, tmp_path / "all.tif", **model)
    one, two, whole = (_read(tmp_path / f"{name}.tif") for name in ("one", "two", "all"))
    np.testing.assert_array_equal(two, whole)
    assert float(np.abs(one / two - 1).max()) > 1e-3
    tags = gdal.Open(str(tmp_path / "one.tif")).GetMetadata()
    assert tags["SPECKLESS_STAGES"] == "1"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("scaoednet", {"stages": 3}, "1 to 2"),
        ("aindnet", {"stages": 1}, "no stages"),
        ("aindnet", {"noise": "noise.tif"}, "NOISE"),
        ("despecknet", {"noise_level": "level.tif"}, "NOISE_LEVEL"),
    ],
)
def test_what_a_model_has_not_is_refused(name, options, message, scene, weights, tmp_path):
    files = {k: str(tmp_path / v) if k != "stages" else v for k, v in options.items()}
    with pytest.raises(InvalidInput, match=message):
        _run(scene, tmp_path / "out.tif", model_file=weights[name], **files)
    assert not (tmp_path / "out.tif").exists()

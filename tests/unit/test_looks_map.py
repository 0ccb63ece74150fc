"""A number of looks for every pixel: in a tile, and from a raster through the job."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.errors import InvalidInput, RasterError
from speckless.plugin.core.models.registry import LOOKS_MAPS, create
from speckless.plugin.core.models.weights import save_model
from speckless.plugin.core.tiling import Window, plan_tiles
from speckless.plugin.jobs.despeckling import DespeckleJob

gdal = pytest.importorskip("osgeo.gdal")

ARGUMENTS = {"layers": 3, "channels": 4}
HEIGHT, WIDTH = 70, 90


def build(architecture="ffdnet", arguments=ARGUMENTS):
    torch.manual_seed(0)
    model = create(architecture, arguments)
    if architecture == "ffdnet":
        torch.nn.init.normal_(model.noise_level.weight, std=3.0)
        torch.nn.init.normal_(model.last.weight, std=0.3)
    model.card = model.describe(
        id=architecture, title="", architecture=architecture, arguments=arguments, scale="mean",
        looks_range=(1.0, 8.0),
    )  # fmt: skip
    return model.eval()


def scene():
    rng = np.random.default_rng(0)
    return (np.linspace(1, 5, WIDTH) * rng.gamma(2.0, 0.5, (HEIGHT, WIDTH))).astype(np.float32)


def looks():
    values = np.ones((HEIGHT, WIDTH), np.float32)
    values[:, 31:] = 8.0
    values[20:40, 50:60] = 3.0
    return values


def write(path, values, shift=0, nodata=None):
    height, width = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, 1, gdal.GDT_Float32)
    dataset.SetGeoTransform((500000.0 + shift, 10.0, 0.0, 4800000.0, 0.0, -10.0))
    dataset.GetRasterBand(1).WriteArray(values)
    if nodata is not None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    dataset = None
    return str(path)


def whole(model, z, values, **options):
    valid = np.ones(z.shape, bool)
    return despeckle_tile(model, z, valid, scale=2.0, looks=2.0, looks_map=values, **options)["x"]


def test_an_even_map_is_the_number_itself_and_an_uneven_one_is_not():
    model, z = build(), scene()
    valid = np.ones(z.shape, bool)
    number = despeckle_tile(model, z, valid, scale=2.0, looks=2.0)["x"]
    np.testing.assert_allclose(whole(model, z, np.full_like(z, 2.0)), number, rtol=1e-5)
    np.testing.assert_allclose(whole(model, z, np.zeros_like(z)), number, rtol=1e-5)
    assert np.abs(whole(model, z, looks()) / number - 1).max() > 0.01


def test_a_knob_turns_map_and_number_alike():
    model, z = build(), scene()
    half = whole(model, z, looks(), knob=1.0)
    np.testing.assert_allclose(half, whole(model, z, looks() / 2), rtol=1e-5)


def test_tiles_with_a_map_are_the_whole_image():
    model, z, values = build(), scene(), looks()
    expected = whole(model, z, values)
    card = model.card
    tiles = plan_tiles(Window(0, 0, WIDTH, HEIGHT), None, 25, card.halo, card.divisor)
    for tile in tiles:
        s, c = tile.source, tile.core
        part = np.s_[s.y : s.bottom, s.x : s.right]
        found = whole(model, z[part], values[part], inner=tile.inner)
        np.testing.assert_allclose(found, expected[c.y : c.bottom, c.x : c.right], rtol=1e-4)


def test_other_networks_refuse_a_map():
    assert "boxcar" not in LOOKS_MAPS
    with pytest.raises(InvalidInput, match="takes no map of looks"):
        whole(build("boxcar", {"radius": 1}), scene(), looks())
    with pytest.raises(InvalidInput, match="must match"):
        whole(build(), scene(), looks()[:-1])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for name, model in (("ffdnet", build()), ("boxcar", build("boxcar", {"radius": 1}))):
        save_model(folder / f"{name}.safetensors", model, model.card)
    return folder


def run(weights, tmp_path, values, model="ffdnet", shift=0, nodata=None, **options):
    source = write(tmp_path / "in.tif", scene())
    given = write(tmp_path / "looks.tif", values, shift, nodata)
    output = str(tmp_path / "out.tif")
    job = DespeckleJob(
        source, output, model_file=str(weights / f"{model}.safetensors"), domain="intensity",
        looks=2.0, looks_map=given, device="cpu", precision="fp32", **options,
    )  # fmt: skip
    job.run(lambda part, text: None, lambda: False)
    dataset = gdal.Open(output)
    return dataset.ReadAsArray(), dataset.GetMetadata()


def test_a_raster_of_looks_reaches_the_network_in_tiles(weights, tmp_path):
    values = looks()
    values[5:9, 5:9] = -1.0  # nodata: the scene's looks hold
    found, tags = run(weights, tmp_path, values, nodata=-1.0, tile_size=32)
    z = scene()
    valid = np.ones(z.shape, bool)
    values[values < 0] = 2.0
    expected = despeckle_tile(
        build(), z, valid, scale=float(z.mean(dtype=np.float64)), looks=2.0, looks_map=values
    )["x"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert tags["SPECKLESS_LOOKS_MAP"] == "looks.tif"


def test_a_map_of_a_part_leaves_the_rest_to_the_number(weights, tmp_path):
    part = looks()[:, 30:]
    found, _ = run(weights, tmp_path, part, shift=300)
    values = looks()
    values[:, :30] = 2.0
    z = scene()
    expected = despeckle_tile(
        build(), z, np.ones(z.shape, bool), scale=float(z.mean(dtype=np.float64)), looks=2.0,
        looks_map=values,
    )["x"]  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("shift", "error", "words"),
    [(4, RasterError, "LOOKS_MAP .*do not coincide"), (100000, InvalidInput, "covers no part")],
)
def test_maps_that_lie_elsewhere_are_refused(weights, tmp_path, shift, error, words):
    with pytest.raises(error, match=words):
        run(weights, tmp_path, looks(), shift=shift)
    assert not (tmp_path / "out.tif").exists()


def test_models_that_would_not_read_the_map_are_refused(weights, tmp_path):
    with pytest.raises(InvalidInput, match="leave LOOKS_MAP out"):
        run(weights, tmp_path, looks(), model="boxcar")


def test_the_map_is_not_overwritten(weights, tmp_path):
    source, given = write(tmp_path / "in.tif", scene()), write(tmp_path / "looks.tif", looks())
    job = DespeckleJob(
        source, given, model_file=str(weights / "ffdnet.safetensors"), looks_map=given
    )
    with pytest.raises(RasterError):
        job.check()

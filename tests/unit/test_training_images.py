"""Data to train on: pairs in batches, splits, and reading them from files."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from speckless.plugin.core.errors import InvalidInput, SpecklessError
from speckless.plugin.core.pairs import PairStream, known_or
from speckless.plugin.core.training import Trainer
from speckless.plugin.core.training_data import TrainingSet, patch_grid

gdal = pytest.importorskip("osgeo.gdal")

from own_data import RECIPE, TINY, make_pairs, never, scene  # noqa: E402
from raster_files import make_raster  # noqa: E402

from speckless.plugin.jobs import training_images  # noqa: E402
from speckless.plugin.jobs.training_images import (  # noqa: E402
    match_folders,
    match_pairs,
    read_clean,
    read_pairs,
)

CPU = torch.device("cpu")


@pytest.fixture
def pairs(tmp_path):
    """Two noisy rasters and their references, in a folder each."""
    return make_pairs(tmp_path)


def test_unknown_reference_pixels_have_neither_loss_nor_gradient():
    clean, estimate = torch.tensor([1.0, float("nan")]), torch.tensor([2.0, 5.0]).requires_grad_()
    loss = (estimate - known_or(clean, estimate)).square().sum()
    loss.backward()
    assert float(loss.detach()) == 1
    assert estimate.grad.tolist() == [2.0, 0.0]


def test_batches_of_pairs_hold_what_belongs_together():
    clean, noisy = scene()
    clean[:20] = np.nan
    noisy[30:33, :] = np.nan
    data = TrainingSet([clean], [noisy], [4.0], [2.0])
    stream = PairStream(data, replace(RECIPE, flips=False), CPU)
    batch = stream.batch(0)
    assert torch.isfinite(batch.noisy).all() and stream.has_unknown
    assert batch.looks.tolist() == [4.0] * 4
    for (_, row, column), mine, theirs in zip(stream.grid[stream._order], batch.clean, batch.noisy):
        place = np.s_[row : row + 16, column : column + 16]
        known = np.isfinite(clean[place]) & np.isfinite(noisy[place])
        assert known.mean() >= 0.5
        np.testing.assert_array_equal(np.isfinite(mine[0].numpy()), known)
        np.testing.assert_allclose(mine[0].numpy()[known], clean[place][known] / 2)
        np.testing.assert_allclose(theirs[0].numpy()[known], noisy[place][known] / 2)


def test_flips_turn_both_images_alike():
    clean, _ = scene()
    data = TrainingSet([clean], [3 * clean], [4.0], [1.0])
    batch = PairStream(data, RECIPE, CPU).batch(2)
    torch.testing.assert_close(batch.noisy, 3 * batch.clean)


def test_grid_leaves_out_what_is_not_known():
    mask = np.ones((20, 30), bool)
    mask[:, :12] = False
    found = patch_grid([mask], 10, 10, 1.0)
    assert found[:, 1:].tolist() == [[0, 20], [10, 20]]
    assert len(patch_grid([mask], 10, 10, 0.5)) == 4
    assert patch_grid([np.ones((5, 5), bool)], 10, 10, 0.5).shape == (0, 3)


def test_split_by_images_and_by_rows():
    images = [np.full((40, 20), n, "float32") for n in range(10)]
    rest, held = TrainingSet(images).split(0.2, 16)
    assert (len(rest), [int(i[0, 0]) for i in held.clean]) == (8, [2, 7])
    rest, held = TrainingSet(images[:1], gray=True).split(0.25, 16)
    assert (rest.clean[0].shape, held.clean[0].shape) == ((24, 20), (16, 20))
    assert rest.gray and held.gray
    assert TrainingSet(images[:1]).split(0.25, 30)[1] is None
    assert TrainingSet(images).split(0.0, 16)[1] is None


def test_set_survives_a_file(tmp_path):
    clean, noisy = scene()
    data = TrainingSet([clean, clean], [noisy, noisy], [1.0, 2.0], [3.0, 4.0])
    data.save(tmp_path / "d.npz")
    again = TrainingSet.load(tmp_path / "d.npz")
    assert again.digest() == data.digest() and again.looks == [1.0, 2.0]
    assert TrainingSet([clean]).digest() != TrainingSet([noisy]).digest()


def test_training_on_pairs_lowers_the_loss():
    data = [scene(n) for n in range(3)]
    training = TrainingSet([c for c, _ in data], [n for _, n in data], [4.0] * 3, [1.0] * 3)
    torch.manual_seed(0)
    from speckless.plugin.core.models.registry import create

    recipe = replace(RECIPE, learning_rate=2e-2)
    trainer = Trainer(create("ffdnet", TINY), recipe, training, 120)
    losses = [trainer.step() for _ in range(120)]
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:10])


def test_calibrated_model_keeps_the_mean_of_the_pairs():
    from speckless.plugin.core.models.registry import create

    clean, noisy = scene()
    clean[:10] = np.nan
    torch.manual_seed(0)
    training = TrainingSet([clean], [noisy], [4.0], [1.0])
    trainer = Trainer(create("ffdnet", TINY), RECIPE, training, 8)
    with torch.no_grad():
        trainer.average["last.bias"].fill_(0.3)
        trainer.model.last.bias.fill_(0.3)
    factor = trainer.calibrate()
    assert factor > 1.1  # the bias made estimates too small
    batch = trainer.stream.batch(0)
    with torch.no_grad():
        x = trainer.model(batch.noisy, batch.looks).x
    known = ~batch.clean.isnan()
    assert float(x[known].mean() / batch.clean[known].mean()) == pytest.approx(1, abs=0.1)


def test_pairs_are_matched_by_name_else_by_order():
    assert match_pairs(["x/a.tif", "x/b.tif"], ["y/b.tif", "y/a.img"]) == [
        ("x/a.tif", "y/a.img"), ("x/b.tif", "y/b.tif"),
    ]  # fmt: skip
    assert match_pairs(["a", "b"], ["c", "d"]) == [("a", "c"), ("b", "d")]
    assert match_pairs(["a", "b"], ["mean"]) == [("a", "mean"), ("b", "mean")]
    with pytest.raises(InvalidInput, match="2 noisy rasters and 3 references"):
        match_pairs(["a", "b"], ["c", "d", "e"])
    with pytest.raises(InvalidInput, match="at least one"):
        match_pairs(["a"], [])


def test_folders_are_matched_and_the_odd_ones_told(pairs, tmp_path):
    (tmp_path / "noisy" / "alone.tif").write_bytes(b"")
    found, warnings = match_folders(str(tmp_path / "noisy"), str(tmp_path / "clean"))
    assert found == pairs
    assert len(warnings) == 1 and "alone" in warnings[0]
    with pytest.raises(InvalidInput, match="There is no folder"):
        match_folders(str(tmp_path / "nowhere"), str(tmp_path / "clean"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no rasters"):
        match_folders(str(tmp_path / "empty"), str(tmp_path / "clean"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.tif").write_bytes(b"")
    with pytest.raises(InvalidInput, match="has the name of one"):
        match_folders(str(tmp_path / "other"), str(tmp_path / "clean"))


def test_pairs_are_read_with_looks_scale_and_mask(pairs):
    found = read_pairs(pairs, "auto", 4.0, "mean", never)
    clean, noisy = scene(1)
    np.testing.assert_array_equal(found.data.noisy[1], noisy)
    assert np.isnan(found.data.clean[1][:4, :4]).all()
    np.testing.assert_array_equal(found.data.clean[1][5:], clean[5:])
    assert found.data.looks == [4.0, 4.0]
    assert found.data.scales[1] == pytest.approx(noisy.mean(), rel=1e-5)
    estimated = read_pairs(pairs, "auto", None, "geometric", never)
    assert 1.5 < estimated.data.looks[0] < 6
    assert estimated.data.scales[1] == pytest.approx(np.exp(np.log(noisy).mean()), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("shape", "a pair must show the same"), ("bands", "has 1 bands, its reference"),
        ("place", "different places"), ("nodata", "No pixel is valid"),
        ("dark", "nothing above zero"), ("junk", "junk.tif"),
    ],
)  # fmt: skip
def test_pairs_that_do_not_fit_are_refused(tmp_path, kind, word):
    clean, noisy = scene()
    grid, other = (0.0, 10.0, 0.0, 0.0, 0.0, -10.0), (500.0, 10.0, 0.0, 0.0, 0.0, -10.0)
    reference, at = clean, grid
    if kind == "shape":
        reference = clean[:-1]
    elif kind == "bands":
        reference = np.stack([clean, clean])
    elif kind == "place":
        at = other
    elif kind == "nodata":
        reference = np.full_like(clean, np.nan)
    elif kind == "dark":
        noisy = np.zeros_like(noisy)
    first = make_raster(tmp_path / "n.tif", noisy, geotransform=grid)
    second = make_raster(tmp_path / "c.tif", reference, geotransform=at, nodata=float("nan"))
    if kind == "junk":
        (tmp_path / "junk.tif").write_bytes(b"no raster")
        second = str(tmp_path / "junk.tif")
    with pytest.raises(SpecklessError, match=re.escape(word)):
        read_pairs([(first, second)], "intensity", 4.0, "mean", never)


def test_large_rasters_are_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(training_images, "_SIDE", 64)
    clean, noisy = scene(shape=(200, 200))
    paths = make_raster(tmp_path / "n.tif", noisy), make_raster(tmp_path / "c.tif", clean)
    found = read_pairs([paths], "auto", 4.0, "mean", never, max_pixels=4 * 64 * 64)
    assert found.data.pixels == 4 * 64 * 64
    assert len(found.data) == 4


def test_clean_images_are_pictures_or_rasters_not_both(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    clean, _ = scene()
    clean[:4] = 0
    make_raster(folder / "a.tif", np.stack([clean, 2 * clean]))
    found = read_clean(str(folder), None, "intensity", never)
    assert len(found.data) == 2 and not found.data.gray
    assert np.isnan(found.data.clean[0][:4]).all()
    make_raster(folder / "b.tif", np.full((9, 9), 100, "uint8"))
    with pytest.raises(InvalidInput, match="holds both"):
        read_clean(str(folder), None, "intensity", never)
    (folder / "a.tif").unlink()
    found = read_clean(str(folder), None, "auto", never)
    assert found.data.gray and found.data.clean[0][0, 0] == pytest.approx(100 / 255)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="There is no folder"):
        read_clean(str(tmp_path / "nowhere"), None, "auto", never)
    with pytest.raises(SpecklessError, match="No images"):
        read_clean(str(tmp_path), None, "auto", never)
    make_raster(tmp_path / "nan.tif", np.full((9, 9), np.nan, "float32"), nodata=float("nan"))
    with pytest.raises(SpecklessError, match="no valid pixel"):
        read_clean(str(tmp_path), None, "intensity", never)
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    with pytest.raises(SpecklessError, match=r"broken\.tif"):
        read_clean(str(tmp_path), None, "intensity", never)

"""Training on the user's own data: pairs, folders, budgets, the engine, the report, refusals."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from speckless.plugin.core.errors import Cancelled, InvalidInput, ModelError, SpecklessError
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.core.pairs import PairStream, known_or
from speckless.plugin.core.recipe import Recipe
from speckless.plugin.core.training import Trainer
from speckless.plugin.core.training_data import TrainingSet, patch_grid

gdal = pytest.importorskip("osgeo.gdal")

from raster_files import digests, make_raster  # noqa: E402

from speckless.plugin.jobs import training_images  # noqa: E402
from speckless.plugin.jobs.training import TrainJob, entry_text  # noqa: E402
from speckless.plugin.jobs.training_images import (  # noqa: E402
    match_folders,
    match_pairs,
    read_clean,
    read_pairs,
)
from speckless.plugin.jobs.training_settings import parse_arguments, recipe_for  # noqa: E402

TINY = {"layers": 3, "channels": 4}
RECIPE = Recipe(
    id="tiny", title="Tiny", architecture="ffdnet", arguments=TINY, scale="geometric",
    looks=(1.0, 4.0), patch=16, stride=8, batch=4, epochs=100, loss="log", schedule="cosine",
    flips=True, ema=0.9,
)  # fmt: skip
CPU = torch.device("cpu")


def never():
    return False


def silent(part, text):
    del part, text


def scene(seed=0, shape=(48, 56), looks=4):
    """Clean and noisy intensity."""
    rng = np.random.default_rng(seed)
    clean = np.exp(np.sin(np.arange(shape[1]) / 5)[None] + np.cos(np.arange(shape[0]) / 7)[:, None])
    return clean.astype("float32"), (clean * rng.gamma(looks, 1 / looks, shape)).astype("float32")


@pytest.fixture
def pairs(tmp_path):
    """Two noisy rasters and their references, in a folder each."""
    for kind in ("noisy", "clean"):
        (tmp_path / kind).mkdir()
    found = []
    for number in range(2):
        clean, noisy = scene(number)
        clean[:4, :4] = np.nan
        found.append(
            (
                make_raster(tmp_path / "noisy" / f"s{number}.tif", noisy),
                make_raster(tmp_path / "clean" / f"s{number}.tif", clean, nodata=float("nan")),
            )
        )
    return found


def job(pairs, tmp_path, **changes):
    values = {
        "recipe": RECIPE, "output": str(tmp_path / "m.safetensors"), "steps": 6, "looks": 4.0,
        "noisy": [p[0] for p in pairs], "references": [p[1] for p in pairs], "precision": "fp32",
        "validation_share": 0.5, "report_seconds": 0.0, **changes,
    }  # fmt: skip
    return TrainJob(**values)


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


def test_model_card_and_report_of_pairs(pairs, tmp_path):
    report = tmp_path / "report.html"
    trained = job(pairs, tmp_path, report=str(report)).train(silent, never)
    card = load_model(tmp_path / "m.safetensors").card
    assert card == ModelCard.from_json(trained.card.to_json()) and card.looks_range == (4.0, 4.0)
    assert card.training["data"] == "2 pairs of noisy and reference rasters"
    assert card.training["steps"] == 6 and card.training["recipe"]["psf"] == [0.0, 0.0]
    assert set(card.quality["validation"]) == {"loss", "log-RMSE"}
    steps = [entry["step"] for entry in trained.log]
    assert steps[0] == 0 and steps[-1] == 6
    assert "held-out loss" in trained.log[0] and "held-out loss" in trained.log[-1]
    text = report.read_text(encoding="utf-8")
    assert text.count("<svg") == 2 and text.count("<img") == 4 * len(trained.samples["looks"])
    assert len(trained.samples["looks"]) > 0
    for word in ("held out", "log-RMSE", card.tensors_sha256, "2 pairs of noisy"):
        assert word in text
    assert (tmp_path / "m.json").exists() and (tmp_path / "m.checkpoint").exists()


def test_trained_in_the_engine_as_here(pairs, tmp_path):
    messages = []
    values = {"report": str(tmp_path / "r.html"), "keep_checkpoint": False, "card_beside": False}
    here = job(pairs, tmp_path, output=str(tmp_path / "h.safetensors"), **values).run(silent, never)
    there = job(pairs, tmp_path, in_engine=True, **values).train(
        lambda part, text: messages.append(text), never
    )
    assert there.device == "cpu" and there.precision == "fp32"
    # The batch is parted over other numbers of threads, so the last digits differ.
    for name, value in here.quality["validation"].items():
        assert there.card.quality["validation"][name] == pytest.approx(value, rel=0.02)
    assert there.card.training["recipe"] == here.training["recipe"]
    assert sum(text.startswith("step") for text in messages) >= 2
    assert (tmp_path / "r.html").exists()
    assert not list(tmp_path.glob("*.checkpoint")) and not list(tmp_path.glob("*.json"))


def test_cancelled_in_the_engine_goes_on_where_it_stopped(pairs, tmp_path):
    wanted = job(
        pairs, tmp_path, in_engine=True, steps=100_000, keep_checkpoint=False,
        checkpoint_seconds=0.0,
    )  # fmt: skip
    checkpoint = tmp_path / "m.checkpoint"
    with pytest.raises(Cancelled):
        wanted.run(silent, checkpoint.exists)
    assert not (tmp_path / "m.safetensors").exists()
    saved = torch.load(checkpoint, weights_only=True)
    done = saved["trainer"]["done"]
    assert 0 < done < 100_000
    # A shorter schedule lies in the checkpoint only because the test puts it there.
    saved["trainer"]["steps"] = done + 2
    torch.save(saved, checkpoint)
    card = replace(wanted, warnings=[]).run(silent, never)
    assert card.training["steps"] == done + 2
    assert not checkpoint.exists()


def test_temporary_output_is_found_again(pairs, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    wanted = job(pairs, tmp_path, temporary=True, keep_checkpoint=False)
    told = []
    with pytest.raises(Cancelled):
        wanted.run(lambda part, text: told.append(part), lambda: max(told, default=0) > 0.3)
    assert len(list(folder.glob("*.checkpoint"))) == 1
    card = replace(wanted, output=str(tmp_path / "other.safetensors")).run(silent, never)
    assert card.training["steps"] == 6
    assert not list(folder.iterdir())


def test_checkpoint_of_other_images_or_junk_is_refused(pairs, tmp_path):
    job(pairs, tmp_path).run(silent, never)
    with pytest.raises(InvalidInput, match="other images"):
        job(pairs[:1], tmp_path).run(silent, never)
    (tmp_path / "m.checkpoint").write_bytes(b"junk")
    with pytest.raises(InvalidInput, match="cannot be read as a checkpoint"):
        job(pairs, tmp_path).run(silent, never)


def test_checkpoint_that_cannot_be_written_is_told_and_the_training_goes_on(pairs, tmp_path):
    wanted = job(pairs, tmp_path, checkpoint=str(tmp_path / "nowhere" / "c.checkpoint"))
    said = []
    card = wanted.run(lambda part, text: said.append(text), never)
    assert card.training["steps"] == 6
    assert sum("cannot be written" in text for text in said) == 1


def test_model_that_cannot_be_written_is_told(pairs, tmp_path, monkeypatch):
    from speckless.plugin.core import training_run

    def full(*_values):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training_run, "save_model", full)
    with pytest.raises(ModelError, match="No space left"):
        job(pairs, tmp_path).run(silent, never)
    assert not (tmp_path / "m.safetensors").exists()


def test_budget_shortens_the_schedule(pairs, tmp_path):
    card = job(pairs, tmp_path, steps=0, budget_seconds=0.1).run(silent, never)
    full = card.training["full_schedule_patches"] // RECIPE.batch
    assert 2 <= card.training["steps"] < full
    few = job(
        pairs, tmp_path, steps=3, budget_seconds=1000.0, output=str(tmp_path / "f.safetensors")
    )
    assert few.run(silent, never).training["steps"] == 3


def test_half_precision_only_where_nothing_moves(pairs, tmp_path, monkeypatch):
    from speckless.plugin.core import training_run

    def size(name):
        return next(iter(load_file(str(tmp_path / f"{name}.safetensors")).values())).dtype

    for name, tolerance in (("kept", 0.0), ("rounded", 1.0)):
        monkeypatch.setattr(training_run, "_HALF_LOSS", tolerance)
        output = str(tmp_path / f"{name}.safetensors")
        job(pairs, tmp_path, output=output, half="auto").run(silent, never)
    assert (size("kept"), size("rounded")) == (torch.float32, torch.float16)


def test_trained_model_joins_the_list(pairs, tmp_path):
    models = tmp_path / "models"
    for number in (1, 2):
        output = str(tmp_path / f"o{number}.safetensors")
        wanted = job(pairs, tmp_path, output=output, list_folder=str(models), steps=2)
        wanted.run(silent, never)
        assert ModelCard.read(wanted.listed).id == ("tiny" if number == 1 else "tiny-2")
    assert sorted(digests(models)) == ["tiny-2.safetensors", "tiny.safetensors"]


def test_going_on_from_a_model_keeps_its_network(pairs, tmp_path):
    job(pairs, tmp_path).run(silent, never)
    start = str(tmp_path / "m.safetensors")
    again = job(
        pairs, tmp_path, recipe=replace(RECIPE, parent=start), steps=1,
        output=str(tmp_path / "n.safetensors"),
    )  # fmt: skip
    assert again.run(silent, never).parent == start
    other = replace(RECIPE, parent=start, arguments={"layers": 4, "channels": 4})
    with pytest.raises(InvalidInput, match="must be the same"):
        replace(again, recipe=other).run(silent, never)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"images": "x"}, "more than one was given"),
        ({"noisy": (), "references": ()}, "Give either"),
        ({"references": ()}, "at least one of each"),
        ({"validation_share": 1.0}, "held out"),
        ({"half": "perhaps"}, "HALF"),
        ({"report": "/nowhere/r.html"}, "no folder"),
        ({"in_engine": True, "output": "/nowhere/m.safetensors"}, "does not exist"),
        ({"in_engine": True, "output": "m.pt"}, "safetensors"),
        ({"recipe": replace(RECIPE, parent="nobody")}, "no model 'nobody'"),
    ],
)
def test_wrong_jobs_are_refused_before_anything_is_read(pairs, tmp_path, changes, word):
    with pytest.raises(SpecklessError, match=word):
        job(pairs, tmp_path, **changes).check()


def test_small_images_train_without_holding_out(tmp_path):
    clean, noisy = scene(shape=(24, 40))
    pair = make_raster(tmp_path / "n.tif", noisy), make_raster(tmp_path / "c.tif", clean)
    said = []
    wanted = job([pair], tmp_path, steps=2)
    card = wanted.run(lambda part, text: said.append(text), never)
    assert card.quality == {} and any("too few and too small" in text for text in said)


def test_recipes_of_the_toolbox():
    recipe = recipe_for(id="a", architecture="ffdnet", arguments="layers=4, channels=8")
    assert recipe.arguments == {"layers": 4, "channels": 8}
    assert recipe.scale == "geometric" and recipe.dynamic_range[1] > 0 and recipe.psf[1] > 0
    plain = recipe_for(
        id="a", architecture="dopamine", loss="mse", looks=(1.0, 1.0), speckle="white",
        stretch=False,
    )  # fmt: skip
    assert (plain.scale, plain.looks, plain.psf) == ("mean", (1.0,), (0.0, 0.0))
    assert parse_arguments("a=1; b=0.5,c=word, d=true") == {
        "a": 1,
        "b": 0.5,
        "c": "word",
        "d": True,
    }
    for bad in ("layers", "=3", "layers=", "1x=2"):
        with pytest.raises(InvalidInput, match="NAME=VALUE"):
            parse_arguments(bad)
    for values in ({"looks": (4.0, 1.0)}, {"looks": (0.5, 2.0)}, {"speckle": "pink"},
                   {"architecture": "boxcar"}):  # fmt: skip
        with pytest.raises(InvalidInput):
            recipe_for(**{"id": "a", "architecture": "ffdnet", **values})


def test_log_line_names_what_it_knows():
    text = entry_text({"step": 5, "loss": 0.25, "seconds": 3.0, "left": 120.0})
    assert text == "step 5  loss 0.25  2 min left"

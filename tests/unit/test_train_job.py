"""Training on the user's own data: budgets, the engine, checkpoints, the report, refusals."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from speckless.plugin.core.errors import Cancelled, InvalidInput, ModelError, SpecklessError
from speckless.plugin.core.losses import combined
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.weights import load_model

gdal = pytest.importorskip("osgeo.gdal")

from own_data import RECIPE, make_pairs, never, scene  # noqa: E402
from raster_files import digests, make_raster  # noqa: E402

from speckless.plugin.jobs.__main__ import read_recipe  # noqa: E402
from speckless.plugin.jobs.training import TrainJob, entry_text  # noqa: E402
from speckless.plugin.jobs.training_settings import TRAINABLE, parse_arguments, recipe_for  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture
def pairs(tmp_path):
    """Two noisy rasters and their references, in a folder each."""
    return make_pairs(tmp_path)


def silent(part, text):
    del part, text


def job(pairs, tmp_path, **changes):
    values = {
        "recipe": RECIPE, "output": str(tmp_path / "m.safetensors"), "steps": 6, "looks": 4.0,
        "noisy": [p[0] for p in pairs], "references": [p[1] for p in pairs], "precision": "fp32",
        "validation_share": 0.5, "report_seconds": 0.0, **changes,
    }  # fmt: skip
    return TrainJob(**values)


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
        assert there.card.quality["validation"][name] == pytest.approx(value, rel=0.005)
    ours, theirs = (ModelCard.read(tmp_path / f"{name}.safetensors") for name in "hm")
    assert theirs.training["recipe"] == ours.training["recipe"]
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
    for arguments in ({"layers": 3, "channels": 8}, {"layers": 2, "channels": 4}):
        other = replace(RECIPE, parent=start, arguments={**RECIPE.arguments, **arguments})
        with pytest.raises(InvalidInput, match="must be the same"):
            replace(again, recipe=other).run(silent, never)


@pytest.mark.parametrize("in_engine", [False, True])
def test_going_on_deeper_begins_where_the_parent_is(pairs, tmp_path, in_engine):
    job(pairs, tmp_path).run(silent, never)
    starts = []
    for layers in (RECIPE.arguments["layers"], 6):
        recipe = replace(
            RECIPE,
            parent=str(tmp_path / "m.safetensors"),
            arguments={**RECIPE.arguments, "layers": layers},
        )
        output = tmp_path / "n.safetensors"
        wanted = job(
            pairs, tmp_path, recipe=recipe, output=str(output), in_engine=in_engine, steps=1,
            keep_checkpoint=False,
        )  # fmt: skip
        starts.append(wanted.train(silent, never).log[0])
    assert starts[0]["step"] == 0
    for name in ("held-out loss", "log-RMSE"):
        assert starts[1][name] == pytest.approx(starts[0][name], rel=1e-4)
    model = load_model(output)
    assert len(model.inner) == 4 and model.card.radius == 14


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
    assert recipe.arguments == {"layers": 4, "channels": 8, "domain": "log"}
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


@pytest.mark.parametrize("loss", ["log", "mse"])
@pytest.mark.parametrize("architecture", TRAINABLE)
def test_every_network_can_be_trained_from_the_toolbox(architecture, loss):
    """Its arguments make it, and its terms are those of its own recipe."""
    recipe = recipe_for(id="a", architecture=architecture, loss=loss, patch=32, batch=2)
    beside = Path(__file__).parents[2] / "recipes" / f"{architecture}.toml"
    if beside.exists():
        assert recipe.terms == read_recipe(beside).terms
    network = create(architecture, recipe.arguments)
    assert network.describe(id="a", title="", architecture=architecture).radius > 0
    combined(recipe.loss, recipe.terms)


def test_log_line_names_what_it_knows():
    text = entry_text({"step": 5, "loss": 0.25, "seconds": 3.0, "left": 120.0})
    assert text == "step 5  loss 0.25  2 min left"

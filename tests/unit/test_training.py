"""Training: reproducible, resumable, honest about divergence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.losses import log_loss
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.core.patches import PatchStream
from speckless.plugin.core.recipe import Recipe
from speckless.plugin.core.training import Trainer
from speckless.plugin.jobs.__main__ import main, read_recipe
from speckless.plugin.jobs.training import TrainJob

gdal = pytest.importorskip("osgeo.gdal")

RECIPE = Recipe(
    id="tiny",
    title="Tiny",
    architecture="dopamine",
    arguments={"layers": 3, "channels": 4, "blocks": 1},
    looks=(0.5, 12.0),
    group=4,
    patch=16,
    stride=8,
    batch=4,
    epochs=2,
    ema=0.9,
)
SAR = replace(
    RECIPE,
    architecture="ffdnet",
    arguments={"layers": 3, "channels": 4},
    loss="log",
    looks=(1.0, 4.0),
    dynamic_range=(1.5, 6.0),
    psf=(0.0, 1.0),
    bright_points=0.01,
    flips=True,
    schedule="cosine",
)


def gray(count=3, size=48):
    rng = np.random.default_rng(0)
    ramp = np.linspace(0.1, 0.9, size)
    return [
        (ramp * rng.uniform(0.5, 1) + ramp[:, None] * 0.1).astype("float32") for _ in range(count)
    ]


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    driver = gdal.GetDriverByName("GTiff")
    for index, image in enumerate(gray()):
        dataset = driver.Create(str(images / f"{index}.tif"), 48, 48, 1, gdal.GDT_Byte)
        dataset.GetRasterBand(1).WriteRaster(0, 0, 48, 48, (image * 255).astype("uint8").tobytes())
        dataset = None
    return images


def weights(trainer):
    return torch.cat([value.reshape(-1) for value in trainer.model.state_dict().values()])


def fresh(recipe=RECIPE, steps=8):
    torch.manual_seed(0)
    return Trainer(create(recipe.architecture, recipe.arguments), recipe, gray(), steps)


@pytest.mark.parametrize("recipe", [RECIPE, SAR], ids=["mse", "log"])
def test_resumed_training_equals_an_unbroken_one(recipe):
    whole = fresh(recipe)
    for _ in range(8):
        whole.step()
    first = fresh(recipe)
    for _ in range(5):
        first.step()
    second = fresh(recipe)
    second.restore(first.state())
    for _ in range(3):
        second.step()
    torch.testing.assert_close(weights(second), weights(whole), rtol=0, atol=0)
    torch.testing.assert_close(second.result(), whole.result(), rtol=0, atol=0)


def test_training_lowers_the_loss():
    trainer = fresh(replace(RECIPE, learning_rate=3e-3), steps=60)
    losses = [trainer.step() for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_diverged_training_says_so():
    trainer = fresh()
    with torch.no_grad():
        trainer.model.last.weight.fill_(float("nan"))
    with pytest.raises(InvalidInput, match="diverged"):
        trainer.step()


def test_halving_schedule_is_the_papers():
    trainer = fresh(steps=30)
    rates = [trainer.learning_rate(step) for step in (0, 9, 10, 19, 20, 29)]
    assert rates == [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4]


def test_groups_share_looks_and_epochs_draw_afresh():
    recipe = replace(RECIPE, batch=36, group=12)
    stream = PatchStream(gray(), recipe, torch.device("cpu"))
    first = stream.batch(0).looks
    assert len(set(first.tolist())) <= len(stream.grid) // recipe.group + 1
    assert not torch.equal(first, stream.batch(stream.steps_per_epoch).looks)
    assert float(first.min()) >= 0.5


@pytest.mark.parametrize("psf", [(0.0, 0.0), (0.0, 0.01), (0.9, 0.9)])
def test_speckle_of_patches_has_mean_one_and_the_variance_of_its_looks(psf):
    recipe = replace(RECIPE, looks=(2.0,), psf=psf, patch=48, stride=1, batch=1, group=1)
    stream = PatchStream([np.full((200, 60), 0.5, np.float32)], recipe, torch.device("cpu"))
    batches = [stream.batch(n) for n in range(60)]
    ratio = torch.cat([(b.noisy / b.clean).reshape(-1) for b in batches])
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)
    assert float(ratio.var()) == pytest.approx(0.5, rel=0.08)


def test_point_spread_blurs_the_scene_and_keeps_its_mean():
    recipe = replace(RECIPE, looks=(4.0,), psf=(0.8, 0.8), patch=48, stride=1, batch=1, group=1)
    rng = np.random.default_rng(4)
    images = [rng.uniform(0.2, 1.0, (120, 120)).astype(np.float32)]
    sharp = PatchStream(images, replace(recipe, psf=(0.0, 0.0)), torch.device("cpu"))
    blurred = PatchStream(images, recipe, torch.device("cpu"))
    flat, seen = [], []
    for number in range(20):
        flat.append(sharp.batch(number).clean)
        seen.append(blurred.batch(number))
    clean = torch.cat([batch.clean for batch in seen])
    assert float(clean.mean()) == pytest.approx(float(torch.cat(flat).mean()), rel=0.02)
    assert float(clean.var()) < 0.5 * float(torch.cat(flat).var())
    ratio = torch.cat([batch.noisy / batch.clean for batch in seen])
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)


def test_log_loss_is_least_at_the_truth():
    clean = torch.rand(100) + 0.1
    at_truth = log_loss(clean, clean)
    assert float(at_truth) == pytest.approx(0, abs=1e-6)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert log_loss(clean * factor, clean) > at_truth


def test_calibrated_model_keeps_the_mean_of_flat_scenes():
    trainer = fresh(SAR)
    with torch.no_grad():
        trainer.model.last.bias.fill_(0.3)
        trainer.average["last.bias"].fill_(0.3)
    factor = trainer.calibrate()
    assert factor == pytest.approx(np.exp(0.3), rel=0.2)
    assert trainer.calibrate() == pytest.approx(factor, rel=1e-4)  # from the result, not on top
    flat = [np.full((256, 256), 0.5, np.float32)]
    batch = PatchStream(flat, replace(SAR, bright_points=0.0), torch.device("cpu")).batch(40)
    with torch.no_grad():
        ratio = trainer.model(batch.noisy, batch.looks).x / batch.clean
    assert float(ratio.mean()) == pytest.approx(1, abs=0.1)


def test_killed_job_goes_on_and_writes_the_model(folder, tmp_path):
    output, checkpoint = tmp_path / "tiny.safetensors", tmp_path / "tiny.checkpoint"
    job = TrainJob(RECIPE, str(folder), str(output), str(checkpoint), steps=6, precision="fp32")
    calls = []

    def stop_after_three():
        calls.append(1)
        return len(calls) > 7  # asked for each of 3 images, at the start, and before a step

    with pytest.raises(Cancelled, match="step 3"):
        job.run(lambda part, text: None, stop_after_three)
    assert not output.exists()
    card = job.run(lambda part, text: None, lambda: False)
    unbroken = TrainJob(
        RECIPE, str(folder), str(tmp_path / "b.safetensors"), str(tmp_path / "b.checkpoint"),
        steps=6, precision="fp32",
    )  # fmt: skip
    assert (
        unbroken.run(lambda part, text: None, lambda: False).tensors_sha256 == card.tensors_sha256
    )
    assert load_model(output).card.training["steps"] == 6


def test_half_precision_weights_are_what_the_card_measured(folder, tmp_path):
    job = TrainJob(
        RECIPE, str(folder), str(tmp_path / "h.safetensors"), str(tmp_path / "h.checkpoint"),
        steps=2, half=True, validation_images=str(folder), validation_count=2,
    )  # fmt: skip
    card = job.run(lambda part, text: None, lambda: False)
    model = load_model(tmp_path / "h.safetensors")
    assert (tmp_path / "h.safetensors").stat().st_size < 2.6 * card.parameters + 6000
    again = Trainer(model, RECIPE, gray(), 1).validate(job._held_out(), (1.0, 4.0))
    for name, value in card.quality["validation"].items():
        assert again[name] == pytest.approx(value, abs=1e-3)


def test_foreign_checkpoint_is_refused(folder, tmp_path):
    paths = (str(folder), str(tmp_path / "a.safetensors"), str(tmp_path / "a.checkpoint"))
    TrainJob(RECIPE, *paths, steps=2).run(lambda part, text: None, lambda: False)
    with pytest.raises(InvalidInput, match="another recipe"):
        TrainJob(replace(RECIPE, seed=5), *paths, steps=2).run(lambda p, t: None, lambda: False)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(InvalidInput, match="fewer than a batch"):
        PatchStream([np.zeros((8, 8), np.float32)], RECIPE, torch.device("cpu"))


def test_recipe_file_with_a_typo_is_refused(tmp_path, capsys):
    recipe = tmp_path / "bad.toml"
    recipe.write_text('id = "x"\ntitle = "x"\narchitecture = "dopamine"\nlearnig_rate = 1.0\n')
    assert main(["train", str(recipe), "--images", str(tmp_path)]) == 1
    assert "learnig_rate" in capsys.readouterr().err


def test_recipe_changes_reach_nested_entries(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'id = "x"\ntitle = "x"\narchitecture = "dopamine"\n[arguments]\nlayers = 21\n'
    )
    changed = read_recipe(recipe, ["batch = 8", "arguments.channels = 16"])
    assert changed.batch == 8
    assert changed.arguments == {"layers": 21, "channels": 16}

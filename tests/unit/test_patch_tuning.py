"""Tuning by patches: deSpeckNet on one image, others on pairs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.patch_tuning import PatchTuner
from speckless.plugin.core.tuning import Scene, TuningRecipe

ARGUMENTS = {
    "despecknet": {"layers": 3, "channels": 4, "domain": "log"},
    "aindnet": {"channels": 4, "estimator_channels": 4, "blocks": (1, 1, 1, 1, 1)},
    "boxcar": {"radius": 1},
    "ffdnet": {"layers": 3, "channels": 4},
}
RECIPES = {
    "despecknet": TuningRecipe(1.0, method="despecknet", epochs=1, patience=0),
    "transfer": TuningRecipe(1.0, method="transfer", epochs=2, learning_rate=1e-2, patience=0),
    "retrain": TuningRecipe(1.0, method="retrain", epochs=2, learning_rate=1e-2, patience=0),
}
MODELS = {"despecknet": "despecknet", "transfer": "aindnet", "retrain": "ffdnet"}


def _scene(seed=0, height=100, width=90):
    rng = np.random.default_rng(seed)
    clean = np.where(np.arange(width) < width // 2, 1.0, 4.0) * np.ones((height, 1))
    noisy = (clean * rng.gamma(1.0, 1.0, clean.shape)).astype(np.float32)
    return Scene(noisy, np.ones(clean.shape, bool), 2.0, None, clean.astype(np.float32))


def _model(name):
    torch.manual_seed(0)
    model = create(name, ARGUMENTS[name])
    model.card = model.describe(id=name, title="", architecture=name, scale="geometric")
    return model


def _tuner(method, scenes=None, **changes):
    recipe = replace(RECIPES[method], **changes)
    scenes = [_scene()] if scenes is None else scenes
    return PatchTuner(_model(MODELS[method]), scenes, recipe)


def _run(tuner, most=1000):
    while not tuner.finished and tuner.done < most:
        tuner.step()
    return tuner


@pytest.mark.parametrize("method", list(RECIPES))
def test_held_out_loss_falls_and_the_best_weights_are_kept(monkeypatch, method):
    # Untrained, phase 2 has no despeckling to keep.
    monkeypatch.setattr("speckless.plugin.core.patch_tuning.SPECKLE_KEPT", 0.0)
    tuner = _run(_tuner(method), 16)
    assert tuner.best_epoch > 0
    best = tuner.history[tuner.best_epoch]
    assert best["change"] < -best["change_standard_error"]
    assert all(math.isfinite(value) for entry in tuner.history for value in entry.values())
    again = _tuner(method)
    again.model.load_state_dict(tuner._best)
    again.history.clear()
    again._measure(lambda: None)
    assert again.history[0]["risk"] == pytest.approx(best["risk"], rel=1e-4)


@pytest.mark.parametrize("method", ["transfer", "retrain"])
def test_references_with_speckle_leave_the_mean_right(method):
    rng = np.random.default_rng(1)
    clean = _scene().reference
    # Absolute errors are least at the median, 0.69 of the mean of such speckle.
    reference = clean * rng.gamma(1.0, 1.0, clean.shape).astype(np.float32)
    noisy = clean * rng.gamma(50.0, 0.02, clean.shape).astype(np.float32)
    scene = replace(_scene(), intensity=noisy, reference=reference)
    tuner = _run(_tuner(method, [scene], epochs=10, held_out=0.3))
    assert tuner.best_epoch > 0
    held = tuner._images[0].held

    def of_references(model):
        with torch.no_grad():
            x = model(tuner._images[0].z, torch.tensor([1.0])).x[0, 0].numpy() * scene.scale
        return float((reference / x)[held].mean())

    tuner.model.load_state_dict(tuner._best)
    tuner._freeze()
    assert of_references(tuner.model) > 1.2
    assert of_references(tuner.finish()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("method", ["transfer", "retrain"])
def test_land_that_changed_between_the_dates_is_no_change_of_level(method):
    scene = _scene()
    model = _model(MODELS[method])
    told = torch.tensor([1.0])
    z = torch.from_numpy(scene.intensity / scene.scale)[None, None]
    model.freeze_statistics(z, told)
    with torch.no_grad():
        before = model(z, told).x
    reference = 1.5 * before[0, 0].numpy() * scene.scale
    reference[-20:] *= 30
    tuner = PatchTuner(model, [replace(scene, reference=reference)], RECIPES[method])
    tuner._calibrate()
    with torch.no_grad():
        np.testing.assert_allclose(tuner.model(z, told).x, 1.5 * before, rtol=1e-3)


@pytest.mark.parametrize("method", ["despecknet", "transfer"])
def test_stopped_and_resumed_is_as_in_one_go(method):
    whole = _run(_tuner(method), 6)
    first = _run(_tuner(method), 3)
    second = _tuner(method)
    second.restore(first.state())
    _run(second, 6)
    assert second.history == whole.history
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], value, rtol=0, atol=0)
    other = _tuner(method, seed=5)
    with pytest.raises(InvalidInput, match="other settings"):
        other.restore(first.state())


def test_transfer_updates_norms_estimator_and_last_convolution_alone():
    tuner = _tuner("transfer")
    before = {k: v.clone() for k, v in tuner.model.named_parameters()}
    _run(tuner, 3)
    changed = {k for k, v in tuner.model.named_parameters() if not torch.equal(v, before[k])}
    assert changed
    assert all(name.startswith(("estimator.", "last.")) or ".norms." in name for name in changed)
    assert any(".norms." in name for name in changed)
    retrained = PatchTuner(_model("aindnet"), [_scene()], RECIPES["retrain"])
    before = {k: v.clone() for k, v in retrained.model.named_parameters()}
    _run(retrained, 3)
    assert any(
        ".convs." in k and not torch.equal(v, before[k])
        for k, v in retrained.model.named_parameters()
    )


def test_loss_of_phase_two_is_that_of_the_equations():
    model = _model("despecknet")
    z = torch.rand(1, 1, 12, 12) + 0.1
    learn = torch.ones_like(z, dtype=torch.bool)
    learn[..., 3] = False
    with torch.no_grad():
        x, n = model(z, torch.ones(1)).x, model.extra_maps(z, torch.ones(1))["noise"]
        weights = {"clean": 0.3, "noisy": 0.7, "variation": 0.0}
        loss = model.tuning_loss(z, learn, weights)
        expected = 0.3 * (z / x).log().square() + 0.7 * (z / (x * n)).log().square()
        torch.testing.assert_close(loss[learn], expected[learn], rtol=1e-4, atol=1e-6)
        assert bool((loss[~learn] == 0).all())
        smooth = model.tuning_loss(z, learn, {**weights, "variation": 1.0})
    log = x.log()[0, 0]
    dx, dy = log[5, 8] - log[5, 7], log[6, 7] - log[5, 7]
    added = float((smooth - loss)[0, 0, 5, 7])
    assert added == pytest.approx(math.hypot(float(dx), float(dy)), rel=1e-3)


def test_gradient_of_phase_two_is_that_of_finite_differences():
    model = _model("despecknet").double().eval()
    z = (torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(1)) + 0.1).double()
    learn = torch.ones_like(z, dtype=torch.bool)
    weights = {"clean": 0.3, "noisy": 0.7, "variation": 0.2}
    bias = model.clean.last.bias

    def loss():
        return model.tuning_loss(z, learn, weights, torch.double).sum()

    for parameter in (bias, model.noise.first.bias):
        (gradient,) = torch.autograd.grad(loss(), parameter)
        with torch.no_grad():
            values = []
            for step in (1e-6, -2e-6):
                parameter[0] += step
                values.append(float(loss()))
            parameter[0] += 1e-6
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(gradient[0]), rel=1e-4)


def test_nothing_is_learnt_from_masked_and_held_out_pixels():
    scene = _scene()
    area = np.zeros(scene.valid.shape, bool)
    area[:60] = True
    area[:8, :8] = False
    poisoned = scene.intensity.copy()
    poisoned[~area] *= 100
    tuner = _tuner("retrain", [replace(scene, area=area)])
    image = tuner._images[0]
    assert not (image.learn[0, 0].numpy() & ~area).any()
    assert not (image.learn[0, 0].numpy() & image.held).any()
    reference = scene.reference.copy()
    reference[:, 50:] = np.nan
    tuner = _tuner("retrain", [replace(scene, reference=reference)])
    assert not tuner._images[0].learn[..., 50:].any()


def test_a_loss_that_is_no_number_ends_it_and_leaves_the_best():
    tuner = _run(_tuner("despecknet"), 8)
    best = {k: v.clone() for k, v in tuner._best.items()}
    with torch.no_grad():
        tuner.model.clean.last.bias.fill_(math.nan)
    with pytest.raises(InvalidInput, match="diverged"):
        tuner.step()
    for name, value in tuner.finish().state_dict().items():
        torch.testing.assert_close(value, best[name], rtol=0, atol=0)
        assert bool(torch.isfinite(value).all())


def test_cancel_between_steps():
    tuner = _tuner("despecknet")

    def stop():
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        tuner.step(stop)
    assert tuner.done == 0
    tuner.step()
    assert tuner.done == 1


@pytest.mark.parametrize(
    ("model", "method", "message"),
    [
        ("aindnet", "despecknet", "deSpeckNet"),
        ("ffdnet", "transfer", "AINDNet"),
    ],
)
def test_methods_that_do_not_fit_are_refused(model, method, message):
    with pytest.raises(InvalidInput, match=message):
        PatchTuner(_model(model), [_scene()], RECIPES[method])


def test_pairs_and_enough_pixels_are_needed():
    with pytest.raises(InvalidInput, match="reference"):
        _tuner("retrain", [replace(_scene(), reference=None)])
    with pytest.raises(InvalidInput, match="too few"):
        _tuner("despecknet", [_scene(0, 7, 8)])


@pytest.mark.parametrize(("share", "kept"), [(1.0, True), (0.91, True), (0.89, False)])
def test_phase_two_keeps_no_weights_that_put_speckle_back(monkeypatch, share, kept):
    measured = iter([1.0])
    monkeypatch.setattr(PatchTuner, "_speckle", lambda self, check: next(measured, share))
    tuner = _run(_tuner("despecknet"), 8)
    lowest = min(tuner.history, key=lambda entry: entry["risk"])
    assert lowest["change"] < -lowest["change_standard_error"]  # by the loss alone it would be
    assert (tuner.best_epoch > 0) == kept


def test_speckle_taken_out_is_that_of_the_held_out_pixels():
    tuner = _tuner("despecknet")
    image = tuner._images[0]
    with torch.no_grad():
        x = tuner.model(image.z, torch.ones(1)).x
    taken = (image.z.log() - x.log())[0, 0].numpy()[image.held]
    assert tuner.history[0]["speckle"] == pytest.approx(taken.var(), rel=1e-3)

"""NN3D's filter, class-aware experts and their classifier, and the benchmarks of both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_benchmarks import image_folder, weights_file

from speckless.benchmarks.__main__ import main as bench
from speckless.plugin.core.class_training import train_classifier
from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.models.classaware import ClassAware, of_experts
from speckless.plugin.core.models.ffdnet import FFDNet
from speckless.plugin.core.models.nn3d import Nn3d, around
from speckless.plugin.core.models.weights import load_model, save_model
from speckless.plugin.core.recipe import Recipe
from speckless.plugin.jobs.checks import check_maps

NETWORK = {"layers": 3, "channels": 4}
LOOKS = torch.ones(1)


def speckle(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((1, 1, height, width), generator=generator).clamp_min(1e-3).log().neg()


def test_non_local_mean_smooths_what_is_alike_and_keeps_what_is_not():
    model = Nn3d(NETWORK, search=3, patch=1, strength=0.05)
    generator = torch.Generator().manual_seed(1)
    image = 0.05 * torch.randn((1, 1, 30, 40), generator=generator)
    image[..., 20:] += 3.0
    with torch.no_grad():
        smooth = model._filtered(image, torch.tensor(0.05))
    halves = (slice(0, 16), slice(24, 40))
    for half in halves:
        assert float(smooth[..., half].std()) < 0.4 * float(image[..., half].std())
    step = smooth[..., 20].mean() - smooth[..., 19].mean()
    assert float(step) == pytest.approx(3.0, abs=0.05)


def test_non_local_mean_is_the_definition():
    model = Nn3d(NETWORK, search=1, patch=1, strength=1.0)
    image = torch.rand((1, 1, 5, 6), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found = model._filtered(image, torch.tensor(0.1))
    z = image[0, 0].numpy()
    expected = np.zeros_like(z)
    for r, c in np.ndindex(z.shape):
        total = weights = 0.0
        for dr, dc in np.ndindex(3, 3):
            s, t = r + dr - 1, c + dc - 1
            if not (0 <= s < 5 and 0 <= t < 6):
                continue
            differences = [
                (z[r + i, c + j] - z[s + i, t + j]) ** 2
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
                if 0 <= r + i < 5 and 0 <= c + j < 6 and 0 <= s + i < 5 and 0 <= t + j < 6
            ]
            weight = np.exp(-np.mean(differences) / 0.1)
            total, weights = total + weight * z[s, t], weights + weight
        expected[r, c] = total / weights
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=1e-5)


def test_nn3d_feeds_back_weaker_noise():
    torch.manual_seed(0)
    inner = FFDNet(**NETWORK)
    model = around(inner, NETWORK, iterations=2, blend=0.5, search=1, patch=0)
    told = []
    model.network.register_forward_pre_hook(lambda module, args: told.append(float(args[1])))
    with torch.no_grad():
        model(speckle(8, 8), LOOKS)
    assert told == [1.0, 4.0]
    torch.testing.assert_close(model.network.last.weight, inner.last.weight)


def test_nn3d_refuses_senseless_settings():
    for wrong in ({"iterations": 0}, {"blend": 0.0}, {"search": 0}, {"strength": 0.0}):
        with pytest.raises(ValueError, match="out of range"):
            Nn3d(NETWORK, **wrong)


def experts(factors=(1.0, 2.0, 4.0)):
    """Experts that keep the image times a factor: last layers of nothing but a bias."""
    made = []
    for factor in factors:
        expert = FFDNet(**NETWORK)
        torch.nn.init.zeros_(expert.last.weight)
        torch.nn.init.constant_(expert.last.bias, -float(np.log(factor)))
        made.append(expert)
    return made


def test_a_class_raster_chooses_the_expert():
    model = of_experts(experts(), ["a", "b", "c"], NETWORK, 4).eval()
    model.card = model.describe(id="m", title="", architecture="classaware")
    z = speckle(20, 30)[0, 0].numpy()
    classes = np.ones_like(z)
    classes[:, 10:20], classes[:, 20:] = 2, 3
    x = despeckle_tile(model, z, np.ones(z.shape, bool), scale=1.0, looks=1.0, class_map=classes)[
        "x"
    ]
    np.testing.assert_allclose(x, z * 2.0 ** (classes - 1), rtol=1e-4)


def test_the_classifier_decides_where_the_raster_is_silent():
    torch.manual_seed(0)
    model = of_experts(experts((1.0, 2.0)), ["a", "b"], NETWORK, 4).eval()
    with torch.no_grad():
        model.classifier.last.weight.zero_()
        model.classifier.last.bias.copy_(torch.tensor([0.0, 9.0]))
        classes = torch.full((1, 10, 12), -1)
        classes[..., 6:] = 0
        shares = model.weights(speckle(10, 12), classes)
    assert shares.shape == (1, 2, 10, 12)
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 10, 12))
    assert bool((shares[:, 1, :, :6] == 1).all())
    assert bool((shares[:, 0, :, 6:] == 1).all())


def test_an_expert_without_a_part_does_not_run():
    torch.manual_seed(0)
    model = of_experts(experts((1.0, 2.0)), ["a", "b"], NETWORK, 4).eval()
    ran = []
    for number, expert in enumerate(model.experts):
        expert.register_forward_hook(lambda *_, number=number: ran.append(number))
    with torch.no_grad():
        model(speckle(9, 9), LOOKS, classes=torch.zeros((1, 9, 9), dtype=torch.long))
    assert ran == [0]


def test_other_networks_take_no_class_raster():
    network = FFDNet(**NETWORK)
    network.card = network.describe(id="f", title="", architecture="ffdnet")
    z = speckle(8, 8)[0, 0].numpy()
    with pytest.raises(InvalidInput, match="takes no map of classes"):
        despeckle_tile(
            network, z, np.ones(z.shape, bool), scale=1.0, looks=1.0, class_map=np.ones_like(z)
        )
    with pytest.raises(InvalidInput, match="leave CLASS_MAP out"):
        check_maps(network.card, None, "classes.tif")


def test_classifier_learns_to_tell_textures_apart():
    _, x = np.mgrid[:64, :64]
    stripes = (0.5 + 0.4 * np.sign(np.sin(x * 1.2))).astype("float32")
    flat = np.full((64, 64), 0.5, np.float32)
    recipe = Recipe(
        id="c", title="", architecture="ffdnet", looks=(4.0,), patch=32, stride=8, batch=4,
        learning_rate=5e-3,
    )  # fmt: skip
    torch.manual_seed(0)
    model = ClassAware(["stripes", "flat"], NETWORK, 8)
    before = [value.clone() for value in model.experts.state_dict().values()]
    losses = train_classifier(model, [[stripes] * 2, [flat] * 2], recipe, 60)
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
    assert not model.training
    for old, new in zip(before, model.experts.state_dict().values(), strict=True):
        assert torch.equal(old, new)
    rng = np.random.default_rng(1)
    noisy = torch.from_numpy((stripes * rng.gamma(4.0, 0.25, stripes.shape)).astype("float32"))
    with torch.no_grad():
        assert float(model.weights(noisy[None, None])[:, 0].mean()) > 0.7


def test_class_aware_models_are_saved_with_their_classes(tmp_path):
    arguments = {"classes": ["a", "b"], "network": NETWORK, "classifier_channels": 4}
    model = ClassAware(**arguments).eval()
    card = model.describe(id="m", title="", architecture="classaware", arguments=arguments)
    save_model(tmp_path / "m.safetensors", model, card)
    assert load_model(tmp_path / "m.safetensors").classes == ("a", "b")


def test_losses_are_compared(tmp_path, capsys):
    image_folder(tmp_path, 3)
    words = f"losses --images {tmp_path / 'images'} --steps 2 --losses mse,mixed --layers 3"
    words += " --channels 4 --patch 16 --batch 1 --precision fp32 --count 1"
    assert bench(words.split()) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[-2:]] == ["mse", "mixed"]
    assert all(np.isfinite(float(row[1])) for row in rows[-2:])
    assert bench([*words.split(), "--losses", "colour"]) == 1


def test_bias_free_networks_are_compared_outside_their_range(tmp_path, capsys):
    paths = image_folder(tmp_path, 3)
    held_out = tmp_path / "held_out.txt"
    held_out.write_text(f"{paths[0].name}\n")
    words = f"generalisation --images {paths[0].parent} --validation-list {held_out} --steps 2"
    words += " --layers 3 --channels 4 --patch 16 --batch 1 --range 4,8"
    assert bench(words.split()) == 0
    rows = capsys.readouterr().out.splitlines()
    assert "[4]" in rows[0]
    assert "32" in rows[0]
    assert [len(row.split()) for row in rows[1:]] == [9, 8]
    assert bench([*words.split(), "--range", "many"]) == 1


def test_gain_of_nn3d_is_measured_and_it_is_saved(tmp_path, capsys):
    torch.manual_seed(0)
    network = FFDNet(**NETWORK).eval()
    card = network.describe(
        id="tiny", title="Tiny", architecture="ffdnet", arguments=NETWORK, scale="mean"
    )
    save_model(tmp_path / "tiny.safetensors", network, card)
    image_folder(tmp_path, 2)
    output = tmp_path / "nn3d.safetensors"
    words = f"nn3d --model {tmp_path / 'tiny.safetensors'} --images {tmp_path / 'images'}"
    words += f" --looks 1 --search 1 --patch 1 --save {output}"
    assert bench(words.split()) == 0
    told = capsys.readouterr().out
    assert "K = 1" in told
    assert "K = 2" in told
    assert load_model(output).card.parent == "tiny"
    other = weights_file(tmp_path, "dopamine")
    assert bench(["nn3d", "--model", str(other), "--images", str(tmp_path / "images")]) == 1
    assert "no FFDNet" in capsys.readouterr().err


def test_classes_are_compared(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / "all" / name).mkdir(parents=True)
        image_folder(tmp_path / "all" / name, 6)
    output = tmp_path / "classes.safetensors"
    words = f"classes --images {tmp_path / 'all'} --classes one,two --steps 2 --classifier-steps 2"
    words += f" --layers 3 --channels 4 --patch 16 --batch 2 --count 1 --save {output}"
    assert bench(words.split()) == 0
    told = capsys.readouterr().out
    for row in ("agnostic", "expert of the class", "by the classifier", "expert of another"):
        assert row in told
    assert load_model(output).classes == ("one", "two")

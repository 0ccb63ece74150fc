"""deSpeckNet, AINDNet and ScaoedNet: shapes, reach, equivariance, tiles, loss terms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.losses import LOSS_FUNCTIONS, log_loss
from speckless.plugin.core.models.aindnet import AdaptiveInstanceNorm, asymmetric_loss
from speckless.plugin.core.models.layers import gradient_length, total_variation
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.weights import load_model, save_model
from speckless.plugin.core.recipe import Recipe
from speckless.plugin.core.tiling import Window, plan_tiles
from speckless.plugin.core.training import Trainer

SMALL = {
    "despecknet": {"layers": 4, "channels": 4, "domain": "log"},
    "despecknet-intensity": {"layers": 4, "channels": 4},
    "aindnet": {"channels": 4, "estimator_channels": 4, "blocks": (1, 1, 1, 1, 1)},
    "scaoednet": {"channels": 6, "blocks": 1, "block_depth": 1, "depth": 1, "stages": 2},
}
EQUIVARIANT = [name for name in SMALL if name != "despecknet-intensity"]
LOOKS = torch.ones(1)


def _speckle(height, width, seed=3, count=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 1, height, width)
    return torch.rand(shape, generator=generator).clamp_min(1e-3).log().neg() + 1e-3


def _network(name, **more):
    """Weights large enough that every path shows, statistics of some scene."""
    torch.manual_seed(1)
    network = create(name.split("-")[0], {**SMALL[name], **more})
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        for part in ("last", "decode", "initial_noise", "correct_noise"):
            if hasattr(network, part):  # corrections within the range that is let through
                getattr(network, part).weight.mul_(0.1)
    network.freeze_statistics(_speckle(24, 24, 9, 2), torch.ones(2))
    scale = "geometric" if name in EQUIVARIANT else "mean"
    network.card = network.describe(
        id=name, title=name, architecture=name.split("-")[0], scale=scale, arguments=SMALL[name]
    )
    return network.eval()


@pytest.fixture(scope="module", params=list(SMALL))
def network(request):
    return _network(request.param)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (17, 14)])
def test_odd_and_tiny_images_keep_their_shape(network, shape):
    image = _speckle(*shape)
    with torch.no_grad():
        maps = {"x": network(image, LOOKS).x, **network.extra_maps(image, LOOKS)}
    assert set(maps) == {"x", *network.card.maps}
    for values in maps.values():
        assert values.shape == image.shape
        assert bool(torch.isfinite(values).all())


def test_card_states_the_reach_of_estimate_and_maps(network):
    size = 4 * (network.card.radius // 2 + 3)
    middle = size // 2
    reaches = []
    for place in (middle, middle + 1, middle + 3):
        image = _speckle(size, size).double().requires_grad_(True)
        network.double()
        outputs = {"x": network(image, LOOKS).x, **network.extra_maps(image, LOOKS)}
        network.float()
        for values in outputs.values():
            (gradient,) = torch.autograd.grad(values[0, 0, place, place], image, retain_graph=True)
            rows, columns = torch.where(gradient[0, 0] != 0)
            reaches.append(max(int((rows - place).abs().max()), int((columns - place).abs().max())))
    # Less than the bound where pixels do not lie worst in the grid of the coarsest size.
    assert network.card.radius - 1 - 4 * (network.card.divisor > 1) <= max(reaches)
    assert max(reaches) <= network.card.radius


@pytest.mark.parametrize("name", EQUIVARIANT)
@pytest.mark.parametrize("factor", [1e-5, 0.37, 1e6])
def test_a_factor_comes_out_as_it_went_in(name, factor):
    network = _network(name)
    image = _speckle(20, 22)
    with torch.no_grad():
        once, scaled = network(image, LOOKS).x, network(factor * image, LOOKS).x
        maps, of_scaled = (network.extra_maps(z, LOOKS) for z in (image, factor * image))
    torch.testing.assert_close(scaled, factor * once, rtol=1e-3, atol=0)
    for key, values in maps.items():
        torch.testing.assert_close(of_scaled[key], values, rtol=1e-3, atol=1e-5)


def test_tiles_give_the_pixels_of_the_whole_image(network):
    values = _speckle(75, 70)[0, 0].numpy()
    valid = np.ones(values.shape, bool)
    valid[20:30, 40:50] = False
    values = np.where(valid, values, np.nan).astype(np.float32)
    whole = despeckle_tile(network, values, valid, scale=1.5, looks=1.0)["x"]
    tiled = np.full_like(whole, -1)
    card = network.card
    for tile in plan_tiles(Window(0, 0, 70, 75), None, 11, card.halo, card.divisor):
        source, core = tile.source, tile.core
        rows, columns = slice(source.y, source.bottom), slice(source.x, source.right)
        tiled[core.y : core.bottom, core.x : core.right] = despeckle_tile(
            network, values[rows, columns], valid[rows, columns],
            scale=1.5, looks=1.0, inner=tile.inner,
        )["x"]  # fmt: skip
    np.testing.assert_allclose(tiled, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["aindnet", "scaoednet"])
def test_statistics_are_the_sample_s_and_are_kept(name, tmp_path):
    network = _network(name)
    image = _speckle(24, 24)
    with torch.no_grad():
        before = network(image, LOOKS).x
        network.freeze_statistics(image**2, LOOKS)
        after = network(image, LOOKS).x
        again = network(image, LOOKS).x
    assert float((before - after).abs().max()) > 1e-4
    torch.testing.assert_close(after, again, rtol=0, atol=0)
    save_model(tmp_path / "m.safetensors", network, network.card)
    with torch.no_grad():
        loaded = load_model(tmp_path / "m.safetensors")(image, LOOKS).x
    torch.testing.assert_close(loaded, after, rtol=0, atol=0)


def test_frozen_statistics_are_those_of_instance_norm():
    network = _network("aindnet")
    image = _speckle(24, 24)
    network.freeze_statistics(image, LOOKS)
    with torch.no_grad():
        frozen = network(image, LOOKS).x
        live = network.train()(image, LOOKS).x
    torch.testing.assert_close(frozen, live, rtol=1e-3, atol=1e-5)


def test_instance_norm_has_zero_mean_and_unit_deviation():
    norm = AdaptiveInstanceNorm(3, 2)
    torch.nn.init.zeros_(norm.modulation.weight)
    torch.nn.init.zeros_(norm.modulation.bias)
    features = torch.randn(2, 3, 8, 9) * 5 + 2
    out = norm.train()(features, torch.ones(2, 1, 8, 9))
    torch.testing.assert_close(out.mean((2, 3)), torch.zeros(2, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.std((2, 3), correction=0), torch.ones(2, 3), rtol=0, atol=1e-4)


def test_bfloat16_is_near_single_precision(network):
    image = _speckle(24, 24)
    with torch.no_grad():
        single, half = network(image, LOOKS).x, network(image, LOOKS, torch.bfloat16).x
    assert half.dtype == torch.float32
    assert float((half - single).abs().median() / single.abs().median()) < 0.1


def test_batch_norm_folds_into_the_convolution():
    network = _network("despecknet")
    layer = network.clean.inner[0]
    layer.eval()
    torch.nn.init.uniform_(layer.norm.running_mean)
    torch.nn.init.uniform_(layer.norm.running_var, 0.5, 2)
    x = torch.randn(1, 4, 9, 9)
    with torch.no_grad():
        apart = torch.relu(layer.norm(layer.convolution(x)))
        torch.testing.assert_close(layer(x), apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factor", [0.9, 1.2])
def test_calibration_scales_the_estimate(network, factor):
    image = _speckle(12, 12)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        before = network(image, LOOKS).x
        assert network.scale_output(factor)
        after = network(image, LOOKS).x
    network.load_state_dict(state)
    torch.testing.assert_close(after, factor * before, rtol=1e-3, atol=1e-5)


def test_stages_are_a_prefix_of_all_stages():
    network = _network("scaoednet")
    image = _speckle(16, 16)
    with torch.no_grad():
        every = network.stage_estimates(image, LOOKS)
        network.set_stages(1)
        first = network(image, LOOKS).x
        network.set_stages(0)
        last = network(image, LOOKS).x
    assert len(every) == network.card.stages == 2
    torch.testing.assert_close(first, every[0])
    torch.testing.assert_close(last, every[1])
    assert float((first - last).abs().max()) > 1e-4
    with pytest.raises(ValueError, match="1 to 2"):
        network.set_stages(3)


def test_total_variation_is_the_length_of_the_gradient():
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 1] = 3.0
    # The point itself: (-3, -3); above and left of it: one step of 3 each.
    expected = (3 * np.sqrt(2) + 3 + 3) / 9
    assert float(total_variation(image)) == pytest.approx(expected, rel=1e-5)


def test_asymmetric_loss_punishes_underestimation_thrice():
    level = torch.full((1, 1, 4, 4), 0.5)
    under, over = asymmetric_loss(level - 0.1, level), asymmetric_loss(level + 0.1, level)
    assert float(under) == pytest.approx(0.75 * 0.01, rel=1e-4)
    assert float(over) == pytest.approx(0.25 * 0.01, rel=1e-4)


def _estimation_loss(level):
    return asymmetric_loss(level, torch.full_like(level, 0.9))


@pytest.mark.parametrize("term", [total_variation, gradient_length, _estimation_loss])
def test_gradients_of_terms_are_those_of_finite_differences(term):
    image = _speckle(5, 6).double().requires_grad_(True)
    assert torch.autograd.gradcheck(term, image, eps=1e-6, atol=1e-5)


def _distance(loss):
    return lambda estimate, clean: LOSS_FUNCTIONS[loss](estimate.x, clean)


@pytest.mark.parametrize("name", list(SMALL))
def test_gradient_of_the_training_loss(name):
    """Of every term together, along random directions of the weights."""
    terms = {
        "clean": 1.0,
        "noisy": 0.5,
        "variation": 0.3,
        "level": 0.7,
        "stages": 0.4,
        "noise": 0.6,
    }
    network = _network(name).double().train()
    noisy, clean = _speckle(8, 8, 1, 2).double(), 1 + _speckle(8, 8, 2, 2).double()
    looks = torch.tensor([1.0, 4.0], dtype=torch.double)
    parameters = list(network.parameters())

    def loss(values):
        distance = _distance("mse" if name == "despecknet-intensity" else "log")
        with torch.no_grad():
            for parameter, value in zip(parameters, values):
                parameter.copy_(value)
        return network.training_loss(distance, noisy, looks, clean, torch.double, terms)

    start = [p.detach().clone() for p in parameters]
    gradient = torch.autograd.grad(loss(start), parameters)
    generator = torch.Generator().manual_seed(5)
    step = 1e-6
    for _ in range(3):
        way = [torch.randn(p.shape, generator=generator, dtype=torch.double) for p in start]
        ahead, behind = (
            float(loss([p + sign * step * w for p, w in zip(start, way)]).detach())
            for sign in (1, -1)
        )
        slope = sum(float((g * w).sum()) for g, w in zip(gradient, way))
        assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_terms_count_by_their_weights():
    network = _network("despecknet")
    noisy, clean = _speckle(12, 12), torch.ones(1, 1, 12, 12)
    names = ("clean", "noisy", "variation")

    def loss(**weights):
        chosen = {**dict.fromkeys(names, 0.0), **weights}
        with torch.no_grad():
            return float(network.training_loss(_distance("log"), noisy, LOOKS, clean, None, chosen))

    with torch.no_grad():
        x, n = network(noisy, LOOKS).x, network.extra_maps(noisy, LOOKS)["noise"]
        product = (noisy.log() - (x * n).log()).square().mean()
        variation = total_variation(x.log())
        reconstruction = log_loss(x, clean)
    assert loss(clean=1.0) == pytest.approx(float(reconstruction), rel=1e-4)
    assert loss(noisy=1.0) == pytest.approx(float(product), rel=1e-4)
    assert loss(variation=2.0) == pytest.approx(2 * float(variation), rel=1e-4)
    together = float(reconstruction + product + variation)
    assert loss(clean=1.0, noisy=1.0, variation=1.0) == pytest.approx(together, rel=1e-4)


@pytest.mark.parametrize("name", list(SMALL))
def test_training_lowers_the_loss_and_leaves_statistics_to_start_from(name, tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.uniform(0.3, 0.7, (40, 40)).astype(np.float32) for _ in range(3)]
    recipe = Recipe(
        id="t", title="t", architecture=name.split("-")[0], arguments=SMALL[name],
        looks=(1.0, 4.0), patch=16, stride=8, batch=4, epochs=9, learning_rate=3e-3, ema=0.9,
        loss="mse" if name == "despecknet-intensity" else "log",
        terms={"noisy": 0.01} if "despecknet" in name else {},
    )  # fmt: skip
    torch.manual_seed(0)
    trainer = Trainer(create(recipe.architecture, recipe.arguments), recipe, images, 30)
    losses = [trainer.step() for _ in range(30)]
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])
    trainer.calibrate()
    stored = {k: v for k, v in trainer.model.named_buffers() if "running" not in k}
    assert bool(stored) == trainer.model.describe(id="t", title="", architecture="t").per_scene
    assert all(float((v - v.round()).abs().max()) > 1e-6 for v in stored.values())
    with torch.no_grad():
        x = trainer.model.eval()(_speckle(30, 30) * 0.5, LOOKS).x
    assert bool(torch.isfinite(x).all())

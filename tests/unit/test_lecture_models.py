"""Networks of the lecture and the baselines: shapes, reach, equivariance, tiles, training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.models.layers import BatchNorm2d, ConvNorm
from speckless.plugin.core.models.registry import ARCHITECTURES, create
from speckless.plugin.core.recipe import Recipe
from speckless.plugin.core.tiling import Window, plan_tiles
from speckless.plugin.core.training import Trainer
from speckless.plugin.jobs.__main__ import read_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"

SMALL = {
    "sardrn": ("sardrn", {"channels": 6}),
    "sardrn log": ("sardrn", {"channels": 6, "domain": "log"}),
    "dncnn": ("dncnn", {"layers": 5, "channels": 6}),
    "dncnn log": ("dncnn", {"layers": 5, "channels": 6, "domain": "log"}),
    "bf-cnn": ("dncnn", {"layers": 5, "channels": 6, "bias_free": True}),
    "bf-cnn amplitude": (
        "dncnn",
        {"layers": 5, "channels": 6, "bias_free": True, "domain": "amplitude"},
    ),
    "sarcnn": ("sarcnn", {"layers": 5, "channels": 6}),
    "idcnn": ("idcnn", {"layers": 4, "channels": 6}),
    "ffdnet": ("ffdnet", {"layers": 4, "channels": 6}),
    "ffdnet amplitude": ("ffdnet", {"layers": 4, "channels": 6, "domain": "amplitude"}),
    "bf-ffdnet": ("ffdnet", {"layers": 4, "channels": 6, "domain": "amplitude", "bias_free": True}),
    "nn3d": (
        "nn3d",
        {"network": {"layers": 3, "channels": 4}, "search": 2, "patch": 1, "strength": 0.3},
    ),
    "classaware": (
        "classaware",
        {"network": {"layers": 3, "channels": 4}, "classifier_channels": 4},
    ),
    "cbdnet": ("cbdnet", {"channels": 4, "estimator_channels": 4}),
}
EQUIVARIANT = [
    "sardrn log", "dncnn log", "bf-cnn", "bf-cnn amplitude", "sarcnn", "ffdnet", "bf-ffdnet",
    "cbdnet", "nn3d", "classaware",
]  # fmt: skip
BIAS_FREE = ["bf-cnn", "bf-cnn amplitude", "bf-ffdnet"]
LOOKS = torch.tensor([2.0])


def speckle(height, width, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((1, 1, height, width), generator=generator).clamp_min(1e-3).log().neg()


@pytest.fixture
def network(request):
    return build(request.param)


def build(name):
    """An untrained network whose batch statistics and last layer are not trivial."""
    architecture, arguments = SMALL[name]
    torch.manual_seed(1)
    network = create(architecture, arguments)
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.bias is not None:
            torch.nn.init.normal_(module.bias, 0, 0.1, generator=generator)
        if isinstance(module, BatchNorm2d):
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            torch.nn.init.uniform_(module.weight, 0.5, 2.0, generator=generator)
            if not module.bias_free:
                module.running_mean.normal_(0, 0.3, generator=generator)
                torch.nn.init.normal_(module.bias, 0, 0.3, generator=generator)
    for module in network.modules():
        if isinstance(getattr(module, "last", None), torch.nn.Conv2d):
            torch.nn.init.normal_(module.last.weight, std=0.1, generator=generator)
    if name == "idcnn":
        network.last.bias.data.fill_(1.0)  # far from its ReLU's kink
    network.card = network.describe(id="t", title="t", architecture=architecture, scale="mean")
    return network.eval()


every = pytest.mark.parametrize("network", SMALL, indirect=True)


@every
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (17, 16)])
def test_odd_and_tiny_images_keep_their_shape(network, shape):
    with torch.no_grad():
        estimate = network(speckle(*shape), LOOKS)
    assert estimate.x.shape == (1, 1, *shape)
    assert bool(torch.isfinite(estimate.x).all())


@every
def test_card_states_the_reach_of_the_network(network):
    radius, divisor = network.card.radius, network.card.divisor
    side = 2 * radius + 9
    reaches = []
    for shift in range(divisor):
        image = speckle(side, side).requires_grad_(True)
        at = radius + 4 + shift
        (gradient,) = torch.autograd.grad(network(image, LOOKS).x[0, 0, at, at], image)
        rows, columns = torch.where(gradient[0, 0] != 0)
        reaches.append(max(int((rows - at).abs().max()), int((columns - at).abs().max())))
    assert radius - divisor <= max(reaches) <= radius


@every
def test_tiles_are_the_whole_image(network):
    image = speckle(61, 83)[0, 0].numpy()
    valid = np.ones_like(image, bool)
    whole = despeckle_tile(network, image, valid, scale=1.3, looks=2.0)["x"]
    card = network.card
    tiles = plan_tiles(Window(0, 0, 83, 61), None, 21, card.halo, card.divisor)
    assert len(tiles) == 12
    for tile in tiles:
        s, c = tile.source, tile.core
        part = (slice(s.y, s.bottom), slice(s.x, s.right))
        inner = despeckle_tile(
            network, image[part], valid[part], scale=1.3, looks=2.0, inner=tile.inner
        )["x"]
        np.testing.assert_allclose(
            inner, whole[c.y : c.bottom, c.x : c.right], rtol=2e-4, atol=2e-6
        )


@pytest.mark.parametrize("network", EQUIVARIANT, indirect=True)
@pytest.mark.parametrize("factor", [1e-4, 0.37, 1e5])
def test_a_factor_comes_out_as_it_went_in(network, factor):
    image = speckle(20, 23)
    with torch.no_grad():
        once, scaled = network(image, LOOKS), network(factor * image, LOOKS)
    tolerance = 1e-4 * float(once.x.abs().max())
    torch.testing.assert_close(scaled.x / factor, once.x, rtol=1e-3, atol=tolerance)
    if once.noise_level is not None:
        torch.testing.assert_close(scaled.noise_level, once.noise_level, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("network", ["sardrn", "dncnn", "idcnn"], indirect=True)
def test_the_others_are_not_equivariant_by_themselves(network):
    image = speckle(20, 23)
    with torch.no_grad():
        once, scaled = network(image, LOOKS).x, network(30 * image, LOOKS).x
    assert float((scaled / 30 - once).abs().max()) > 0.01 * float(once.abs().max())


@pytest.mark.parametrize("network", BIAS_FREE, indirect=True)
def test_bias_free_networks_hold_no_additive_constant(network):
    names = {name.split(".")[-1] for name in network.state_dict()}
    assert names == {"weight", "running_var"} or names == {"weight"}
    with torch.no_grad():
        assert float(network(torch.zeros(1, 1, 12, 12), LOOKS).x.abs().max()) == 0


@pytest.mark.parametrize("bias_free", [False, True])
def test_folded_normalisation_is_the_normalisation(bias_free):
    torch.manual_seed(0)
    layer = ConvNorm(3, 4, bias_free)
    layer.train()
    for _ in range(20):
        layer(2 * torch.randn(8, 3, 16, 16) + 1)
    layer.eval()
    x = torch.randn(1, 3, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), layer.norm(layer.convolution(x)), rtol=1e-4, atol=1e-5)


def test_running_statistics_are_the_batches():
    torch.manual_seed(0)
    norm = BatchNorm2d(2, bias_free=True).train()
    scale = torch.tensor([0.5, 3.0]).view(1, 2, 1, 1)
    for _ in range(100):
        out = norm(scale * torch.randn(16, 2, 16, 16))
    torch.testing.assert_close(norm.running_var, torch.tensor([0.25, 9.0]), rtol=0.05, atol=0)
    torch.testing.assert_close(out.std((0, 2, 3)), torch.ones(2), rtol=0.05, atol=0)


@pytest.mark.parametrize("network", ["ffdnet", "ffdnet amplitude", "bf-ffdnet"], indirect=True)
def test_ffdnet_is_told_the_looks_of_every_pixel(network):
    image = speckle(15, 18)
    with torch.no_grad():
        flat = network(image, torch.full((1, 1, 15, 18), 2.0)).x
        torch.testing.assert_close(flat, network(image, LOOKS).x)
        split = torch.full((1, 1, 15, 18), 2.0)
        split[..., 12:] = 8.0
        mixed = network(image, split).x
        whole = network(image, 4 * LOOKS).x
    reach = network.card.radius
    assert float((mixed - flat).abs().max()) > 1e-4
    torch.testing.assert_close(mixed[..., : max(0, 12 - reach)], flat[..., : max(0, 12 - reach)])
    assert not torch.allclose(mixed, whole)


def test_cbdnet_gives_a_positive_noise_level():
    with torch.no_grad():
        level = build("cbdnet")(speckle(13, 10), LOOKS).noise_level
    assert level.shape == (1, 1, 13, 10)
    assert float(level.min()) > 0


@pytest.mark.parametrize(
    "network", ["sarcnn", "ffdnet", "ffdnet amplitude", "cbdnet"], indirect=True
)
def test_output_is_scaled_in_the_weights(network):
    image = speckle(12, 12)
    with torch.no_grad():
        before = network(image, LOOKS).x
        assert network.scale_output(1.25)
        after = network(image, LOOKS).x
    torch.testing.assert_close(after, 1.25 * before, rtol=1e-4, atol=1e-6)


@every
def test_bfloat16_gives_nearly_the_same(network):
    image = speckle(24, 26)
    with torch.no_grad():
        single = network(image, LOOKS).x
        half = network(image, LOOKS, torch.bfloat16).x
    assert half.dtype == torch.float32
    assert float((half - single).abs().mean()) < 0.02 * float(single.abs().mean())


@every
def test_gradients_flow_in_bfloat16_to_every_weight(network):
    network.train()
    estimate = network(speckle(24, 26), LOOKS, torch.bfloat16)
    gradients = torch.autograd.grad(estimate.x.sum(), list(network.parameters()))
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert sum(float(gradient.abs().sum()) > 0 for gradient in gradients) > len(gradients) // 2


@pytest.mark.parametrize("name", SMALL)
def test_a_few_steps_of_training_lower_the_loss(name):
    architecture, arguments = SMALL[name]
    terms = {"asymmetric": 0.5, "noise_tv": 0.05} if name == "cbdnet" else {}
    recipe = Recipe(
        id="t", title="t", architecture=architecture, arguments=arguments, looks=(1.0, 8.0),
        looks_law="log", patch=24, stride=8, batch=4, ema=0.9, learning_rate=3e-3,
        schedule="cosine", terms=terms,
    )  # fmt: skip
    ramp = np.linspace(0.1, 0.9, 64)
    images = [(ramp * 0.8 + ramp[:, None] * 0.2).astype("float32")] * 2
    torch.manual_seed(0)
    trainer = Trainer(create(architecture, arguments), recipe, images, 40)
    losses = [trainer.step() for _ in range(40)]
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:8])
    trainer.restore(trainer.state())
    assert np.isfinite(trainer.validate(images, [1.0])["PSNR L=1"])


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_builds_its_network(path):
    recipe = read_recipe(path)
    assert recipe.architecture in ARCHITECTURES
    model = create(recipe.architecture, recipe.arguments)
    assert model.describe(id=recipe.id, title="", architecture=recipe.architecture).radius > 0

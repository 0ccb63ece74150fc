"""FFDNet in the logarithm: equivariance, borders, receptive field."""

from __future__ import annotations

import pytest
import torch

from speckless.plugin.core.models.ffdnet import FFDNet

LOOKS = torch.ones(1)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = FFDNet(layers=4, channels=8)
    torch.nn.init.normal_(network.last.weight, std=0.1)
    return network.eval()


def _speckle(height, width):
    generator = torch.Generator().manual_seed(3)
    return torch.rand((1, 1, height, width), generator=generator).log().neg()


@pytest.mark.parametrize("factor", [1e-5, 0.37, 1e6])
def test_a_factor_comes_out_as_it_went_in(network, factor):
    image = _speckle(20, 22)
    with torch.no_grad():
        once, scaled = network(image, LOOKS).x, network(factor * image, LOOKS).x
    torch.testing.assert_close(scaled, factor * once, rtol=2e-4, atol=0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (17, 16)])
def test_odd_and_tiny_images_keep_their_shape(network, shape):
    with torch.no_grad():
        estimate = network(_speckle(*shape), LOOKS)
    assert estimate.x.shape[-2:] == shape
    assert bool((estimate.x > 0).all())


def test_card_states_the_reach_of_the_network(network):
    card = network.describe(id="t", title="t", architecture="ffdnet")
    image = _speckle(60, 60).requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(image, LOOKS).x[0, 0, 30, 31], image)
    rows, columns = torch.where(gradient[0, 0] != 0)
    reach = max(int((rows - 30).abs().max()), int((columns - 31).abs().max()))
    assert card.radius - 3 <= reach <= card.radius


def test_looks_change_the_estimate(network):
    image = _speckle(16, 16)
    with torch.no_grad():
        few, many = network(image, LOOKS).x, network(image, 8 * LOOKS).x
    assert float((few - many).abs().max()) > 1e-4


@pytest.mark.parametrize(("domain", "bias_free"), [("log", False), ("intensity", True)])
def test_deeper_it_gives_the_same_until_it_learns(domain, bias_free):
    torch.manual_seed(1)
    network = FFDNet(layers=5, channels=8, domain=domain, bias_free=bias_free).eval()
    image = _speckle(24, 20)
    with torch.no_grad():
        before = network(image, LOOKS).x
        network.deepen(9)
        torch.testing.assert_close(network(image, LOOKS).x, before)
    assert len(network.inner) == 7
    loss = network(image, LOOKS).x.square().sum()
    gradients = torch.autograd.grad(loss, [layer.weight for layer in network.inner])
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)
    kernels = [layer.weight for layer in network.inner]
    identity = torch.nn.init.dirac_(torch.empty_like(kernels[0]))
    assert [bool((kernel == identity).all()) for kernel in kernels] == [
        False, True, False, True, True, False, True,
    ]  # fmt: skip

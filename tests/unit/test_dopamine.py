"""DoPAMINE: blindness, receptive field, strips, initialisation."""

from __future__ import annotations

import pytest
import torch

from speckless.plugin.core.models import dopamine
from speckless.plugin.core.models.dopamine import Dopamine

LOOKS = torch.ones(1)


def _image(height, width, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((1, 1, height, width), generator=generator, dtype=dtype) + 0.1


def _network(**arguments):
    torch.manual_seed(0)
    return Dopamine(**{"channels": 4, **arguments})


def _reach(network, image, row, column):
    """Where the maps of one pixel depend on the image."""
    image = image.clone().requires_grad_(True)
    estimate = network(image, LOOKS)
    maps = estimate.a[0, 0, row, column] + 0.7 * estimate.b[0, 0, row, column]
    (gradient,) = torch.autograd.grad(maps, image)
    return gradient[0, 0] != 0


@pytest.mark.parametrize("place", [(0, 0), (0, 30), (22, 0), (23, 23), (46, 46), (1, 45)])
def test_maps_see_all_of_43_by_43_but_their_own_pixel(place):
    # Without ReLU's dead zones every pixel of the field must show.
    network = _network(channels=8).double()
    row, column = place
    seen = torch.zeros(47, 47, dtype=torch.bool)
    for seed in range(4):
        seen |= _reach(network, _image(47, 47, torch.float64, seed), row, column)
    expected = torch.zeros(47, 47, dtype=torch.bool)
    expected[max(0, row - 21) : row + 22, max(0, column - 21) : column + 22] = True
    expected[row, column] = False
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("head", ["linear", "sigmoid", "moments"])
@pytest.mark.parametrize("inputs", ["identity", "sqrt", "log"])
def test_every_variant_is_blind(inputs, head):
    network = _network(layers=4, inputs=inputs, head=head).double()
    assert not _reach(network, _image(9, 11, torch.float64), 4, 5)[4, 5]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (33, 29)])
def test_strips_give_the_maps_of_the_whole(monkeypatch, shape):
    network = _network(layers=6)
    image = _image(*shape)
    whole = network(image, LOOKS).x.detach()
    monkeypatch.setattr(dopamine, "_STRIP_PIXELS", 5 * shape[1])
    with torch.no_grad():
        strips = network(image, LOOKS).x
    torch.testing.assert_close(strips, whole, rtol=1e-5, atol=1e-6)


def test_batch_gives_each_image_its_own_maps():
    network = _network(layers=3)
    images = torch.cat([_image(12, 10, seed=s) for s in (1, 2)])
    with torch.no_grad():
        both = network(images, torch.ones(2)).x
        single = network(images[1:], LOOKS).x
    torch.testing.assert_close(both[1:], single)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("dim", [2, 3])
def test_fused_crop_and_relu_has_the_gradient_of_its_parts(dim, start, both):
    torch.manual_seed(0)
    wide = torch.randn(2, 3, 6, 5).to(memory_format=torch.channels_last).requires_grad_()
    size = wide.shape[dim] - 1
    other = torch.randn_like(wide.detach().narrow(dim, start, size)).requires_grad_()
    inputs = [wide, other] if both else [wide]
    fused = dopamine._CropReLU.apply(wide, other if both else None, dim, start)
    core = wide.narrow(dim, start, size)
    plain = (core + other if both else core).relu()
    grad = torch.randn_like(plain)
    torch.testing.assert_close(fused, plain, rtol=0, atol=0)
    for ours, expected in zip(
        torch.autograd.grad(fused, inputs, grad), torch.autograd.grad(plain, inputs, grad)
    ):
        torch.testing.assert_close(ours, expected, rtol=0, atol=0)


def test_scale_add_keeps_the_variance_of_the_features_at_initialisation():
    torch.manual_seed(1)
    network = Dopamine()
    with torch.no_grad():
        total = network._sum_strips(torch.randn(1, 1, 64, 64).abs())
    # Equation 8: sums of 42 maps must neither explode nor vanish.
    assert 0.03 < float(total.var()) < 30


def test_positive_homogeneous_head_is_positive():
    network = _network(layers=3, inputs="log", head="moments")
    with torch.no_grad():
        estimate = network(_image(16, 16) * 1e-4, LOOKS)
    assert float(estimate.b.min()) > 0
    assert 0 <= float(estimate.a.min()) <= float(estimate.a.max()) <= 1


def test_unknown_variants_are_refused():
    with pytest.raises(ValueError, match="inputs"):
        Dopamine(inputs="cube")
    with pytest.raises(ValueError, match="head"):
        Dopamine(head="tail")


@pytest.mark.parametrize("head", ["linear", "sigmoid", "moments"])
def test_maps_of_the_features_are_those_of_the_whole(head):
    network = _network(layers=4, head=head)
    image = _image(17, 19)
    whole = network(image, LOOKS)
    a, b = network.maps_from(network.features(image))
    torch.testing.assert_close(a, whole.a, rtol=0, atol=0)
    torch.testing.assert_close(b, whole.b, rtol=0, atol=0)


def test_features_of_a_frozen_trunk_keep_no_graph():
    network = _network(layers=3)
    for parameter in (*network.lu.parameters(), *network.rd.parameters()):
        parameter.requires_grad_(False)
    features = network.features(_image(9, 9))
    assert not features.requires_grad
    network.maps_from(features)[0].sum().backward()
    assert all(p.grad is not None for p in network.head_parameters())


def test_scaled_features_are_the_weights_doing():
    network = _network(layers=4, channels=5)
    image = _image(13, 11)
    factors = torch.tensor([0.5, 1.0, 1.7, 2.0, 0.1])
    with torch.no_grad():
        before = network.features(image)
        network.scale_features(factors)
        after = network.features(image)
    torch.testing.assert_close(after, before * factors[:, None, None], rtol=1e-5, atol=1e-6)

"""Weights rounded on disk: what comes back, and what is refused."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.storage import STORAGES, pack, rounded, unpack
from speckless.plugin.core.models.weights import load_model, save_model

ARGUMENTS = {"layers": 4, "channels": 24}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create("ffdnet", ARGUMENTS).eval()


def card_of(network):
    return network.describe(
        id="tiny", title="tiny", architecture="ffdnet", arguments=ARGUMENTS, scale="geometric"
    )


def test_eight_bits_are_a_step_off_at_most_and_half_a_step_in_the_sum():
    weights = torch.randn(8, 64, 3, 3, generator=torch.Generator().manual_seed(1))
    packed = pack({"w": weights}, "int8")
    assert packed["w"].dtype == torch.int8 and packed["w"].abs().amax() == 127
    error = (unpack(packed)["w"] - weights).flatten(1)
    step = weights.abs().flatten(1).amax(1) / 127
    assert (error.abs().amax(1) <= step * 1.0001).all()
    assert (error.abs().mean(1) < 0.3 * step).all()  # a quarter, rounded to the nearest
    assert (error.sum(1).abs() <= 0.501 * step).all()


def test_small_layers_and_biases_take_half_precision(network):
    packed = pack(network.state_dict(), "int8")
    kinds = {name: value.dtype for name, value in packed.items()}
    inner = {"inner.0.weight", "inner.1.weight"}
    assert {name for name, kind in kinds.items() if kind == torch.int8} == inner
    assert all(kinds.pop(f"{name}#step") == torch.float32 for name in inner)
    assert {kind for name, kind in kinds.items() if name not in inner} == {torch.float16}


def test_layers_with_a_weight_far_above_the_others_take_half_precision():
    weights = 0.02 * torch.randn(64, 64, 3, 3, generator=torch.Generator().manual_seed(2))
    identity = torch.nn.init.dirac_(torch.empty(64, 64, 3, 3))
    packed = pack({"w": weights, "i": weights + identity}, "int8")
    assert (packed["w"].dtype, packed["i"].dtype) == (torch.int8, torch.float16)
    assert "i#step" not in packed
    torch.testing.assert_close(unpack(packed)["i"], weights + identity, rtol=1e-3, atol=1e-6)


def test_channels_of_zeros_stay_zero():
    weights = torch.zeros(4, 4096)
    weights[1] = 1e-20
    back = unpack(pack({"w": weights}, "int8"))["w"]
    assert torch.allclose(back, weights, rtol=1e-5)


@pytest.mark.parametrize("storage", STORAGES)
def test_what_is_loaded_is_what_was_rounded(network, tmp_path, storage):
    path = tmp_path / "m.safetensors"
    card = save_model(path, network, card_of(network), storage)
    noisy, looks = torch.rand(1, 1, 20, 18) + 0.1, torch.tensor([2.0])
    loaded = load_model(path)
    assert loaded.card == card
    with torch.no_grad():
        expected = rounded(network, storage)(noisy, looks).x
        assert torch.equal(loaded(noisy, looks).x, expected)
        assert torch.equal(network(noisy, looks).x, expected) == (storage == "single")
    # Stored once more, the weights do not move again.
    again = save_model(tmp_path / "again.safetensors", loaded, card, storage)
    assert again.tensors_sha256 == card.tensors_sha256


def test_files_shrink_as_promised(tmp_path):
    network = create("ffdnet", {"layers": 12, "channels": 32})
    sizes = {}
    for storage in STORAGES:
        path = tmp_path / f"{storage}.safetensors"
        save_model(path, network, card_of(network), storage)
        sizes[storage] = sum(t.numel() * t.element_size() for t in load_file(str(path)).values())
    assert sizes["half"] == sizes["single"] / 2
    assert sizes["int8"] < 0.28 * sizes["single"]


@pytest.mark.parametrize(
    ("value", "storage"),
    [(1e6, "half"), (float("nan"), "int8"), (float("inf"), "int8"), (1.0, "int4")],
)
def test_what_cannot_be_stored_is_refused(value, storage):
    with pytest.raises(InvalidInput):
        pack({"w": torch.full((2, 3), value)}, storage)

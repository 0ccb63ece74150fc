"""Weights rounded on disk: what comes back, and what is refused."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.storage import STORAGES, pack, rounded, unpack
from speckless.plugin.core.models.weights import load_model, save_model

ARGUMENTS = {"layers": 4, "channels": 6}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create("ffdnet", ARGUMENTS).eval()


def card_of(network):
    return network.describe(
        id="tiny", title="tiny", architecture="ffdnet", arguments=ARGUMENTS, scale="geometric"
    )


def test_eight_bits_are_half_a_step_off_at_most(network):
    state = network.state_dict()
    packed = pack(state, "int8")
    back = unpack(packed)
    assert set(back) == set(state)
    for name, value in state.items():
        if value.ndim < 2:
            assert torch.equal(back[name], value)  # biases are few: they stay
            continue
        assert packed[name].dtype == torch.int8 and packed[name].abs().amax() == 127
        greatest = value.abs().flatten(1).amax(1)
        error = (back[name] - value).abs().flatten(1).amax(1)
        assert (error <= greatest / 254 * 1.0001).all()
        # One weight alone is a whole number of its own steps.
        assert error.max() > 0 or value[0].numel() == 1


def test_channels_of_zeros_stay_zero():
    value = torch.tensor([[0.0, 0.0], [1e-20, -3e-20]])
    assert torch.allclose(unpack(pack({"w": value}, "int8"))["w"], value, rtol=0.005)


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
    network = create("ffdnet", {"layers": 6, "channels": 32})
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

"""Cards, weights on disk, the list of models."""

from __future__ import annotations

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file

from speckless.plugin.core.errors import ModelError
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.card_file import replace_card
from speckless.plugin.core.models.registry import (
    ARCHITECTURES,
    DEFAULT_MODEL,
    create,
    find,
    free_id,
    list_cards,
    weight_files,
)
from speckless.plugin.core.models.weights import load_model, save_model, tensors_digest


@pytest.fixture
def saved(tmp_path):
    model = create("ffdnet", {"layers": 3, "channels": 4})
    card = model.describe(
        id="small", title="Small", architecture="ffdnet", arguments={"layers": 3, "channels": 4}
    )
    path = tmp_path / "small.safetensors"
    save_model(path, model, card)
    return path, model


def test_weights_come_back_with_their_card(saved):
    path, model = saved
    loaded = load_model(path)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=0, atol=0)
    assert loaded.card == ModelCard.read(path)
    assert loaded.card.parameters == sum(p.numel() for p in model.parameters())
    assert loaded.card.divisor == 2
    assert not loaded.training


def test_one_flipped_bit_is_noticed(saved):
    path, _ = saved
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="corrupted"):
        load_model(path)


@pytest.mark.parametrize("keep", [4, 60, 2000])
def test_cut_off_file_is_refused(saved, keep):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"not a model file|damaged"):
        load_model(path)


def test_foreign_safetensors_are_refused(tmp_path):
    header = json.dumps({"__metadata__": {"author": "someone"}}).encode()
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelError, match="no Speckless model card"):
        load_model(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.safetensors"):
        load_model(tmp_path / "nowhere.safetensors")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    model = create("boxcar", {"radius": 1})
    card = model.describe(id="x", title="", architecture="boxcar", arguments={"radius": 2})
    save_model(tmp_path / "x.safetensors", model, card)
    with pytest.raises(ModelError, match="do not fit"):
        load_model(tmp_path / "x.safetensors")


def test_unknown_architecture_names_the_known_ones():
    with pytest.raises(ModelError, match="dopamine"):
        create("transformer", {})
    with pytest.raises(ModelError, match="refused"):
        create("dopamine", {"depth": 3})


def test_find_names_what_is_installed(saved):
    path, _ = saved
    assert find("small", [path.parent]) == path
    with pytest.raises(ModelError, match="small"):
        find("absent", [path.parent])


def test_list_leaves_out_what_is_no_model(saved):
    path, _ = saved
    (path.parent / "junk.safetensors").write_bytes(b"junk")
    ids = [card.id for card in list_cards([path.parent])]
    assert "small" in ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "card",
    [
        {"id": 5}, {"id": ["a"]}, {"id": " "}, {"title": None}, {"arguments": "x"},
        {"looks_range": 3}, {"architecture": "future"}, {"scale": []}, [], "text", 7, None,
        {"radius": "far"},
    ],
    ids=str,
)  # fmt: skip
def test_no_card_breaks_the_list(tmp_path, card):
    whole = {"id": "odd", "title": "Odd", "architecture": "boxcar", "looks_range": [1, 1]}
    values = {**whole, **card} if isinstance(card, dict) else card
    header = json.dumps({"__metadata__": {"card": json.dumps(values)}}).encode()
    (tmp_path / "odd.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    reasons = []
    assert list_cards([tmp_path], reasons.append) == list_cards()
    assert len(reasons) == 1


@pytest.mark.parametrize(
    "header", [b"[" * 100_000, b'{"__metadata__": ["card"]}', b"[1]", b"\xff\xfe", b"{}"],
    ids=["deep", "list", "no mapping", "no text", "empty"],
)  # fmt: skip
def test_no_file_breaks_the_list(tmp_path, header):
    (tmp_path / "odd.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    (tmp_path / "folder.safetensors").mkdir()
    reasons = []
    assert list_cards([tmp_path, tmp_path / "nowhere"], reasons.append) == list_cards()
    assert len(reasons) == 2


def test_list_says_what_it_leaves_out(saved):
    path, _ = saved
    whole = path.read_bytes()
    (path.parent / "cut.safetensors").write_bytes(whole[:-1])
    (path.parent / "twin.safetensors").write_bytes(whole)
    reasons = []
    cards = list_cards([path.parent], reasons.append)
    assert [card.id for card in cards].count("small") == 1
    assert sorted("cut short" in reason for reason in reasons) == [False, True]
    assert any("has the id 'small' of" in reason for reason in reasons)


def test_free_id_is_neither_an_id_nor_a_file(saved):
    path, _ = saved
    assert free_id("new", [path.parent]) == "new"
    assert free_id("small", [path.parent]) == "small-2"
    (path.parent / "small-2.safetensors").write_bytes(b"junk")
    assert free_id("small", [path.parent]) == "small-3"
    assert free_id(DEFAULT_MODEL) == f"{DEFAULT_MODEL}-2"


def test_digest_sees_names_shapes_and_types():
    value = torch.zeros(4)
    digests = {
        tensors_digest(tensors)
        for tensors in (
            {"a": value},
            {"b": value},
            {"a": value.view(2, 2)},
            {"a": value.to(torch.float64)},
            {"a": torch.full((4,), -0.0)},
        )
    }
    assert len(digests) == 5


def test_default_model_is_shipped_and_listed_first():
    assert list_cards()[0].id == DEFAULT_MODEL


@pytest.mark.parametrize("path", weight_files(), ids=lambda path: path.stem)
def test_shipped_weights_load_and_run(path):
    model = load_model(path)
    assert path.stem == model.card.id
    assert model.card.architecture in ARCHITECTURES
    assert model.card.citation
    assert model.card.training
    beside = path.with_suffix(".json").read_text(encoding="utf-8")
    assert ModelCard.from_json(beside) == model.card
    with torch.no_grad():
        x = model(torch.rand(1, 1, 16, 16) + 0.1, torch.ones(1)).x
    assert bool(torch.isfinite(x).all())


def test_card_is_changed_without_touching_the_weights(saved, tmp_path):
    path = tmp_path / "m.safetensors"
    shutil.copy(saved[0], path)
    saved[0].unlink()
    before = load_file(str(path))
    (tmp_path / "m.json").write_text("{}\n")
    card = replace_card(path, {"title": "Ünlike", "quality": {"measured": {"psnr": 1.5}}})
    model = load_model(path)  # checks the digest
    assert model.card == card
    assert (card.title, card.quality) == ("Ünlike", {"measured": {"psnr": 1.5}})
    for name, value in load_file(str(path)).items():
        assert torch.equal(value, before[name])
    beside = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert beside == json.loads(card.to_json())
    with pytest.raises(ModelError, match="belong to the weights"):
        replace_card(path, {"arguments": {}})
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["m.json", "m.safetensors"]

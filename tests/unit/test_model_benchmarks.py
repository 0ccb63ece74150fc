"""Tables of all models, their page, and rounding on disk, with tiny networks."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_benchmarks import image_folder, weights_file

from speckless.benchmarks import modeldates, modelpage, models, storage
from speckless.benchmarks.multidate import edge_preservation
from speckless.benchmarks.tuned import learn_from_pairs
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.registry import WEIGHTS_FOLDER, create, list_cards
from speckless.plugin.core.models.weights import load_model, save_model


@pytest.fixture(autouse=True)
def found_by_other_processes(own_package, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", own_package["PYTHONPATH"])


def words(tmp_path, *more):
    folder = image_folder(tmp_path, 3)[0].parent
    return [
        "--images", str(folder), "--looks", "1", "4", "--threads", "1", "--side", "32",
        "--repeats", "1", "--store", str(tmp_path / "s.jsonl"), *more,
    ]  # fmt: skip


def test_table_of_models_with_the_papers_rows(tmp_path, capsys):
    one = weights_file(tmp_path)
    arguments = words(tmp_path, "--models", str(one), "--count", "2", "--beyond")
    assert models.main(arguments) == 0
    told = capsys.readouterr().out
    lines = {line.split("  ")[0]: line for line in told.splitlines()}
    assert "N = 2 images" in told
    assert lines["paper: SAR-DRN S"].split()[3:] == ["22.860", "0.738", "25.664", "0.823"]
    assert lines["paper: SAR-DRN B"].split()[3] == "22.746"
    entries = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    psnr = [
        entry["values"]["psnr"]
        for entry in entries
        if entry["key"].get("weights") not in (None, "noisy") and entry["key"].get("looks") == 1
    ]
    assert f"{np.mean(psnr):.3f}" in lines["tiny"]
    costs = [e["values"] for e in entries if e["key"]["benchmark"] == "model cost"]
    assert len(costs) == 1 and costs[0]["seconds_per_megapixel"] > 0 and costs[0]["threads"] == 1
    # A second time nothing is measured, and the table is the same.
    size = (tmp_path / "s.jsonl").stat().st_size
    assert models.main([*arguments, "--report"]) == 0
    assert capsys.readouterr().out in told
    assert (tmp_path / "s.jsonl").stat().st_size == size


def test_models_are_left_out_beyond_their_looks_and_cards_get_figures(tmp_path, capsys):
    path = weights_file(tmp_path)  # its card: L = 1 only
    before = load_file(str(path))
    assert models.main(words(tmp_path, "--models", str(path), "--cards")) == 0
    row = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("tiny  "))
    assert len(row.split()) == 7  # name, parameters, time, memory, PSNR ± error, SSIM
    card = load_model(path).card
    measured = card.quality["measured"]
    assert set(measured) == {"protocol", "cost", "seed", "L=1"}
    assert measured["L=1"]["images"] == 3
    assert all(torch.equal(value, before[name]) for name, value in load_file(str(path)).items())
    page = modelpage.page(tmp_path)
    assert f"{measured['L=1']['psnr']:.2f} ± " in page and "(3)" in page


def dates(folder, count=2):
    rng = np.random.default_rng(0)
    for scene in ("a", "b"):
        (folder / scene).mkdir(parents=True)
        clean = np.exp(np.sin(np.arange(40) / 4))[None] * np.ones((36, 1))
        for number in range(count):
            noisy = clean * rng.gamma(1.0, 1.0, clean.shape)
            np.save(folder / scene / f"{number}.npy", np.sqrt(noisy).astype("float32"))


def test_table_of_real_dates_before_and_after_tuning(tmp_path, capsys):
    dates(tmp_path / "dates")
    arguments = [
        "--data", str(tmp_path / "dates"), "--models", str(weights_file(tmp_path)), "--first",
        "--epochs", "1", "--learning-rate", "0.01", "--threads", "1",
        "--store", str(tmp_path / "s.jsonl"),
    ]  # fmt: skip
    assert modeldates.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {tuple(line.split()[:2]): line for line in lines if line.startswith("tiny")}
    assert set(rows) == {("tiny", "before"), ("tiny", "tuned")}
    assert " tuned alone " in rows["tiny", "tuned"]
    entries = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [entry["key"]["scene"] for entry in entries] == ["a", "b"]
    mean = np.mean([entry["values"]["tuned"][0] for entry in entries])
    assert f"{mean:.3f} ±" in rows["tiny", "tuned"]
    assert modeldates.main([*arguments, "--report"]) == 0
    assert rows["tiny", "before"] in capsys.readouterr().out.splitlines()


def test_edge_preservation_by_hand():
    step = np.zeros((6, 8))
    step[:, 4:] = 1.0
    assert edge_preservation(step, step) == 1
    assert edge_preservation(step / 2, step) == pytest.approx(0.5)
    assert edge_preservation(1.5 * step, step) == pytest.approx(0.5)
    assert edge_preservation(3 * step, step) == 0


def test_page_is_up_to_date_with_the_cards():
    expected = modelpage.page(WEIGHTS_FOLDER)
    message = "run ./run bench modelpage and commit docs/models.md"
    assert modelpage.PAGE.read_text(encoding="utf-8") == expected, message


def test_page_names_every_model_with_its_figures():
    text = modelpage.PAGE.read_text(encoding="utf-8")
    for card in list_cards():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{card.id}` "))
        side = 2 * card.radius + 1
        assert f"{side} × {side}" in row
        assert f"{card.parameters:,}".replace(",", " ") in row
        assert card.tensors_sha256 in text
        assert f"- **`{card.id}`**: " in text


def test_operations_are_those_of_the_layers(tmp_path):
    arguments = {"layers": 3, "channels": 4}
    model = create("ffdnet", arguments)
    card = model.describe(id="f", title="", architecture="ffdnet", arguments=arguments)
    save_model(tmp_path / "f.safetensors", model, card)
    # Three layers on a quarter of the pixels: 4→4 of 3×3 each.
    convolutions = 3 * 2 * 9 * 4 * 4 / 4
    found = modelpage.operations_per_pixel(tmp_path / "f.safetensors")
    assert convolutions <= found <= 1.1 * convolutions


def test_rounding_is_written_only_where_nothing_moves(tmp_path, capsys):
    path = weights_file(tmp_path)
    folder = str(image_folder(tmp_path)[0].parent)
    before = path.read_bytes()
    arguments = [str(path), "--images", folder, "--looks", "1", "--threads", "1", "--write"]
    assert storage.main([*arguments, "--tolerance", "0"]) == 1
    assert path.read_bytes() == before
    path.with_suffix(".json").write_text("{}\n")
    assert storage.main(arguments) == 0
    assert "bytes" in capsys.readouterr().out
    card = load_model(path).card
    assert {value.dtype for value in load_file(str(path)).values()} == {torch.float16}
    assert json.loads(path.with_suffix(".json").read_text()) == json.loads(card.to_json())
    shutil.copy(path, tmp_path / "again.safetensors")
    assert ModelCard.read(tmp_path / "again.safetensors") == card


def test_shipped_weights_stay_below_twenty_megabytes():
    sizes = [path.stat().st_size for path in WEIGHTS_FOLDER.glob("*.safetensors")]
    assert sum(sizes) < 20e6


@pytest.mark.parametrize(
    ("architecture", "arguments", "method"),
    [
        ("despecknet", {"layers": 3, "channels": 4, "domain": "log"}, "despecknet"),
        ("ffdnet", {"layers": 3, "channels": 4}, "retrain"),
        ("aindnet", {"channels": 4, "estimator_channels": 4}, "transfer"),
    ],
)
def test_each_model_is_tuned_by_its_own_method(
    tmp_path, capsys, monkeypatch, architecture, arguments, method
):
    dates(tmp_path / "dates")
    learnt = []

    def record(model, pairs, recipe, *others):
        learnt.append((recipe.method, [pair.reference for pair in pairs]))
        return learn_from_pairs(model, pairs, recipe, *others)

    monkeypatch.setattr(modeldates, "learn_from_pairs", record)
    torch.manual_seed(0)
    network = create(architecture, arguments)
    card = network.describe(
        id="own", title="", architecture=architecture, arguments=arguments, scale="geometric"
    )
    save_model(tmp_path / "own.safetensors", network, card)
    assert (
        modeldates.main(
            ["--data", str(tmp_path / "dates"), "--models", str(tmp_path / "own.safetensors"),
             "--first", "--epochs", "1", "--threads", "1"]
        )
        == 0
    )  # fmt: skip
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("own")]
    assert len(rows) == 2
    if method == "despecknet":
        assert " tuned alone " in rows[1] and not learnt
        return
    assert " tuned by pairs " in rows[1]
    assert [used for used, _ in learnt] == [method, method]
    # The scene measured is not the one learnt from.
    for (_, references), other in zip(learnt, ("b", "a"), strict=True):
        second = np.load(tmp_path / "dates" / other / "1.npy").astype(np.float32) ** 2
        assert len(references) == 1 and np.array_equal(references[0], second)

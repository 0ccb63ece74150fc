"""The paper's tables and figures, made with tiny networks and images."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from tiny_benchmarks import image_folder, is_picture, weights_file

from speckless.benchmarks.paper import (
    figure3a,
    figure3b,
    figure3c,
    figure3d,
    figure3e,
    figure4,
    table1,
)
from speckless.benchmarks.paper.networks import AddDopamine, BiasOnly, Plain, Residual
from speckless.plugin.core.models.dopamine import Dopamine
from speckless.plugin.core.quality import psnr

TINY = {"layers": 3, "channels": 5, "blocks": 2}
SIZE = "--layers 2 --channels 4 --blocks 1"
TRAINING = f"--steps 6 --points 2 --batch 2 --patch 16 {SIZE}".split()


def entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_scale_add_keeps_the_variance_and_addition_doubles_it():
    curves = figure3a.variances(blocks=8, channels=64, side=16, draws=2)
    growth = {name: (curve[-1] - curve[1]) / 7 for name, curve in curves.items()}
    assert growth["ResNet20"] == pytest.approx(math.log10(2), abs=0.05)
    assert growth["ResNet20-SA"] == pytest.approx(0, abs=0.05)
    assert growth["plain"] == pytest.approx(0, abs=0.05)


def test_maps_come_after_each_convolution():
    image = torch.randn(1, 3, 6, 6)
    assert len(list(Plain(4, 3).maps(image))) == 4
    network = Residual(1, 3, scale_add=True)
    inner, total = network.maps(image)
    expected = (image + network.layers[1](inner.relu())) / math.sqrt(2)
    torch.testing.assert_close(total, expected)


def test_added_dopamine_is_dopamine_but_for_the_scales():
    torch.manual_seed(0)
    added, own = AddDopamine(False, **TINY), Dopamine(**TINY)
    own.load_state_dict(added.state_dict())
    half = math.sqrt(0.5)
    with torch.no_grad():
        for layer in (*added.lu, *added.rd):
            for weight in (layer.horizontal.weight, layer.merge.weight, layer.merge.bias):
                weight.mul_(half)
    image = torch.rand(2, 1, 9, 11) + 0.1
    with torch.no_grad():
        expected = own.features(image) * math.sqrt(2 * TINY["layers"])
        torch.testing.assert_close(added.features(image), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [AddDopamine, BiasOnly])
def test_variants_do_not_see_the_pixel_itself(network):
    torch.manual_seed(1)
    model = network(**TINY).eval()
    image = torch.rand(1, 1, 11, 11) + 0.1
    other = image.clone()
    other[0, 0, 5, 5] += 1
    with torch.no_grad():
        one, two = (model(z, torch.ones(1)) for z in (image, other))
    assert one.a[0, 0, 5, 5] == two.a[0, 0, 5, 5]
    assert one.b[0, 0, 5, 5] == two.b[0, 0, 5, 5]
    assert not torch.equal(one.b, two.b)
    assert bool((one.a == 0).all()) == (network is BiasOnly)


def test_figure3a(tmp_path, capsys):
    words = ["--blocks", "3", "--channels", "8", "--side", "8", "--draws", "1"]
    assert figure3a.main([*words, "--figure", str(tmp_path / "a.svg")]) == 0
    assert "ResNet20-SA" in capsys.readouterr().out
    assert is_picture(tmp_path / "a.svg")


@pytest.mark.parametrize("command, variants", [(figure3b, 3), (figure3c, 2)])
def test_trainings_side_by_side(command, variants, tmp_path, capsys):
    folder = image_folder(tmp_path, 3)[0].parent
    (tmp_path / "test.txt").write_text("1.png\n")
    store, figure = tmp_path / "store.jsonl", tmp_path / "figure.png"
    words = ["--images", str(folder), "--list", str(tmp_path / "test.txt"), *TRAINING]
    words += ["--threads", "1", "--store", str(store), "--figure", str(figure)]
    assert command.main(words) == 0
    told = capsys.readouterr().out
    assert is_picture(figure)
    found = entries(store)
    assert [entry["key"]["variant"] for entry in found] == list(command.VARIANTS)
    assert len(found) == variants
    for entry in found:
        assert entry["values"]["steps"] == [3, 6]
        assert np.isfinite(entry["values"]["psnr"]).all()
    # Known results are not trained again.
    assert command.main(words) == 0
    again = capsys.readouterr().out
    assert "step 3/6" in told
    assert "step 3/6" not in again
    assert again.splitlines()[:4] == told.splitlines()[-len(again.splitlines()) :][:4]


def test_figure3d(tmp_path, capsys):
    folder = image_folder(tmp_path, 2)[0].parent
    words = ["--images", str(folder), "--train-list", str(tmp_path / "train.txt"), *TRAINING]
    (tmp_path / "train.txt").write_text("0.png\n")
    (tmp_path / "test.txt").write_text("1.png\n")
    words += ["--list", str(tmp_path / "test.txt"), "--epochs", "2", "--tuning-rate", "1e-3"]
    words += ["--threads", "1", "--store", str(tmp_path / "s"), "--figure", str(tmp_path / "d.png")]
    assert figure3d.main(words) == 0
    assert "a·Z + b - b" in capsys.readouterr().out
    assert is_picture(tmp_path / "d.png")
    for entry in entries(tmp_path / "s"):
        (curve,) = entry["values"]["tuning"]
        assert len(curve) == 3
        assert curve[0] == pytest.approx(entry["values"]["psnr"][-1][0], abs=1e-6)
        assert curve[1] != curve[0]


def test_figure3e(tmp_path, capsys):
    folder = image_folder(tmp_path, 2)[0].parent
    words = ["--images", str(folder), "--model", str(weights_file(tmp_path)), "--epochs", "4"]
    words += ["--learning-rate", "1e-3", "--threads", "1", "--store", str(tmp_path / "s")]
    words += ["--figure", str(tmp_path / "e.png")]
    assert figure3e.main(words) == 0
    assert "AFT - FT" in capsys.readouterr().out
    assert is_picture(tmp_path / "e.png")
    curves = {(e["key"]["image"], e["key"]["method"]): e["values"]["psnr"]
              for e in entries(tmp_path / "s")}  # fmt: skip
    assert all(len(curve) == 5 for curve in curves.values())
    # Both start from the same network on the same noise; 8 times the steps move it farther.
    assert curves["0.png", "FT"][0] == curves["0.png", "AFT"][0]
    moved = {m: abs(curves["0.png", m][1] - curves["0.png", m][0]) for m in ("FT", "AFT")}
    assert moved["AFT"] > moved["FT"] > 0


def test_figure4(tmp_path, capsys):
    weights_file(tmp_path, "dopamine-l1", seed=1)
    np.save(tmp_path / "scene.npy", np.sqrt(np.random.default_rng(0).gamma(4.0, 0.25, (36, 30))))
    words = ["--scene", str(tmp_path / "scene.npy"), "--models", str(tmp_path)]
    words += ["--trained", "dopamine-l1", "dopamine-none", "--blind", str(weights_file(tmp_path))]
    words += ["--epochs", "1", "--threads", "1", "--figure", str(tmp_path / "4.png")]
    assert figure4.main(words) == 0
    told = capsys.readouterr().out
    assert "skipped: There is no model 'dopamine-none'" in told
    rows = [line.split("  ")[0] for line in told.splitlines()]
    assert {"dopamine-l1", "tiny", "AFT at L = 0.5"} <= set(rows)
    assert is_picture(tmp_path / "4.png")


def table1_words(tmp_path):
    folder = image_folder(tmp_path, 3)[0].parent
    weights_file(tmp_path, "dopamine-l1", seed=1)
    words = ["--images", str(folder), "--blind", str(weights_file(tmp_path, "tiny"))]
    words += ["--models", str(tmp_path), "--supervised", "dopamine-l{looks}"]
    words += ["--looks", "1", "3", "--epochs", "2", "--learning-rate", "1e-3", "--threads", "1"]
    return [*words, "--store", str(tmp_path / "s"), "--figure", str(tmp_path / "1.png")]


def test_table1(tmp_path, capsys):
    words = table1_words(tmp_path)
    assert table1.main([*words, "--count", "2"]) == 0
    told = capsys.readouterr().out
    assert is_picture(tmp_path / "1.png")
    assert "skipped: S at L = 3. There is no model 'dopamine-l3'" in told
    rows = {line.split("  ")[0]: line.split() for line in told.splitlines()}
    # The paper's own row stands beside ours, where it has that L.
    assert rows["paper: B-AFT"][2:] == ["23.293", "0.755"]
    found = entries(tmp_path / "s")
    assert len(found) == 2 * 3
    blind = [
        e["values"] for e in found if e["values"]["model"] == "tiny" and e["key"]["looks"] == 1
    ]
    gains = np.array([v["aft"][0] - v["start"][0] for v in blind])
    error = gains.std(ddof=1) / math.sqrt(2)
    cell = f"{gains.mean():+.3f} ±{error:.3f}"
    assert cell in " ".join(rows["B-AFT - B"])
    assert f"{np.mean([v['start'][0] for v in blind]):.3f}" in rows["B"]


def test_table1_goes_on_where_it_was_killed(tmp_path, capsys):
    words = table1_words(tmp_path)
    assert table1.main([*words, "--count", "2", "--looks", "1"]) == 0
    full = (tmp_path / "s").read_text()
    first = capsys.readouterr().out
    (tmp_path / "s").write_text("".join(full.splitlines(True)[:2]))
    assert table1.main([*words, "--count", "2", "--looks", "1", "--report"]) == 0
    assert "N = 1" in capsys.readouterr().out
    assert table1.main([*words, "--count", "2", "--looks", "1"]) == 0

    def figures(text):
        lines = map(json.loads, text.splitlines())
        return [{k: v for k, v in line["values"].items() if k != "seconds"} for line in lines]

    assert figures((tmp_path / "s").read_text()) == figures(full)
    assert capsys.readouterr().out.split("AFT of")[1] == first.split("AFT of")[1]


def test_table1_without_models_says_so(tmp_path, capsys):
    from speckless.benchmarks.__main__ import main as bench

    folder = image_folder(tmp_path)[0].parent
    words = ["--images", str(folder), "--blind", "none", "--supervised", "no-{looks}"]
    assert bench(["paper", "table1", *words]) == 1
    assert "no-8" in capsys.readouterr().err


def test_noisy_row_is_the_noise_itself(tmp_path):
    words = table1_words(tmp_path)
    assert table1.main([*words, "--looks", "1", "--epochs", "0"]) == 0
    (entry, *_) = [e for e in entries(tmp_path / "s") if e["key"]["image"] == "0.png"]
    clean, noisy = table1.Sample(tmp_path / "images" / "0.png", 0).pair(1.0, 0)
    assert entry["values"]["noisy"][0] == pytest.approx(psnr(clean, noisy))
    assert "aft" not in entry["values"]

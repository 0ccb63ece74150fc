"""The benchmarks of fine-tuning and knob, and what they share, with tiny networks and images."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
from tiny_benchmarks import SIDE, image_folder, is_picture, weights_file

from speckless.benchmarks import finetuning, knob, tuned
from speckless.benchmarks.__main__ import BENCHMARKS
from speckless.benchmarks.__main__ import main as bench
from speckless.benchmarks.images import Sample, centre, spread
from speckless.benchmarks.paper import COMMANDS
from speckless.benchmarks.results import Store, mean_and_error, table, with_error
from speckless.benchmarks.scenes import read_whole
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tuning import DEPTHS
from speckless.plugin.raster.images import read_gray


@pytest.mark.parametrize("words", [[], ["--help"], ["paper"], ["paper", "--help"]])
def test_commands_are_listed(words, capsys):
    assert bench(words) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in (COMMANDS if "paper" in words else BENCHMARKS))


@pytest.mark.parametrize("words", [["nothing"], ["paper", "figure9"]])
def test_unknown_commands_are_refused(words, capsys):
    assert bench(words) == 2
    assert "./run bench" in capsys.readouterr().out


def test_errors_are_one_line(tmp_path, capsys):
    assert bench(["knob", "--side", "0", "--images", str(tmp_path), "--model", "none"]) == 1
    assert "There is no model 'none'" in capsys.readouterr().err


def test_known_answers_of_an_assessment_are_listed(capsys):
    assert bench(["assessment", "--draws", "1", "--looks", "8", "--side", "128"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    # Clean, mean of 3 x 3, mean of 7 x 7.
    assert all(0.9 < float(row[3]) < 1.05 > float(row[4]) > float(row[5]) for row in rows[:4])
    assert len(rows) == 5


def test_a_subset_is_spread_evenly():
    assert list(spread(10, 0)) == list(range(10))
    assert spread(150, 3) == [25, 75, 125]
    assert len(set(spread(7, 6))) == 6
    assert list(spread(4, 9)) == [0, 1, 2, 3]


def test_noise_is_that_of_evaluate_and_a_crop_sees_the_same(tmp_path):
    path = image_folder(tmp_path)[0]
    clean, noisy = Sample(path, 3).pair(2.0, seed=5)
    rng = np.random.default_rng((5, 3, 2000))
    expected = read_gray(path) * simulate_speckle(clean.shape, 2.0, rng)
    np.testing.assert_allclose(noisy, expected, rtol=1e-6)
    part = Sample(path, 3, crop=10).pair(2.0, seed=5)
    inside = np.s_[SIDE // 2 - 5 : SIDE // 2 + 5]
    np.testing.assert_array_equal(part[0], clean[inside, inside])
    np.testing.assert_array_equal(part[1], noisy[inside, inside])


def test_centre_of_an_image_smaller_than_the_crop_is_the_image():
    image = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(centre(image, 9), image)
    np.testing.assert_array_equal(centre(image, 2), [[1, 2], [5, 6]])


def test_store_goes_on_after_a_kill(tmp_path):
    path = tmp_path / "deep" / "results.jsonl"
    assert Store(path).need({"image": "a", "L": 1}, lambda: {"psnr": 20.5}) == {"psnr": 20.5}
    with path.open("a") as file:
        file.write('{"key": {"image": "b", "L"')  # cut short
    store = Store(path)
    assert store.get({"L": 1, "image": "a"}) == {"psnr": 20.5}
    assert store.get({"image": "b", "L": 1}) is None
    store.need({"image": "b", "L": 1}, lambda: {"psnr": 21.0})
    again = Store(path)
    assert again.need({"image": "b", "L": 1}, lambda: pytest.fail("known")) == {"psnr": 21.0}
    assert again.get({"image": "a", "L": 1}) == {"psnr": 20.5}


def test_mean_and_its_error():
    mean, error = mean_and_error([1.0, 2.0, 3.0, 4.0])
    assert mean == pytest.approx(2.5)
    assert error == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert with_error([1.0, 3.0], 2, True) == "+2.00 ±1.00"
    assert with_error([1.0]) == "1.000"
    assert table([["a", "bb"], ["ccc", "d"], ["e"]]) == "a    bb\nccc   d\ne"


def test_scene_of_amplitude_and_one_with_nodata(tmp_path):
    amplitude = np.arange(1.0, 37.0).reshape(6, 6)
    np.save(tmp_path / "scene.npy", amplitude)
    image = read_whole(tmp_path / "scene.npy", "auto", 2)
    np.testing.assert_allclose(image, amplitude[2:4, 2:4] ** 2)
    amplitude[2, 2] = np.nan
    np.save(tmp_path / "scene.npy", amplitude)
    with pytest.raises(InvalidInput, match="nodata"):
        read_whole(tmp_path / "scene.npy", "auto", 2)


def test_costs_of_fine_tuning(tmp_path, capsys):
    model = weights_file(tmp_path)
    words = ["--side", "24", "--repeats", "2", "--epochs", "2", "--model", str(model)]
    assert finetuning.main([*words, "--threads", "1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = {words[0]: words[1:] for words in lines if words and words[0] in DEPTHS}
    assert set(rows) == set(DEPTHS)
    assert float(rows["full"][0]) > 1
    # The head alone costs a fraction of the whole network.
    assert float(rows["head"][0]) < float(rows["full"][0])
    assert float(rows["full"][2]) == 1.0


def test_gains_of_the_depths(tmp_path, capsys):
    folder = image_folder(tmp_path, 2)[0].parent
    words = ["--side", "0", "--images", str(folder), "--model", str(weights_file(tmp_path))]
    words += ["--epochs", "1", "--threads", "1", "--store", str(tmp_path / "store.jsonl")]
    words += ["--figure", str(tmp_path / "gain.png")]
    assert finetuning.main(words) == 0
    first = capsys.readouterr().out
    assert "N = 2 images" in first
    assert is_picture(tmp_path / "gain.png")
    entries = [json.loads(line) for line in (tmp_path / "store.jsonl").read_text().splitlines()]
    assert len(entries) == 6
    assert {entry["key"]["recipe"]["depth"] for entry in entries} == {"full", "head", "scale"}
    # All three start from the same network and see the same noise.
    assert len({entry["values"]["before"] for entry in entries}) == 2
    assert finetuning.main([*words, "--report"]) == 0
    assert capsys.readouterr().out.splitlines()[0] in first


def test_time_of_a_turn(capsys):
    assert knob.main(["--side", "128", "--repeats", "3"]) == 0
    assert "ms/Mpx" in capsys.readouterr().out


def test_turned_against_tuned(tmp_path, capsys):
    folder = image_folder(tmp_path, 2)[0].parent
    rng = np.random.default_rng(0)
    np.save(tmp_path / "scene.npy", np.sqrt(rng.gamma(1.0, 1.0, (40, 40))))
    words = ["--side", "0", "--images", str(folder), "--model", str(weights_file(tmp_path))]
    words += ["--epochs", "1", "--factors", "0.5", "1", "2", "--threads", "1"]
    words += ["--scene", str(tmp_path / "scene.npy"), "--store", str(tmp_path / "store.jsonl")]
    words += ["--figure", str(tmp_path / "knob.svg")]
    assert knob.main(words) == 0
    told = capsys.readouterr().out
    assert "L' = 0.5" in told
    assert "ENL; input" in told
    assert is_picture(tmp_path / "knob.svg")
    entries = [json.loads(line) for line in (tmp_path / "store.jsonl").read_text().splitlines()]
    assert len(entries) == 9
    apart = {
        (entry["key"]["image"], entry["key"]["factor"]): entry["values"]["apart"]
        for entry in entries
        if "image" in entry["key"]
    }
    # At its own L a turned map is the network's own; elsewhere another network is tuned.
    for name in ("0.png", "1.png"):
        assert apart[name, 1.0] > max(apart[name, 0.5], apart[name, 2.0])
    assert knob.main([*words, "--report"]) == 0
    assert "turned - tuned" in capsys.readouterr().out


def test_a_stride_tunes_cautiously_and_is_another_measurement():
    parser = argparse.ArgumentParser()
    tuned.add_tuning_options(parser)
    parser.set_defaults(seed=0, crop=0, precision="fp32")
    plain, strided = parser.parse_args([]), parser.parse_args(["--stride", "2"])
    assert not tuned.recipe_from(plain, 1.0).cautious
    recipe = tuned.recipe_from(strided, 1.0)
    assert recipe.cautious and recipe.stride == 2
    assert tuned.settings(plain) != tuned.settings(strided)

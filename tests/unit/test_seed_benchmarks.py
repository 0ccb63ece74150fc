"""The benchmarks of deSpeckNet, AINDNet and ScaoedNet, with tiny networks and images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_benchmarks import image_folder, weights_file

from speckless.benchmarks.__main__ import main as bench
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.models.weights import save_model

ARGUMENTS = {
    "despecknet": {"layers": 3, "channels": 4, "domain": "log"},
    "aindnet": {"channels": 4, "estimator_channels": 4, "blocks": (1, 1, 1, 1, 1)},
    "scaoednet": {"channels": 6, "blocks": 1, "block_depth": 1, "depth": 1, "stages": 3},
}


def _weights(folder, name):
    torch.manual_seed(0)
    model = create(name, ARGUMENTS[name])
    with torch.no_grad():
        for part in ("last", "decode"):
            if hasattr(model, part):
                getattr(model, part).weight.mul_(20)
    card = model.describe(
        id=name, title=name, architecture=name, arguments=ARGUMENTS[name], scale="geometric"
    )
    path = str(folder / f"{name}.safetensors")
    save_model(path, model, card)
    return path


@pytest.fixture
def dates(tmp_path):
    """Two scenes of three dates, amplitudes."""
    rng = np.random.default_rng(0)
    for scene in ("one", "two"):
        folder = tmp_path / "scenes" / scene
        folder.mkdir(parents=True)
        clean = np.where(np.arange(64) < 30, 1.0, 5.0) * np.ones((60, 1))
        for date in range(3):
            amplitude = np.sqrt(clean * rng.gamma(1.0, 1.0, clean.shape))
            np.save(folder / f"{date}.npy", amplitude.astype(np.float32))
    return str(tmp_path / "scenes")


def _rows(text):
    return {line.split("  ")[0].strip(): line.split() for line in text.splitlines() if line}


def test_ablation_compares_the_phases_and_goes_on_from_its_store(
    tmp_path, dates, capsys, monkeypatch
):
    # Untrained, phase 2 has no despeckling to keep.
    monkeypatch.setattr("speckless.plugin.core.patch_tuning.SPECKLE_KEPT", 0.0)
    words = ["ablation", "--model", _weights(tmp_path, "despecknet"), "--data", dates]
    words += ["--store", str(tmp_path / "store.jsonl")]
    assert bench(words) == 0
    told = capsys.readouterr().out
    rows = _rows(told)
    assert {"phase 1", "phase 2", "both"} <= set(rows)
    figures = {name: rows[name][2:4] for name in ("phase 1", "phase 2")}
    assert figures["phase 1"] != figures["phase 2"]
    assert rows["both"] != rows["phase 1"]
    assert "EPI" in told
    assert bench([*words, "--report"]) == 0
    assert capsys.readouterr().out == told


def test_transfer_learns_from_the_other_scenes(tmp_path, dates, capsys):
    words = ["transfer", "--model", _weights(tmp_path, "aindnet"), "--data", dates]
    assert bench([*words, "--epochs", "1", "--learning-rate", "0.01"]) == 0
    told = capsys.readouterr().out
    rows = _rows(told)
    assert {"S", "R", "RT", "TF", "S*", "TF*"} <= set(rows)
    assert len({tuple(rows[way][1:]) for way in ("S", "R", "RT", "TF", "TF*")}) == 5
    assert "of which TF updates" in told


def test_stages_are_compared(tmp_path, capsys):
    image_folder(tmp_path, 2)
    words = ["stages", "--model", _weights(tmp_path, "scaoednet"), "--precision", "fp32"]
    assert bench([*words, "--images", str(tmp_path / "images")]) == 0
    rows = _rows(capsys.readouterr().out)
    assert {"1", "2", "3"} <= set(rows)
    assert rows["1"][1] != rows["3"][1]
    assert rows["3"][-1] == "1.00"


@pytest.mark.parametrize("name", ["ablation", "transfer", "stages"])
def test_other_models_and_missing_data_are_refused(name, tmp_path, dates, capsys):
    tiny = str(weights_file(tmp_path))
    assert bench([name, "--model", tiny, "--data", dates]) == 1
    assert "'tiny'" in capsys.readouterr().err
    own = {"ablation": "despecknet", "transfer": "aindnet", "stages": "scaoednet"}[name]
    assert bench([name, "--model", _weights(tmp_path, own)]) == 1
    assert "--images or --data" in capsys.readouterr().err

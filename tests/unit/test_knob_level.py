"""The level of a network told fewer looks than the scene has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.errors import ModelError
from speckless.plugin.core.knob_level import level_factor
from speckless.plugin.core.knob_level_fit import TURNS, measure_level
from speckless.plugin.core.models.base import Despeckler, Estimate
from speckless.plugin.core.models.card import ModelCard
from speckless.plugin.core.models.registry import DEFAULT_MODEL, create, find
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.core.recipe import Recipe
from speckless.plugin.core.training_data import TrainingSet
from speckless.plugin.core.training_run import TrainingRun

TABLE = {"looks": [1.0, 4.0], "turns": [0.25, 1.0], "factors": [[0.25, 1.0], [0.64, 1.0]]}
RECIPE = Recipe(
    "level", "Level", "ffdnet", {"layers": 3, "channels": 4}, looks=(1.0, 8.0), patch=16, stride=16,
    batch=2, loss="log", scale="geometric",
)  # fmt: skip


class Brightening(Despeckler):
    """Flat scenes' mean, over the told looks."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, intensity, looks, dtype=None):
        mean = intensity.mean((2, 3), keepdim=True).expand_as(intensity)
        return Estimate(mean / looks.reshape(-1, 1, 1, 1))


def brightening(table):
    model = Brightening().eval()
    model.card = ModelCard("b", "b", "ffdnet", blind=False, knob_level=table)
    return model


def images():
    return [np.random.default_rng(n).random((64, 64)).astype(np.float32) for n in range(2)]


@pytest.mark.parametrize(
    ("looks", "turn", "factor"),
    [
        (1.0, 0.25, 0.25), (4.0, 0.25, 0.64), (2.0, 0.25, 0.4), (1.0, 0.5, 0.5),
        (2.0, 0.5, 0.4**0.5), (0.1, 0.25, 0.25), (40.0, 0.25, 0.64), (1.0, 0.1, 0.25),
        (1.0, 1.0, 1.0), (1.0, 8.0, 1.0),
    ],
)  # fmt: skip
def test_factor_is_linear_in_logarithms_and_held_outside(looks, turn, factor):
    assert level_factor(TABLE, looks, turn) == pytest.approx(factor)
    assert level_factor({}, looks, turn) == 1
    np.testing.assert_allclose(level_factor(TABLE, np.full((2, 3), looks), turn), factor, rtol=1e-6)


@pytest.mark.parametrize(
    "change", [{"looks": [1.0]}, {"factors": [[0, 1], [1, 1]]}, {"turns": "x"}, {"factors": {}}]
)
def test_a_table_that_is_none_is_told(change):
    with pytest.raises(ModelError, match="table of levels"):
        level_factor({**TABLE, **change}, 1.0, 0.5)
    with pytest.raises(ModelError, match="table of levels"):
        level_factor({"looks": [1.0]}, 1.0, 0.5)


def test_what_is_measured_is_what_the_network_does():
    measured = measure_level(brightening({}), images(), RECIPE, torch.device("cpu"))
    assert measured["turns"] == list(TURNS) and measured["looks"] == [1.0, 2.0, 4.0, 8.0]
    np.testing.assert_allclose(measured["factors"], [TURNS] * 4, rtol=1e-3)


def test_turned_tiles_keep_their_level_by_the_scene_or_the_map_of_looks():
    table = measure_level(brightening({}), images(), RECIPE, torch.device("cpu"))
    values, valid = np.full((8, 8), 3.0, np.float32), np.ones((8, 8), bool)
    for model, level in ((brightening({}), 4.0), (brightening(table), 1.0)):
        whole = despeckle_tile(model, values, valid, scale=2.0, looks=2.0, knob=0.5)["x"]
        own = despeckle_tile(model, values, valid, scale=2.0, looks=2.0)["x"]
        np.testing.assert_allclose(whole, level * own, rtol=1e-3)
    network = create("ffdnet", RECIPE.arguments).eval()
    network.card = network.describe(
        id="f", title="", architecture="ffdnet", arguments={}, knob_level=TABLE
    )
    looks = np.where(np.arange(8) < 4, 1.0, 4.0).astype(np.float32) * np.ones((8, 1), np.float32)
    given = {"scale": 1.0, "looks": 2.0, "knob": 0.5, "looks_map": looks}
    kept = despeckle_tile(network, values, valid, **given)["x"]
    network.card = network.describe(id="f", title="", architecture="ffdnet", arguments={})
    plain = despeckle_tile(network, values, valid, **given)["x"]
    np.testing.assert_allclose(kept / plain, np.where(looks == 1, 0.25, 0.64), rtol=1e-4)


@pytest.mark.parametrize("looks", [1, 4])
def test_the_default_model_keeps_the_mean_of_the_ratio(looks):
    rng = np.random.default_rng(looks)
    rows = np.exp(np.linspace(0, 3, 128, dtype=np.float32))[:, None]
    noisy = rows * rng.gamma(looks, 1 / looks, (128, 128)).astype(np.float32)
    model, valid = load_model(find(DEFAULT_MODEL)), np.ones(noisy.shape, bool)
    scale = float(np.exp(np.log(noisy).mean()))

    def ratio(knob):
        x = despeckle_tile(model, noisy, valid, scale=scale, looks=looks, knob=knob)["x"]
        return float((noisy / x).mean())

    for turn in (0.25, 0.5):
        assert ratio(looks * turn) == pytest.approx(ratio(looks), rel=0.06)


def test_a_training_measures_what_is_told_its_looks(tmp_path):
    def trained(**changes):
        recipe = Recipe(**{**vars(RECIPE), **changes})
        model = create(recipe.architecture, recipe.arguments)
        output = tmp_path / f"{recipe.architecture}.safetensors"
        run = TrainingRun(
            model, recipe, TrainingSet(images()), None, str(output), str(tmp_path / "c"), steps=2
        )
        run.run(lambda part, log: None)
        (tmp_path / "c").unlink()
        return load_model(output)

    model = trained()
    measured = measure_level(model, images(), RECIPE, torch.device("cpu"))
    assert model.card.knob_level == measured
    dncnn = {"architecture": "dncnn", "arguments": {"layers": 3, "channels": 4}}
    assert trained(**dncnn).card.knob_level == {}

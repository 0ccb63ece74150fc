"""Recipes of fine-tunings, held-out blocks, and the windows of a big scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.tiling import Window
from speckless.plugin.core.tuning import TuningRecipe, hold_out, training_windows

RECIPE = TuningRecipe(looks=1.0)


def test_defaults_are_the_papers_but_for_the_rate():
    assert (RECIPE.rate, RECIPE.epochs, RECIPE.turns, RECIPE.depth) == (6e-5, 10, 8, "full")
    assert replace(RECIPE, augment=False).turns == 1
    assert replace(RECIPE, learning_rate=8e-6, depth="head").rate == 8e-6
    assert RECIPE.to_mapping()["learning_rate"] == 6e-5


def test_correlated_speckle_is_learnt_from_slowly():
    cautious = replace(RECIPE, cautious=True)
    assert cautious.rate == 3e-5
    assert replace(cautious, depth="head").rate == replace(RECIPE, depth="head").rate
    assert replace(cautious, learning_rate=1e-4).rate == 1e-4


@pytest.mark.parametrize(
    "change",
    [
        {"looks": 0.0},
        {"looks": float("nan")},
        {"depth": "deep"},
        {"weighting": "heavy"},
        {"epochs": 0},
        {"stride": 0},
        {"learning_rate": -1.0},
        {"learning_rate": float("inf")},
        {"held_out": 0.0},
        {"held_out": 1.0},
        {"patience": -1},
    ],
    ids=str,
)
def test_senseless_recipes_are_refused(change):
    with pytest.raises(InvalidInput):
        replace(RECIPE, **change)


def test_held_out_blocks_are_a_share_of_the_usable_pixels():
    rng = np.random.default_rng(0)
    usable = rng.random((200, 300)) < 0.9
    held, side = hold_out(usable, 0.1, rng)
    assert side == 16
    assert not (held & ~usable).any()
    assert 0.1 <= held.sum() / usable.sum() < 0.11
    # Whole blocks, and others with other seeds.
    counts = np.add.reduceat(np.add.reduceat(held, range(0, 200, 16)), range(0, 300, 16), axis=1)
    wanted = np.add.reduceat(np.add.reduceat(usable, range(0, 200, 16)), range(0, 300, 16), axis=1)
    assert set(np.unique(counts[counts > 0] == wanted[counts > 0])) == {True}
    again, _ = hold_out(usable, 0.1, np.random.default_rng(9))
    assert (again != held).any()


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (20, 20), (64, 1), (1, 64)])
def test_small_areas_still_have_something_to_learn_and_to_measure(shape):
    usable = np.ones(shape, bool)
    held, _ = hold_out(usable, 0.1, np.random.default_rng(0))
    assert 0 < held.sum() < usable.sum()


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (1, 63)])
def test_fewer_pixels_are_too_few(shape):
    assert hold_out(np.ones(shape, bool), 0.1, np.random.default_rng(0)) is None


def test_small_extents_are_taken_whole():
    extent = Window(5, 6, 100, 50)
    assert training_windows(extent, 5000, 16) == [extent]


@pytest.mark.parametrize("size", [(25000, 16000), (16000, 300), (90, 4000), (600, 600)])
def test_windows_spread_over_the_scene(size):
    extent = Window(7, 11, *size)
    windows = training_windows(extent, 16 * 64 * 64, 64, seed=1)
    assert len(windows) == pytest.approx(16, abs=3)
    assert all(extent.contains(window) for window in windows)
    for n, one in enumerate(windows):
        assert all(one.intersection(other) is None for other in windows[n + 1 :])
    # Both halves of the longer side have their share.
    across = size[0] >= size[1]
    middle = size[0] / 2 + 7 if across else size[1] / 2 + 11
    first = sum((w.x if across else w.y) < middle for w in windows)
    assert 0.3 < first / len(windows) < 0.7
    assert training_windows(extent, 16 * 64 * 64, 64, seed=1) == windows
    assert training_windows(extent, 16 * 64 * 64, 64, seed=2) != windows


def test_only_windows_that_fit_are_taken():
    extent = Window(0, 0, 1000, 1000)
    west = training_windows(extent, 100_000, 100, fit=lambda window: window.right <= 400)
    assert west
    assert all(window.right <= 400 for window in west)
    with pytest.raises(InvalidInput, match="fit to fine-tune"):
        training_windows(extent, 100_000, 100, fit=lambda window: False)
    with pytest.raises(InvalidInput, match="at least 1"):
        training_windows(extent, 0, 100)

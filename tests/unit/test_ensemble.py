"""The mean over the 8 flips and rotations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.ensemble import TURNS, self_ensemble, turned, turned_back
from speckless.plugin.core.models.base import Estimate
from speckless.plugin.core.models.registry import create
from speckless.plugin.core.tiling import Window, plan_tiles


def textured(shape):
    """Speckle of one look over a slow wave."""
    rows, columns = np.indices(shape)
    truth = 1 + 0.5 * np.sin(rows / 5) * np.cos(columns / 7)
    return (truth * np.random.default_rng(0).exponential(size=shape)).astype(np.float32)


def network(architecture, **arguments):
    torch.manual_seed(0)
    model = create(architecture, arguments)
    model.card = model.describe(id="test", title="", architecture=architecture)
    return model.eval()


def despeckle(model, image, ensemble=True, inner=None):
    return despeckle_tile(
        model, image, np.ones(image.shape, bool), scale=1.0, looks=1.0, ensemble=ensemble,
        inner=inner,
    )  # fmt: skip


def test_turns_are_eight_and_undone():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    seen = {tuple(turned(image, turn).flatten().tolist()) for turn in range(TURNS)}
    assert len(seen) == TURNS
    for turn in range(TURNS):
        assert turned_back(turned(image, turn), turn).equal(image)


def test_mean_of_what_each_position_gives():
    # A network that moves the image by one pixel to the right: the mean looks at all four sides.
    image = torch.zeros(1, 1, 5, 5)
    image[..., 2, 2] = 8.0
    found = self_ensemble(lambda z, *_: Estimate(torch.roll(z, 1, -1)), image, torch.ones(1))
    expected = torch.zeros(5, 5)
    for row, column in ((1, 2), (3, 2), (2, 1), (2, 3)):
        expected[row, column] = 2.0
    torch.testing.assert_close(found.x[0, 0], expected)


def test_maps_of_looks_and_classes_turn_with_the_image():
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij")
    image, looks = rows[None, None], columns[None, None]
    classes = (rows * columns).long()[None]

    def network(z, level, numbers):
        assert z.shape[-2] % 2 == z.shape[-1] % 2 == 0
        return Estimate(z + 10 * level + 100 * numbers[:, None])

    found = self_ensemble(network, image, looks, classes, divisor=2).x
    torch.testing.assert_close(found, image + 10 * looks + 100 * classes[:, None])


@pytest.mark.parametrize("shape", [(37, 52), (1, 1), (40, 40)])
def test_affine_maps_stay_affine_and_blind(shape):
    model = network("dopamine", layers=3, channels=4, blocks=1)
    image = textured(shape)
    found = despeckle(model, image)
    np.testing.assert_allclose(
        found["x"], np.maximum(found["a"] * image + found["b"], 1e-6), rtol=1e-4
    )
    row, column = shape[0] // 2, shape[1] // 2
    changed = image.copy()
    changed[row, column] *= 7
    other = despeckle(model, changed)
    for name in ("a", "b"):
        assert other[name][row, column] == pytest.approx(found[name][row, column], rel=1e-6)
    if image.size > 1:
        assert not np.allclose(found["a"], despeckle(model, image, ensemble=False)["a"])


@pytest.mark.parametrize("shape", [(61, 83), (64, 80)])
def test_tiled_equals_whole_on_a_network_with_a_grid(shape):
    model = network("ffdnet", layers=4, channels=6)
    image = textured(shape)
    whole = despeckle(model, image)["x"]
    card = model.card
    tiles = plan_tiles(Window(0, 0, shape[1], shape[0]), None, 24, card.halo, card.divisor)
    assert len(tiles) > 4
    for tile in tiles:
        source = image[tile.source.y : tile.source.bottom, tile.source.x : tile.source.right]
        part = despeckle(model, np.ascontiguousarray(source), inner=tile.inner)["x"]
        core = whole[tile.core.y : tile.core.bottom, tile.core.x : tile.core.right]
        np.testing.assert_allclose(part, core, rtol=1e-5)

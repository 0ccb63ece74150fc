from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.homogeneous_windows import homogeneous_windows
from speckless.plugin.core.quality import coefficient_of_variation
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window


def speckle(shape: tuple[int, int], looks: float, seed: int = 0) -> np.ndarray:
    return simulate_speckle(shape, looks, np.random.default_rng(seed))


def part(image: np.ndarray, window: Window) -> np.ndarray:
    return image[window.y : window.bottom, window.x : window.right]


def scene() -> np.ndarray:
    """Texture, and two smooth fields, the left one smoother."""
    image = speckle((200, 240), 1) * speckle((200, 240), 1, 1)
    image[40:72, 20:52] = 5 * speckle((32, 32), 30, 2)
    image[120:152, 180:212] = 0.1 * speckle((32, 32), 12, 3)
    return image


def test_smooth_fields_come_first() -> None:
    image = scene()
    found = homogeneous_windows(image, count=2)
    assert [each.window for each in found] == [Window(20, 40, 32, 32), Window(180, 120, 32, 32)]
    for each in found:
        assert each.cx == pytest.approx(
            coefficient_of_variation(part(image, each.window)), rel=1e-6
        )


@pytest.mark.parametrize("size", [5, 12, 32])
def test_windows_are_ordered_apart_and_the_same_always(size: int) -> None:
    image = speckle((150, 130), 3)
    found = homogeneous_windows(image, size=size, count=12)
    assert len(found) == 12 if size < 32 else 4 <= len(found) <= 12
    assert [each.cx for each in found] == sorted(each.cx for each in found)
    for number, each in enumerate(found):
        assert part(image, each.window).shape == (size, size)
        assert all(each.window.intersection(o.window) is None for o in found[:number])
        assert each.cx == pytest.approx(coefficient_of_variation(part(image, each.window)))
    assert homogeneous_windows(image, size=size, count=12) == found
    assert homogeneous_windows(image * 1e-7, size=size, count=1)[0].window == found[0].window


def test_no_window_is_more_homogeneous_than_the_first() -> None:
    image = speckle((60, 60), 2)
    [best] = homogeneous_windows(image, size=8, count=1)
    every = [
        coefficient_of_variation(image[y : y + 8, x : x + 8]) for y in range(53) for x in range(53)
    ]
    assert best.cx == pytest.approx(min(every))


def test_masks_fill_and_bright_targets() -> None:
    image = scene()
    valid = np.ones(image.shape, bool)
    valid[40:72, 20:25] = False  # 16 % of the smoothest field
    [found] = homogeneous_windows(image, valid, count=1)
    assert found.window == Window(180, 120, 32, 32)
    [found] = homogeneous_windows(image, valid, count=1, least_valid=0.8)
    chosen, mask = part(image, found.window), part(valid, found.window)
    assert found.window.intersection(Window(20, 40, 32, 32)).area > 800
    assert found.cx == pytest.approx(coefficient_of_variation(chosen, mask))
    image[80:120, 80:140] = 0
    image[0:40, 100:140] = 7.5
    image[150:190, 0:40] = np.nan
    image[35, 60] = 1e20  # its rounding must not spoil other windows
    image[150, 100] = -9999
    [found] = homogeneous_windows(image, count=1)
    assert found.window == Window(20, 40, 32, 32)


def test_nothing_to_find() -> None:
    assert homogeneous_windows(np.ones((40, 40))) == []
    assert homogeneous_windows(np.full((40, 40), np.nan)) == []
    assert len(homogeneous_windows(speckle((40, 70), 1))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 41}, "fits"),
        ({"size": 3}, "fits"),
        ({"count": 0}, "At least one window"),
        ({"least_valid": 1.2}, "share"),
        ({"valid": np.ones((2, 2), bool)}, "does not fit"),
    ],
)
def test_refusals(arguments: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        homogeneous_windows(np.ones((40, 50)), **arguments)
    with pytest.raises(InvalidInput, match="one band"):
        homogeneous_windows(np.ones(9))

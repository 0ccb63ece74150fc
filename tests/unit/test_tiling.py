from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.tiling import Tile, Window, plan_tiles


def test_window_measures() -> None:
    window = Window(3, 5, 10, 20)
    assert (window.right, window.bottom, window.area) == (13, 25, 200)
    assert window.shifted(-3, 1) == Window(0, 6, 10, 20)


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-1, 4)])
def test_empty_window_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="at least one pixel"):
        Window(0, 0, *size)


def test_intersection_and_containment() -> None:
    window = Window(0, 0, 10, 10)
    assert window.intersection(Window(8, -2, 5, 5)) == Window(8, 0, 2, 3)
    assert window.intersection(Window(10, 0, 5, 5)) is None
    assert window.intersection(Window(0, -5, 5, 5)) is None
    assert window.contains(Window(9, 9, 1, 1))
    assert window.contains(window)
    assert not window.contains(Window(9, 9, 2, 1))


def test_inner_is_the_core_seen_from_the_source() -> None:
    tile = Tile(core=Window(64, 32, 16, 8), source=Window(56, 24, 32, 24))
    assert tile.inner == Window(8, 8, 16, 8)


RASTERS = [(1, 1), (1, 90), (65, 64), (130, 77), (101, 200)]
EXTENTS = [None, Window(0, 0, 1, 1), Window(0, 7, 1, 30)]
GRIDS = [(64, 21, 1), (100, 0, 4), (17, 5, 2), (256, 21, 8), (1, 3, 3)]


@pytest.mark.parametrize("raster_size", RASTERS)
@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("grid", GRIDS)
def test_plan_covers_once_with_halo_and_phase(
    raster_size: tuple[int, int], extent: Window | None, grid: tuple[int, int, int]
) -> None:
    raster = Window(0, 0, *raster_size)
    if extent is not None and not raster.contains(extent):
        extent = Window(raster.width // 2, raster.height // 3, 1, 1)
    size, halo, divisor = grid
    target = raster if extent is None else extent
    covered = np.zeros((raster.height, raster.width), int)
    for tile in plan_tiles(raster, extent, size, halo, divisor):
        core, source = tile.core, tile.source
        covered[core.y : core.bottom, core.x : core.right] += 1
        assert max(core.width, core.height) <= size
        assert raster.contains(source)
        assert source.x % divisor == 0
        assert source.y % divisor == 0
        assert source.right == raster.width or source.right % divisor == 0
        assert source.bottom == raster.height or source.bottom % divisor == 0
        with_halo = Window(
            core.x - halo, core.y - halo, core.width + 2 * halo, core.height + 2 * halo
        )
        needed = with_halo.intersection(raster)
        assert needed is not None
        assert source.contains(needed)
        # Nothing is read beyond the halo but what the sampling grid asks for.
        assert needed.x - source.x < divisor
        assert source.bottom - needed.bottom < divisor
    expected = np.zeros_like(covered)
    expected[target.y : target.bottom, target.x : target.right] = 1
    assert (covered == expected).all()


def test_plan_is_row_major() -> None:
    tiles = plan_tiles(Window(0, 0, 50, 30), None, 20, 4)
    assert [(tile.core.x, tile.core.y) for tile in tiles] == [
        (0, 0), (20, 0), (40, 0), (0, 20), (20, 20), (40, 20),
    ]  # fmt: skip
    assert tiles[1].source == Window(16, 0, 28, 24)


def _blur(image: np.ndarray, radius: int) -> np.ndarray:
    """Zero-padded box sum: what a network with "same" padding does to edges."""
    padded = np.pad(image, radius)
    height, width = image.shape
    steps = range(2 * radius + 1)
    return sum(padded[j : j + height, i : i + width] for j in steps for i in steps)


@pytest.mark.parametrize("size", [8, 13, 31, 32, 64])
def test_tiles_give_the_pixels_of_the_whole_image(size: int) -> None:
    image = np.random.default_rng(1).integers(0, 1000, (33, 32))
    whole = _blur(_blur(image, 2), 1)
    tiled = np.full_like(whole, -1)
    for tile in plan_tiles(Window(0, 0, 32, 33), None, size, 3, divisor=2):
        source, core, inner = tile.source, tile.core, tile.inner
        part = image[source.y : source.bottom, source.x : source.right]
        result = _blur(_blur(part, 2), 1)
        tiled[core.y : core.bottom, core.x : core.right] = result[
            inner.y : inner.bottom, inner.x : inner.right
        ]
    assert (tiled == whole).all()


@pytest.mark.parametrize(
    ("raster", "extent", "size", "halo", "divisor", "message"),
    [
        (Window(1, 0, 9, 9), None, 4, 0, 1, "start at"),
        (Window(0, 0, 9, 9), Window(5, 5, 5, 1), 4, 0, 1, "beyond the raster"),
        (Window(0, 0, 9, 9), None, 0, 0, 1, "size >= 1"),
        (Window(0, 0, 9, 9), None, 4, -1, 1, "halo >= 0"),
        (Window(0, 0, 9, 9), None, 4, 0, 0, "divisor >= 1"),
    ],
)
def test_bad_plans_are_refused(
    raster: Window, extent: Window | None, size: int, halo: int, divisor: int, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        plan_tiles(raster, extent, size, halo, divisor)

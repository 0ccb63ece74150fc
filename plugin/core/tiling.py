"""Windows of a raster, and the tiles a scene is computed by.

A tile is *exact*: the pixels of its core come out as they would from the whole image, because
its source reaches at least the network's receptive radius beyond the core, except where the
raster itself ends, and there the network pads just as it does for the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import InvalidInput


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels.

    Parameters
    ----------
    x, y : int
        Column and row of the upper left pixel.
    width, height : int
        Size in pixels, at least 1.

    Raises
    ------
    InvalidInput
        If the window is empty.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise InvalidInput(
                f"A window must hold at least one pixel, got {self.width} x {self.height}."
            )

    @property
    def right(self) -> int:
        """First column beyond the window."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row beyond the window."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def intersection(self, other: Window) -> Window | None:
        """Return the pixels shared with `other`, or None where there are none."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        if right <= x or bottom <= y:
            return None
        return Window(x, y, right - x, bottom - y)

    def contains(self, other: Window) -> bool:
        """Tell whether every pixel of `other` lies in this window."""
        return self.intersection(other) == other

    def shifted(self, dx: int, dy: int) -> Window:
        """Return the window moved by `dx` columns and `dy` rows."""
        return Window(self.x + dx, self.y + dy, self.width, self.height)


@dataclass(frozen=True)
class Tile:
    """One step of a run, in raster coordinates.

    Parameters
    ----------
    core : Window
        The pixels the tile answers for.
    source : Window
        The pixels to read: the core and its halo, clipped to the raster.
    """

    core: Window
    source: Window

    @property
    def inner(self) -> Window:
        """The core, counted from the source's upper left pixel."""
        return self.core.shifted(-self.source.x, -self.source.y)


def plan_tiles(
    raster: Window,
    extent: Window | None,
    size: int | tuple[int, int],
    halo: int,
    divisor: int = 1,
) -> list[Tile]:
    """Cover an extent with tiles, row by row.

    Parameters
    ----------
    raster : Window
        The whole raster, ``Window(0, 0, width, height)``.
    extent : Window or None
        The pixels asked for; None for all. Cores tile it exactly and without overlap, their
        grid starting at the extent's upper left pixel.
    size : int or (int, int)
        Largest width and height of a core, in pixels; one number for both.
    halo : int
        Pixels a source holds beyond its core on every side where the raster has them
        (the network's receptive radius).
    divisor : int, default 1
        The network's sampling grid. Sources start, and end unless the raster does, at a
        multiple of it in *raster* coordinates, so that a pixel keeps its phase in the grid
        whatever the tiling or the extent.

    Returns
    -------
    list of Tile

    Raises
    ------
    InvalidInput
        If a parameter is out of range, or the extent reaches beyond the raster.
    """
    extent = raster if extent is None else extent
    if (raster.x, raster.y) != (0, 0):
        raise InvalidInput(f"The raster window must start at (0, 0), got {raster}.")
    if not raster.contains(extent):
        raise InvalidInput(
            f"The extent {extent} reaches beyond the raster of "
            f"{raster.width} x {raster.height} pixels; choose one inside it."
        )
    width, height = size if isinstance(size, tuple) else (size, size)
    if min(width, height) < 1 or halo < 0 or divisor < 1:
        raise InvalidInput(
            "A tile plan needs size >= 1, halo >= 0 and divisor >= 1, "
            f"got size {size}, halo {halo}, divisor {divisor}."
        )
    columns = _spans(extent.x, extent.right, raster.width, width, halo, divisor)
    rows = _spans(extent.y, extent.bottom, raster.height, height, halo, divisor)
    return [
        Tile(
            Window(x, y, right - x, bottom - y),
            Window(source_x, source_y, source_right - source_x, source_bottom - source_y),
        )
        for y, bottom, source_y, source_bottom in rows
        for x, right, source_x, source_right in columns
    ]


def _spans(
    start: int, end: int, limit: int, size: int, halo: int, divisor: int
) -> list[tuple[int, int, int, int]]:
    """Cut one axis into (core start, core end, source start, source end)."""
    spans = []
    for first in range(start, end, size):
        last = min(first + size, end)
        source_first = max(first - halo, 0) // divisor * divisor
        source_last = min(-(-(last + halo) // divisor) * divisor, limit)
        spans.append((first, last, source_first, source_last))
    return spans

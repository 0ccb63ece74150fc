"""Between the map on the canvas and the pixels of a raster."""

from __future__ import annotations

import math

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QPointF, QRectF
from qgis.PyQt.QtGui import QPolygonF

from ...processing_provider.extents import snapped_window
from ..core.tiling import Window
from ..jobs.preview import MAX_STEP
from ..raster.placing import Placement

# More pixels than this are thinned out.
MOST_PIXELS = 2_000_000

# Points on each side of an outline, which is no rectangle any more in another CRS.
_DENSITY = 12
# Cells of the mesh that bends a picture into another CRS.
_CELLS = 8

Cell = tuple[QRectF, QPolygonF]


def to_layer(canvas: QgsMapCanvas, layer: QgsRasterLayer) -> QgsCoordinateTransform:
    """Transform from the map to a layer."""
    crs = canvas.mapSettings().destinationCrs()
    return QgsCoordinateTransform(crs, layer.crs(), QgsProject.instance().transformContext())


def visible_window(
    canvas: QgsMapCanvas, layer: QgsRasterLayer, placement: Placement
) -> Window | None:
    """Pixels of a layer that the canvas shows; None where there are none."""
    transform = to_layer(canvas, layer)
    whole = Window(0, 0, placement.width, placement.height)
    try:
        extent = transform.transformBoundingBox(layer.extent(), Qgis.TransformDirection.Reverse)
        shown = canvas.mapSettings().visibleExtent().intersect(extent)
        if shown.isEmpty():
            return None
        outline = QgsGeometry.fromRect(shown).densifyByCount(_DENSITY)
        outline.transform(transform)
    except QgsCsException:
        return whole
    places = [(point.x(), point.y()) for point in outline.vertices()]
    pixels = [
        (x, y) for x, y in placement.to_pixels(places) if math.isfinite(x) and math.isfinite(y)
    ]
    if not pixels:
        return None
    columns, rows = zip(*pixels)
    left, top = math.floor(min(columns)), math.floor(min(rows))
    width, height = math.ceil(max(columns)) - left, math.ceil(max(rows)) - top
    if width < 1 or height < 1:
        return None
    return whole.intersection(Window(left, top, width, height))


def extent_text(placement: Placement, window: Window) -> str | None:
    """A window of a raster as the extent of an algorithm that gives just these pixels.

    Returns
    -------
    str or None
        "" for the whole raster; None where no rectangle of its CRS holds these pixels and no
        others, as in rotated rasters.
    """
    if window == Window(0, 0, placement.width, placement.height):
        return ""
    xs, ys = zip(*placement.to_map(_corners(window.x, window.y, window.right, window.bottom)))
    sides = min(xs), max(xs), min(ys), max(ys)
    if not all(map(math.isfinite, sides)):
        return None
    west, east, south, north = sides
    back = placement.to_pixels(_corners(west, south, east, north))
    if snapped_window(back, placement.width, placement.height) != window:
        return None
    # Without a CRS, which stands for the raster's own.
    return ",".join(map(repr, sides))


def _corners(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def step_for(window: Window) -> int | None:
    """Which of the pixels to take so that they are not too many; None where hardly any."""
    step = max(1, math.ceil(math.sqrt(window.area / MOST_PIXELS)))
    return step if step <= MAX_STEP else None


def mesh(
    canvas: QgsMapCanvas, layer: QgsRasterLayer, placement: Placement, window: Window, step: int
) -> list[Cell]:
    """Where the parts of a picture belong on the map.

    Parameters
    ----------
    canvas, layer, placement
    window : Window
        Of the picture, in thinned pixels.
    step : int

    Returns
    -------
    list of (rectangle in the picture, quadrilateral on the map)
        Those that can be placed.
    """
    transform = to_layer(canvas, layer)
    count = 1 if transform.isShortCircuited() and placement.is_affine else _CELLS
    xs = [window.width * index / count for index in range(count + 1)]
    ys = [window.height * index / count for index in range(count + 1)]
    # A thinned pixel stands in the middle of those it stands for.
    shift = (step - 1) / 2
    pixels = [
        ((window.x + x) * step - shift, (window.y + y) * step - shift) for y in ys for x in xs
    ]
    places = [_back(transform, x, y) for x, y in placement.to_map(pixels)]
    cells: list[Cell] = []
    for row in range(count):
        for column in range(count):
            first = row * (count + 1) + column
            corners = [places[first], places[first + 1], places[first + count + 2],
                       places[first + count + 1]]  # fmt: skip
            if None in corners:
                continue
            part = QRectF(QPointF(xs[column], ys[row]), QPointF(xs[column + 1], ys[row + 1]))
            cells.append((part, QPolygonF(corners)))
    return cells


def _back(transform: QgsCoordinateTransform, x: float, y: float) -> QPointF | None:
    if not (math.isfinite(x) and math.isfinite(y)):
        return None
    try:
        place = transform.transform(QgsPointXY(x, y), Qgis.TransformDirection.Reverse)
    except QgsCsException:
        return None
    return QPointF(place.x(), place.y())

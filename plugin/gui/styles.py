"""The colours of a preview: those its layer would be drawn in."""

from __future__ import annotations

import numpy as np
from osgeo import gdal
from qgis.core import QgsGradientColorRamp, QgsGradientStop, QgsRasterLayer
from qgis.PyQt.QtGui import QColor

from ..core.display import (
    SCALE_SIZE,
    TABLE_SIZE,
    Colours,
    finished_table,
    table_values,
)
from ..core.domains import from_intensity

_SIDE = 256  # a table is drawn as a square raster of this side
_FILE = "/vsimem/speckless_colour_table.tif"

_SETTERS = ("setInputBand", "setGrayBand", "setBand")  # QGIS 3.38, and older ones


def layer_table(layer: QgsRasterLayer, band: int, domain: str) -> Colours | None:
    """Colours in which a layer shows each intensity.

    The layer's own renderer draws a raster of all values there are, so any of its kinds and
    settings will do, brightness, gamma and saturation included.

    Parameters
    ----------
    layer : QgsRasterLayer
    band : int
    domain : str
        What the layer holds.

    Returns
    -------
    ndarray of uint32 or None
        For `core.display.colour`; None where the renderer does not show this band alone.
    """
    renderer = layer.renderer()
    if renderer is None or domain == "complex" or renderer.usesBands() != [band]:
        return None
    renderer = renderer.clone()
    setter = next((name for name in _SETTERS if hasattr(renderer, name)), None)
    if setter is None:
        return None
    getattr(renderer, setter)(1)
    values = table_values()
    values[~np.isfinite(values)] = 0
    _write(from_intensity(values, domain).reshape(_SIDE, _SIDE))
    try:
        drawn = QgsRasterLayer(_FILE, "", "gdal", QgsRasterLayer.LayerOptions(False))
        drawn.setRenderer(renderer)
        for name in ("brightnessFilter", "hueSaturationFilter"):
            copy_filter(getattr(layer, name)(), getattr(drawn, name)())
        last = drawn.pipe().at(drawn.pipe().size() - 1)
        block = last.block(1, drawn.extent(), _SIDE, _SIDE)
        image = block.image() if block is not None else None
        if image is None or image.isNull():
            return None
        image = image.convertToFormat(image.Format.Format_ARGB32_Premultiplied)
        pointer = image.constBits()
        pointer.setsize(TABLE_SIZE * 4)
        colours = np.frombuffer(bytes(pointer), np.uint32)
    finally:
        del drawn
        gdal.Unlink(_FILE)
    return finished_table(colours)


def copy_filter(source: object, target: object) -> None:
    """Copy the settings of a brightness or saturation filter that QGIS has in this version."""
    for name in ("Brightness", "Contrast", "Gamma", "Saturation", "GrayscaleMode", "ColorizeOn",
                 "ColorizeColor", "ColorizeStrength", "InvertColors"):  # fmt: skip
        getter = name[0].lower() + name[1:]
        if hasattr(source, getter) and hasattr(target, f"set{name}"):
            getattr(target, f"set{name}")(getattr(source, getter)())


def ramp(*colours: str) -> Colours:
    """Scale of colours that blend evenly, for `core.display.colour_scale`."""
    inner = colours[1:-1]
    stops = [
        QgsGradientStop((index + 1) / (len(colours) - 1), QColor(name))
        for index, name in enumerate(inner)
    ]
    gradient = QgsGradientColorRamp(QColor(colours[0]), QColor(colours[-1]), False, stops)
    levels = [gradient.color(index / (SCALE_SIZE - 1)).rgba() for index in range(SCALE_SIZE)]
    return np.array(levels, np.uint32)


def diverging() -> Colours:
    """Blue, white, red: what was added and what was taken away."""
    return ramp("#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b")


def rising() -> Colours:
    """Dark blue to yellow (the stops of viridis)."""
    return ramp("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


def _write(values: np.ndarray) -> None:
    dataset = gdal.GetDriverByName("GTiff").Create(_FILE, _SIDE, _SIDE, 1, gdal.GDT_Float32)
    dataset.SetGeoTransform((0, 1, 0, _SIDE, 0, -1))
    dataset.GetRasterBand(1).WriteArray(values.astype(np.float32))
    dataset.FlushCache()

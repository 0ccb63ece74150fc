"""From what the user gave as input raster to what GDAL opens."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsMapLayer, QgsProviderRegistry, QgsRasterLayer
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.raster.gdal_access import open_raster

translate = QCoreApplication.translate


def raster_layer(layer: QgsRasterLayer | None, value: Any) -> QgsRasterLayer:
    """Layer of the input, also where QGIS's own look-up finds none.

    In QGIS 3.22 that takes only names of files for rasters, not "/vsizip/..." or
    "NETCDF:...", and gives no reason for refusing any other.

    Parameters
    ----------
    layer : QgsRasterLayer or None
        The input as QGIS understood it; None where it could not.
    value : object
        The input as given; only looked at without a layer.

    Raises
    ------
    RasterError
        When there is no such raster.
    """
    if layer is not None:
        return layer
    path = value if isinstance(value, str) else ""
    open_raster(path)  # says why it is no raster
    options = QgsRasterLayer.LayerOptions(False)  # no style: that reads pixels
    return QgsRasterLayer(path, path, "gdal", options)


def gdal_source(layer: QgsRasterLayer) -> str:
    """Name that GDAL opens the source of a layer by.

    Raises
    ------
    InvalidInput
        When the layer does not come from GDAL: web services, virtual rasters of expressions,
        database rasters.
    """
    provider = layer.providerType()
    if provider != "gdal":
        raise InvalidInput(
            translate(
                "Speckless",
                "The layer '{name}' comes from the data provider '{provider}', not from a file "
                "that GDAL reads. Export it to a GeoTIFF (Export > Save As, raw data), then "
                "despeckle that.",
            ).format(name=layer.name(), provider=provider)
        )
    return strip_options(layer.source())


def strip_options(source: str) -> str:
    """Cut off what QGIS adds to GDAL's name of a raster ("|option:...", "|credential:...")."""
    for mark in ("|option:", "|credential:"):
        source = source.partition(mark)[0]
    return source


def open_options(source: str) -> list[str]:
    """Options QGIS opens a raster with, which a job does not know."""
    return list(QgsProviderRegistry.instance().decodeUri("gdal", source).get("openOptions") or [])


def raster_paths(layers: list[QgsMapLayer], value: Any) -> list[str]:
    """Names that GDAL opens the rasters of a list by, in the order given.

    Parameters
    ----------
    layers : list of QgsMapLayer
        The list as QGIS understood it: without what it could not.
    value : object
        The list as given.

    Raises
    ------
    InvalidInput, RasterError
        When one is no raster, or none that GDAL reads.
    """
    given = value if isinstance(value, (list, tuple)) else [value]
    given = [one for one in given if one not in (None, "")]
    if len(layers) == len(given):
        return [gdal_source(layer) for layer in layers]
    # In QGIS 3.22 names such as "/vsizip/..." are left out without a word.
    paths = []
    for one in given:
        if isinstance(one, QgsMapLayer):
            paths.append(gdal_source(one))
            continue
        names = {layer.id(): layer for layer in layers}
        names.update({layer.source(): layer for layer in layers})
        if str(one) in names:
            paths.append(gdal_source(names[str(one)]))
            continue
        open_raster(str(one))  # says why it is no raster
        paths.append(strip_options(str(one)))
    return paths

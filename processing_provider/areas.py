"""From a layer of polygons to the pixels in them."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.core.tiling import Window
from ..plugin.raster.polygons import PolygonMask

translate = QCoreApplication.translate

# A straight edge is no straight line in another CRS: polygons get at least so many vertices.
_EDGES = 64


def areas_as_wkb(
    features: Iterable[QgsFeature],
    crs: QgsCoordinateReferenceSystem,
    target: QgsCoordinateReferenceSystem,
    context: QgsProcessingContext,
) -> list[bytes]:
    """Geometries as well-known binary in another CRS; an empty polygon for those that have none.

    Sides get vertices before, for what is straight in one CRS is not in another.
    """
    change = QgsCoordinateTransform(crs, target, context.transformContext())
    areas = []
    for feature in features:
        geometry = QgsGeometry(feature.geometry())
        if not geometry.isNull() and change.isValid() and not change.isShortCircuited():
            box = geometry.boundingBox()
            longest = max(box.width(), box.height())
            if longest > 0:
                geometry = geometry.densifyByDistance(longest / _EDGES)
            try:
                geometry.transform(change)
            except QgsCsException:
                geometry = QgsGeometry()
        if geometry.isNull():
            geometry = QgsGeometry.fromWkt("POLYGON EMPTY")
        areas.append(bytes(geometry.asWkb()))
    return areas


def polygon_mask(
    features: QgsProcessingFeatureSource,
    crs: QgsCoordinateReferenceSystem,
    path: str,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> PolygonMask:
    """Make the mask of a raster from features in any CRS; the selected ones, if so asked.

    As on the map canvas, vertices are turned into the raster's CRS and the sides between them
    stay straight. Where one of the two has no CRS, coordinates are taken as the raster's.

    Parameters
    ----------
    features : QgsProcessingFeatureSource
    crs : QgsCoordinateReferenceSystem
        Of the raster as QGIS sees it.
    path : str
        Raster, by GDAL's name.
    context, feedback
        Of the algorithm.

    Raises
    ------
    InvalidInput
        When no polygon is there, or none can be placed in the raster.
    RasterError
        When the raster cannot be opened.
    """
    transform = QgsCoordinateTransform(features.sourceCrs(), crs, context.transformContext())
    request = QgsFeatureRequest().setNoAttributes()
    # The mask copes with rings that cross, which QGIS would stop at.
    flag = QgsProcessingFeatureSource.FlagSkipGeometryValidityChecks
    polygons, lost = [], 0
    for feature in features.getFeatures(request, flag):
        geometry = feature.geometry()
        if geometry.isNull():
            continue
        if _transformed(geometry, transform):
            polygons.append(geometry.asWkb().data())
        else:
            lost += 1
    if lost and not polygons:
        raise InvalidInput(
            translate(
                "Speckless",
                "The polygons cannot be turned into the CRS of the raster ({crs}): they lie "
                "outside the region it is made for.",
            ).format(crs=crs.authid() or crs.description())
        )
    if lost:
        feedback.pushWarning(
            translate(
                "Speckless",
                "{lost} polygons cannot be turned into the CRS of the raster and are left out.",
            ).format(lost=lost)
        )
    return PolygonMask(path, polygons)


def _transformed(geometry: QgsGeometry, transform: QgsCoordinateTransform) -> bool:
    """Move a geometry into another CRS; False where that has no place for it."""
    try:
        geometry.transform(transform)
    except QgsCsException:
        return False
    # Some projections give infinity instead of an error.
    return geometry.isEmpty() or geometry.boundingBox().isFinite()


def learning_window(mask: PolygonMask, extent: Window | None) -> Window:
    """Smallest window around the polygons within an extent.

    Raises
    ------
    InvalidInput
        When they lie outside.
    """
    if mask.bounds is None:
        raise InvalidInput(
            translate("Speckless", "The training area lies outside the raster; draw it inside.")
        )
    if extent is None:
        return mask.bounds
    common = mask.bounds.intersection(extent)
    if common is None:
        raise InvalidInput(
            translate(
                "Speckless", "The training area lies outside the extent; leave one of them out."
            )
        )
    return common

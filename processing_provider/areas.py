"""From a layer of polygons to the pixels in them."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
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
    """Geometries of features in another CRS, see `area_in_raster`."""
    transforms = context.transformContext()
    return [area_in_raster(feature.geometry(), crs, target, transforms) for feature in features]


def source_as_wkb(
    source: QgsProcessingFeatureSource | None,
    given: object,
    target: QgsCoordinateReferenceSystem,
    context: QgsProcessingContext,
) -> list[bytes]:
    """Polygons of an optional layer, see `areas_as_wkb`; none where it was left out.

    Parameters
    ----------
    source : QgsProcessingFeatureSource or None
        The layer as QGIS understood it; None where it could not.
    given : object
        The layer as given.
    target : QgsCoordinateReferenceSystem
    context : QgsProcessingContext

    Raises
    ------
    InvalidInput
        When a layer is given that is none: scripts may leave out QGIS's own check.
    """
    if source is None:
        if given in (None, ""):
            return []
        problem = translate("Speckless", "The layer of homogeneous areas '{given}' cannot be read.")
        raise InvalidInput(problem.format(given=given))
    # Outlines drawn by hand may cross themselves; pixels can be counted all the same.
    as_they_are = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
    features = source.getFeatures(QgsFeatureRequest(), as_they_are)
    return areas_as_wkb(features, source.sourceCrs(), target, context)


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


def area_in_raster(
    geometry: QgsGeometry,
    source: QgsCoordinateReferenceSystem,
    raster: QgsCoordinateReferenceSystem,
    context: QgsCoordinateTransformContext,
) -> bytes:
    """Turn an area into the CRS of a raster, its sides bent as they must be, for its statistics.

    Returns
    -------
    bytes
        Well-known binary; an empty polygon where there is none, or no place for it.
    """
    change = QgsCoordinateTransform(source, raster, context)
    moved = QgsGeometry(geometry)
    if not moved.isNull() and change.isValid() and not change.isShortCircuited():
        box = moved.boundingBox()
        longest = max(box.width(), box.height())
        if longest > 0:
            moved = moved.densifyByDistance(longest / _EDGES)
        try:
            moved.transform(change)
        except QgsCsException:
            moved = QgsGeometry()
    if moved.isNull():
        moved = QgsGeometry.fromWkt("POLYGON EMPTY")
    return bytes(moved.asWkb())


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

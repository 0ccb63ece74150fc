"""Layers of polygons become masks whatever CRS they have, or lack."""

from __future__ import annotations

import numpy as np
import pytest
from despeckle_scenes import ORIGIN, PIXEL, Recorder
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsVectorLayer,
)

from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.tiling import Window
from speckless.plugin.raster.polygons import PolygonMask
from speckless.processing_provider.areas import learning_window, polygon_mask

UTM = "EPSG:32631"


def box(left: float, top: float, right: float, bottom: float) -> str:
    """WKT of a rectangle given in pixels of the scene."""
    x0, x1 = ORIGIN[0] + left * PIXEL, ORIGIN[0] + right * PIXEL
    y0, y1 = ORIGIN[1] - top * PIXEL, ORIGIN[1] - bottom * PIXEL
    return f"POLYGON (({x0} {y0}, {x1} {y0}, {x1} {y1}, {x0} {y1}, {x0} {y0}))"


def mask_of(
    scene: str, crs: str, *texts: str, kind: str = "Polygon", feedback: Recorder | None = None
) -> PolygonMask:
    layer = QgsVectorLayer(f"{kind}?crs={crs}", "areas", "memory")
    if not crs:
        layer.setCrs(QgsCoordinateReferenceSystem())
    for text in texts:
        feature = QgsFeature()
        if text:
            feature.setGeometry(QgsGeometry.fromWkt(text))
        layer.dataProvider().addFeature(feature)
    context = QgsProcessingContext()
    source = QgsProcessingFeatureSource(layer, context)
    target = QgsCoordinateReferenceSystem(UTM)
    return polygon_mask(source, target, scene, context, feedback or Recorder())


def expected(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((60, 80), bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("crs", [UTM, ""])
def test_layer_without_crs_is_taken_as_the_rasters(plugin: object, scene: str, crs: str) -> None:
    mask = mask_of(scene, crs, box(10, 20, 30, 40), "")
    np.testing.assert_array_equal(mask(Window(0, 0, 80, 60)), expected(10, 20, 30, 40))


def test_rings_that_cross_are_no_stop(plugin: object, scene: str) -> None:
    x, y = ORIGIN
    bow = f"POLYGON (({x} {y}, {x + 400} {y - 400}, {x + 400} {y}, {x} {y - 400}, {x} {y}))"
    mask = mask_of(scene, UTM, bow)(Window(0, 0, 40, 40))
    assert mask[20, 5] and mask[20, 35]
    assert not mask[5, 20] and not mask[35, 20]


def test_what_cannot_be_turned_into_the_crs_is_left_out_or_refused(
    plugin: object, scene: str
) -> None:
    feedback = Recorder()
    good = "POLYGON ((3.0 41.5, 3.01 41.5, 3.01 41.6, 3.0 41.6, 3.0 41.5))"
    lost = "POLYGON ((3 1e9, 4 1e9, 4 2e9, 3 2e9, 3 1e9))"
    mask = mask_of(scene, "EPSG:4326", good, lost, feedback=feedback)
    assert mask.bounds is not None
    assert any("1 polygons cannot be turned" in text for text in feedback.warnings)
    with pytest.raises(InvalidInput, match="CRS of the raster"):
        mask_of(scene, "EPSG:4326", lost)


def test_lines_are_no_area(plugin: object, scene: str) -> None:
    with pytest.raises(InvalidInput, match="no polygon"):
        mask_of(scene, UTM, "LINESTRING (0 0, 1 1)", kind="LineString")


def test_window_to_learn_from(plugin: object, scene: str) -> None:
    mask = mask_of(scene, UTM, box(10, 20, 30, 40), box(50, 5, 60, 8))
    assert learning_window(mask, None) == Window(10, 5, 50, 35)
    assert learning_window(mask, Window(0, 0, 20, 30)) == Window(10, 5, 10, 25)
    with pytest.raises(InvalidInput, match="outside the extent"):
        learning_window(mask, Window(0, 0, 5, 5))
    with pytest.raises(InvalidInput, match="outside the raster"):
        learning_window(mask_of(scene, UTM, box(500, 500, 510, 510)), None)

"""Giving a result the looks of its input, so that before and after compare at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsRasterRenderer,
)


class KeepRenderer(QgsProcessingLayerPostProcessorInterface):
    """Sets a renderer on a layer once Processing has loaded it, on the main thread.

    Parameters
    ----------
    renderer : QgsRasterRenderer
        To be copied; see `renderer_for`.
    """

    # Processing keeps only a pointer, and the algorithm may be gone by then.
    _alive: set[KeepRenderer] = set()  # noqa: RUF012

    def __init__(self, renderer: QgsRasterRenderer) -> None:
        super().__init__()
        self._renderer = renderer
        self._alive.add(self)

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self._alive.discard(self)
        if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
            return
        if max(self._renderer.usesBands(), default=0) <= layer.bandCount():
            layer.setRenderer(self._renderer.clone())
            layer.emitStyleChanged()
            layer.triggerRepaint()


def shown_renderer(
    layer: QgsRasterLayer, bands: Sequence[int], context: QgsProcessingContext
) -> QgsRasterRenderer | None:
    """As `renderer_for`, for a layer of the project; None for one that is not shown there."""
    project = context.project()
    shown = project is not None and project.mapLayer(layer.id()) is not None
    return renderer_for(layer, bands) if shown else None


def keep_renderer(
    context: QgsProcessingContext, path: str, renderer: QgsRasterRenderer | None
) -> None:
    """Have a result shown in a style, if it is to be shown at all."""
    if renderer is not None and context.willLoadLayerOnCompletion(path):
        details = context.layerToLoadOnCompletionDetails(path)
        details.setPostProcessor(KeepRenderer(renderer))


def renderer_for(layer: QgsRasterLayer, bands: Sequence[int]) -> QgsRasterRenderer | None:
    """Copy of a layer's renderer for a raster that holds only some of its bands.

    Parameters
    ----------
    layer : QgsRasterLayer
    bands : sequence of int
        Bands of the layer in the order the result has them; empty for all.

    Returns
    -------
    QgsRasterRenderer or None
        None where the renderer shows a band that the result lacks.
    """
    if layer.renderer() is None:
        return None
    renderer = layer.renderer().clone()
    used = renderer.usesBands()
    if not bands or all(band <= len(bands) and bands[band - 1] == band for band in used):
        return renderer
    if len(used) != 1 or used[0] not in bands:
        return None
    for setter in ("setInputBand", "setGrayBand", "setBand"):  # QGIS 3.38, and older ones
        if hasattr(renderer, setter):
            getattr(renderer, setter)(list(bands).index(used[0]) + 1)
            return renderer
    return None

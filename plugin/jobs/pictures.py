"""From a preview to the picture on the map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.display import (
    Colours,
    colour,
    colour_scale,
    difference,
    gray_table,
    stretch,
    symmetric_bound,
)
from .preview_image import Preview

FloatArray = npt.NDArray[np.float32]

_GRAYS = np.arange(256, dtype=np.uint32) * np.uint32(0x010101) | np.uint32(0xFF000000)


@dataclass(frozen=True)
class Palette:
    """How the views are coloured.

    Attributes
    ----------
    layer : ndarray or None
        Table of the layer's own style; None for a gray stretch by the pixels in view.
    diverging, rising : ndarray
        Colour scales for differences and for the slope.
    """

    layer: Colours | None
    diverging: Colours
    rising: Colours


@dataclass(frozen=True)
class Picture:
    """A view of a preview, in colours.

    Attributes
    ----------
    preview : Preview
    colours : ndarray of uint32, (height, width)
        0xAARRGGBB; transparent where there is nothing.
    original : ndarray of uint32, (height, width)
        The input in the layer's style, to compare with.
    estimate : ndarray of float32
        Turned to ``knob``, whatever is shown.
    view : str
    knob : float
    part : float
        Of the preview's tiles that are in.
    legend : (float, float) or None
        Values of the first and the last colour, where the layer's style does not tell.
    scale : ndarray of uint32 or None
        The colours from one end of the legend to the other; even in the value, of a ratio in
        its logarithm, so that 1 is in the middle.
    """

    preview: Preview
    colours: Colours
    original: Colours
    estimate: FloatArray
    view: str
    knob: float
    part: float
    palette: Palette
    legend: tuple[float, float] | None = None
    scale: Colours | None = None


def draw(
    preview: Preview,
    view: str,
    knob: float,
    palette: Palette,
    part: float = 1.0,
    before: Picture | None = None,
) -> Picture:
    """Colour a view; one the model does not have becomes the despeckled image.

    Parameters
    ----------
    preview : Preview
    view : str
        One of `preview_image.VIEWS`.
    knob : float
        L; ignored where the model must run again for another.
    palette : Palette
    part : float
    before : Picture, optional
        The last one, of which what has not changed is taken over.
    """
    if view not in preview.views:
        view = "despeckled"
    if not preview.turns_to(knob):
        knob = preview.knob
    estimate = preview.turned(knob)
    table = palette.layer
    if table is None:
        domain = preview.scene.domain
        table = gray_table(*stretch(preview.intensity, domain), domain)
    legend: tuple[float, float] | None = None
    scale: Colours | None = None
    if view == "ratio":
        # Three standard deviations of speckle up, and as many decibels down.
        bound = 1 + 3 / preview.looks**0.5
        legend, scale = (1 / bound, bound), _GRAYS
        decibels = 10 * math.log10(bound)
        colours = colour(preview.intensity / estimate, gray_table(-decibels, decibels, "db"))
    elif view == "difference":
        values = difference(preview.intensity, estimate, preview.scene.domain)
        bound = symmetric_bound(values)
        legend, scale = (-bound, bound), palette.diverging
        colours = colour_scale(values, -bound, bound, scale)
    elif view == "a":
        legend, scale = (0.0, 1.0), palette.rising
        colours = colour_scale(preview.maps(knob)[0], 0, 1, scale)
    else:
        values = estimate if view == "despeckled" else preview.maps(knob)[1]
        colours = colour(np.ascontiguousarray(values), table)
    same = (
        before is not None
        and before.preview is preview
        and before.palette is palette
        and before.part == part
    )
    original = before.original if same and before else colour(preview.intensity, table)
    return Picture(preview, colours, original, estimate, view, knob, part, palette, legend, scale)

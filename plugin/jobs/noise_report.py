"""The speckle that a network estimates, in a report: its density, and what fits it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import InvalidInput
from ..core.noise_fit import NoiseMoments
from ..reports.charts import Series, line_chart
from ..reports.page import Page
from ..reports.pictures import picture

Array = npt.NDArray[Any]

_BINS = 60
_SHARE = 0.995  # of the pixels that the figure reaches to


def add_noise_section(page: Page, before: Array, after: Array, shown: int) -> None:
    """Add pictures of the estimated speckle and its density (deSpeckNet's Figure 10).

    Parameters
    ----------
    page : Page
    before, after : ndarray, (height, width)
        Speckle as estimated before and after the tuning; NaN where invalid.
    shown : int
        Width of a picture on the page.
    """
    page.section("Estimated speckle")
    page.figures(
        (picture(noise, 0, 2, "gray", shown, name), f"{name}; black 0, white 2 and more.")
        for name, noise in (("Speckle before", before), ("Speckle after", after))
    )
    values = after[np.isfinite(after) & (after > 0)].astype(np.float64)
    moments = NoiseMoments()
    moments.add(values)
    try:
        fit = moments.fit()
    except InvalidInput:
        page.text("All pixels of it are equal: there is no density to fit.")
        return
    edges = np.linspace(0, float(np.quantile(values, _SHARE)), _BINS + 1)
    counts, _ = np.histogram(values, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    density = counts / (values.size * np.diff(edges))
    gamma, exponential = fit.density(middles)
    lines = [
        Series("estimated", list(middles), list(density)),
        Series(f"Gamma, {fit.looks:.2f} looks", list(middles), list(gamma), dashed=True),
        Series("exponential (1 look)", list(middles), list(exponential), dashed=True),
    ]
    chart = line_chart(lines, "speckle", "density", zero_line=True)
    page.figures([(chart, "Density of the estimated speckle after the tuning, here.")])
    page.text(fit.describe())

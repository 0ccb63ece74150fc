"""What the tests of speckless:despeckle share: where scenes lie, and what a 3×3 mean gives."""

from __future__ import annotations

import numpy as np
from osgeo import gdal
from qgis.core import QgsProcessingFeedback

ORIGIN = (500000.0, 4600000.0)
PIXEL = 10.0


class Recorder(QgsProcessingFeedback):
    """Feedback that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(False)
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []

    def pushInfo(self, info: str) -> None:
        self.infos.append(info)

    def pushWarning(self, warning: str) -> None:
        self.warnings.append(warning)

    def reportError(self, error: str, fatalError: bool = False) -> None:
        self.errors.append(error)


def read(path: str, band: int = 1) -> np.ndarray:
    """One band of a raster."""
    dataset = gdal.Open(path)
    values = dataset.GetRasterBand(band).ReadAsArray()
    dataset = None
    return values


def mean_3x3(values: np.ndarray) -> np.ndarray:
    """Mean of the pixels of each 3×3 window that lie inside the image."""
    height, width = values.shape
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    padded = np.pad(values.astype(float), 1)
    inside = np.pad(np.ones(values.shape), 1)
    for y in range(3):
        for x in range(3):
            total += padded[y : y + height, x : x + width]
            count += inside[y : y + height, x : x + width]
    return total / count

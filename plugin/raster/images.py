"""Folders of ordinary images, read as gray levels for training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from osgeo import gdal

from ..core.errors import RasterError

_LUMA = (0.299, 0.587, 0.114)
_ENDINGS = {".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp"}


def list_images(folder: str | Path, list_file: str | Path | None = None) -> list[Path]:
    """Images of a folder tree, or those a list names, relative to the folder or its parent.

    Raises
    ------
    RasterError
        When nothing is found, or a listed image is missing.
    """
    folder = Path(folder)
    if list_file is None:
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _ENDINGS)
        if not found:
            raise RasterError(f"No images (PNG, TIFF, JPEG, BMP) in {folder}.")
        return found
    try:
        names = Path(list_file).read_text(encoding="utf-8").split()
    except OSError as error:
        raise RasterError(f"The list {list_file} cannot be read: {error.strerror}.") from error
    paths = []
    for name in names:
        candidates = [folder / name, folder.parent / name]
        found = [path for path in candidates if path.exists()]
        if not found:
            raise RasterError(f"{name}, named in {list_file}, is not in {folder}.")
        paths.append(found[0])
    return paths


def read_gray(path: str | Path) -> npt.NDArray[np.float32]:
    """Gray levels (H, W) in [0, 1] of an 8-bit image.

    RGB becomes floor(0.299 R + 0.587 G + 0.114 B), the conversion that reproduces the noisy
    row of DoPAMINE's Table 1.

    Raises
    ------
    RasterError
        When the file is no 8-bit image.
    """
    try:
        dataset = gdal.Open(str(path))
    except RuntimeError:
        dataset = None
    if dataset is None:
        raise RasterError(f"{path} is not an image.")
    if dataset.GetRasterBand(1).DataType != gdal.GDT_Byte:
        raise RasterError(f"{path} is not an 8-bit image; evaluation expects gray levels 0-255.")
    values = dataset.ReadAsArray()
    dataset = None
    if values.ndim == 3:
        values = _luminance(values) if len(values) >= 3 else values[0]
    return (values / np.float32(255)).astype(np.float32)


def _luminance(bands: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    return np.floor(sum(w * b.astype(np.float64) for w, b in zip(_LUMA, bands)))


def read_all(paths: Sequence[Path]) -> list[npt.NDArray[np.float32]]:
    """Gray levels of several images."""
    return [read_gray(path) for path in paths]

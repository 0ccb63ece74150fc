"""The user's images as training data: clean ones, or noisy ones with their references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from osgeo import gdal

from ..core.errors import Cancelled, InvalidInput, RasterError
from ..core.models.card import ModelCard
from ..core.training_data import TrainingSet
from ..raster.alignment import pixel_offset
from ..raster.blocks import sample_windows
from ..raster.gdal_access import open_raster
from ..raster.images import list_images, read_gray
from ..raster.sampling import scene_statistics
from ..raster.source import RasterSource

Array = npt.NDArray[Any]
IsCancelled = Callable[[], bool]

# So many pixels are read at most; of more, windows spread over the rasters.
MAX_PIXELS = 2**26
_SIDE = 512
_ENDINGS = {".tif", ".tiff", ".img", ".vrt", ".png", ".jpg", ".jpeg", ".bmp", ".nc", ".jp2"}


@dataclass
class Found:
    """Images read.

    Attributes
    ----------
    data : TrainingSet
    about : dict
        Where they come from, for the card.
    warnings : list of str
    """

    data: TrainingSet
    about: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def read_clean(
    folder: str,
    list_file: str | None,
    domain: str,
    is_cancelled: IsCancelled,
    max_pixels: int = MAX_PIXELS,
) -> Found:
    """Read clean images: 8-bit pictures as gray levels, other rasters as intensity.

    Parameters
    ----------
    folder : str
        Searched as a tree.
    list_file : str, optional
        Names of those to take.
    domain : str
        Of rasters that are no 8-bit pictures; see `RasterSource`.
    is_cancelled : callable
    max_pixels : int

    Raises
    ------
    Cancelled, InvalidInput, RasterError
    """
    if not Path(folder).is_dir():
        raise InvalidInput(f"There is no folder {folder}.")
    paths = list_images(folder, list_file)
    kinds = {path: _is_picture(path) for path in paths}
    if len(set(kinds.values())) > 1:
        picture = next(path for path, kind in kinds.items() if kind)
        raster = next(path for path, kind in kinds.items() if not kind)
        raise InvalidInput(
            f"{folder} holds both 8-bit pictures ({picture.name}) and rasters of intensity "
            f"({raster.name}). Train on one kind: put the others elsewhere."
        )
    gray = kinds[paths[0]]
    clean: list[Array] = []
    for path in paths:
        _stop_if(is_cancelled)
        if gray:
            clean.append(read_gray(path))
            continue
        with RasterSource(str(path), None, domain) as source:
            for window in _windows(source, max_pixels // (len(paths) * len(source.bands))):
                for band in source.bands:
                    intensity, valid = source.read(band, window)
                    if valid.any():
                        clean.append(_marked(intensity, valid & (intensity > 0)))
    if not clean:
        raise InvalidInput(f"The images in {folder} hold no valid pixel: all are nodata or zero.")
    kind = "8-bit pictures" if gray else "rasters"
    about = {"data": f"clean images, speckle simulated: {len(paths)} {kind}"}
    return Found(TrainingSet(clean, gray=gray), about)


def match_pairs(noisy: Sequence[str], references: Sequence[str]) -> list[tuple[str, str]]:
    """Put each noisy raster with its reference: by name if all names agree, else by order.

    A single reference serves all noisy rasters (the dates of a stack, say).

    Raises
    ------
    InvalidInput
        When their numbers do not fit.
    """
    if not noisy or not references:
        raise InvalidInput("Give noisy rasters and their references, at least one of each.")
    if len(references) == 1:
        return [(one, references[0]) for one in noisy]
    if len(noisy) != len(references):
        raise InvalidInput(
            f"There are {len(noisy)} noisy rasters and {len(references)} references. Give one "
            "reference for each, in the same order or of the same name, or one for all."
        )
    by_name = {Path(path).stem: path for path in references}
    names = [Path(path).stem for path in noisy]
    if len(by_name) == len(references) and set(names) == set(by_name):
        return [(path, by_name[name]) for path, name in zip(noisy, names)]
    return list(zip(noisy, references))


def match_folders(noisy: str, references: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of the files of one name in two folders, and warnings of what has no partner.

    Raises
    ------
    InvalidInput
        When a folder lacks, is empty, or no names agree.
    """
    files = [_rasters(folder) for folder in (noisy, references)]
    names = sorted(set(files[0]) & set(files[1]))
    if not names:
        raise InvalidInput(
            f"No raster in {noisy} has the name of one in {references} (endings aside). Name "
            "each pair alike."
        )
    warnings = []
    for folder, found in zip((noisy, references), files):
        alone = sorted(set(found) - set(names))
        if alone:
            more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
            warnings.append(
                f"Left out, without a partner of that name: {', '.join(alone[:3])}{more} in "
                f"{folder}."
            )
    return [(str(files[0][name]), str(files[1][name])) for name in names], warnings


def read_pairs(
    pairs: Sequence[tuple[str, str]],
    domain: str,
    looks: float | None,
    scale: str,
    is_cancelled: IsCancelled,
    max_pixels: int = MAX_PIXELS,
) -> Found:
    """Read noisy rasters and their references.

    Parameters
    ----------
    pairs : sequence of (str, str)
        From `match_pairs` or `match_folders`.
    domain : str
        Of all rasters; see `RasterSource`.
    looks : float, optional
        Of the noisy ones; estimated of each by default.
    scale : str
        Scene scale of the model's card.
    is_cancelled : callable
    max_pixels : int

    Raises
    ------
    Cancelled, InvalidInput, RasterError
    """
    clean: list[Array] = []
    noisy: list[Array] = []
    levels: list[float] = []
    scales: list[float] = []
    domains = set()
    for noisy_path, reference_path in pairs:
        with (
            RasterSource(noisy_path, None, domain) as source,
            RasterSource(reference_path, None, domain) as reference,
        ):
            domains.add(source.domain)
            bands = _bands(source, reference)
            windows = _windows(source, max_pixels // (len(pairs) * len(bands)))
            for band, reference_band in bands:
                _stop_if(is_cancelled)
                level, factor = _measured(source, band, looks, scale)
                for window in windows:
                    intensity, valid = source.read(band, window)
                    truth, known = reference.read(reference_band, window)
                    known &= truth > 0
                    if not (valid & known).any():
                        continue
                    noisy.append(_marked(intensity, valid))
                    clean.append(_marked(truth, known))
                    levels.append(level)
                    scales.append(factor)
    if not clean:
        raise InvalidInput(
            "No pixel is valid in a noisy raster and above zero in its reference: check their "
            "nodata values, and that the pairs belong together."
        )
    about = {
        "data": f"{len(pairs)} pairs of noisy and reference rasters",
        "domain": ", ".join(sorted(domains)),
        "looks": [round(min(levels), 3), round(max(levels), 3)],
    }
    return Found(TrainingSet(clean, noisy, levels, scales), about)


def _bands(source: RasterSource, reference: RasterSource) -> list[tuple[int, int]]:
    """Bands that belong together; refuses rasters that do not show the same pixels."""
    if (source.width, source.height) != (reference.width, reference.height):
        raise InvalidInput(
            f"{source.path} has {source.width} x {source.height} pixels, its reference "
            f"{reference.path} {reference.width} x {reference.height}: a pair must show the same "
            "pixels. Clip or warp them to one grid, without resampling the noisy one."
        )
    try:
        offset = pixel_offset(source, reference)
    except RasterError:
        offset = (-1, -1)
    if offset != (0, 0):
        raise InvalidInput(
            f"{source.path} and its reference {reference.path} lie at different places of the "
            "map: their pixels must coincide. Clip them to one grid."
        )
    if len(source.bands) != len(reference.bands):
        raise InvalidInput(
            f"{source.path} has {len(source.bands)} bands, its reference {reference.path} "
            f"{len(reference.bands)}: give as many, in the same order."
        )
    return list(zip(source.bands, reference.bands))


def _measured(
    source: RasterSource, band: int, looks: float | None, scale: str
) -> tuple[float, float]:
    """Number of looks and scene scale of a band."""
    figures = scene_statistics(source, band)
    if figures.mean <= 0:
        raise RasterError(f"Band {band} of {source.path} holds nothing above zero.")
    if looks is None:
        if figures.looks is None:
            raise InvalidInput(
                f"The number of looks of {source.path} cannot be estimated from so few valid "
                "pixels; give LOOKS."
            )
        looks = figures.looks.looks
    card = ModelCard(id="-", title="", architecture="", scale=scale)
    return looks, card.scene_scale(figures.mean, figures.geometric_mean)


def _windows(source: RasterSource, pixels: int) -> Any:
    block = source.block_size(source.bands[0])
    return sample_windows(source.width, source.height, block, max(pixels, _SIDE**2), _SIDE)


def _marked(intensity: Array, valid: Array) -> Array:
    return np.where(valid, intensity, np.float32(np.nan)).astype(np.float32, copy=False)


def _is_picture(path: Path) -> bool:
    dataset = open_raster(str(path))
    return bool(dataset.GetRasterBand(1).DataType == gdal.GDT_Byte)


def _rasters(folder: str) -> dict[str, Path]:
    """Rasters directly in a folder, by name without ending."""
    if not Path(folder).is_dir():
        raise InvalidInput(f"There is no folder {folder}.")
    files = {p.stem: p for p in sorted(Path(folder).iterdir()) if p.suffix.lower() in _ENDINGS}
    if not files:
        raise InvalidInput(f"The folder {folder} holds no rasters.")
    return files


def _stop_if(is_cancelled: IsCancelled) -> None:
    if is_cancelled():
        raise Cancelled("Reading the images was cancelled.")

"""How good an estimate is: without a clean image (ENL, ratio) and with one (PSNR, SSIM).

All figures are on linear intensity unless said otherwise; masks name the pixels to use, and
pixels that are NaN or infinite are never used.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput
from .moments import StreamingMoments
from .tiling import Window

Array = npt.NDArray[Any]

# Relative variance that float rounding alone gives a constant area.
_CONSTANT = 1e-12

SSIM_RADIUS = 5  # its windows are 11 x 11


def enl(intensity: Array, valid: Array | None = None) -> float:
    """Return the equivalent number of looks of a homogeneous area, ``mean**2 / variance``.

    Parameters
    ----------
    intensity : ndarray
        Intensity, any shape; square amplitudes first.
    valid : ndarray of bool, optional

    Returns
    -------
    float
        With the unbiased variance. Biased high in small areas (25 pixels of one look: by about
        16 %); see `enl_interval.enl_interval` for what an area can tell.

    Raises
    ------
    InvalidInput
        If there are fewer than 2 usable pixels, their mean is not positive, or all are equal.
    """
    return 1.0 / coefficient_of_variation(intensity, valid) ** 2


def coefficient_of_variation(intensity: Array, valid: Array | None = None) -> float:
    """Return Cx, standard deviation over mean: ``1 / sqrt(L)`` for L-look intensity.

    Raises
    ------
    InvalidInput
        If there are fewer than 2 usable pixels, their mean is not positive, or all are equal.
    """
    values = _select(intensity, valid=valid)[0]
    if len(values) < 2:
        raise InvalidInput("At least 2 valid pixels are needed to measure variation.")
    mean = float(values.mean())
    if mean <= 0:
        raise InvalidInput(f"The mean intensity must be positive, got {mean:g}; check the domain.")
    relative_variance = float(values.var(ddof=1)) / mean**2
    if relative_variance <= _CONSTANT:
        raise InvalidInput("The area is constant: its ENL would be infinite. Choose another.")
    return math.sqrt(relative_variance)


def best_window_enl(
    intensity: Array, size: int = 32, valid: Array | None = None
) -> tuple[float, Window]:
    """Find the square window of the highest ENL.

    Parameters
    ----------
    intensity : ndarray, (rows, columns)
    size : int, default 32
        Side of the window, at least 2. It slides by an eighth of its side (where 8 divides it,
        else by a smaller step, see Notes).
    valid : ndarray of bool, optional
        Windows with a pixel that cannot be used do not count.

    Returns
    -------
    (float, Window)
        The ENL (unbiased variance) and where.

    Raises
    ------
    InvalidInput
        If the image is smaller than the window, or every window is invalid or constant.

    Notes
    -----
    The step is the largest divisor of `size` not above ``size / 8``, at least one pixel.
    """
    image, usable = _image(intensity, valid)
    if size < 2 or min(image.shape) < size:
        raise InvalidInput(
            f"No window of {size} x {size} pixels fits into an image of "
            f"{image.shape[1]} x {image.shape[0]}; choose a size from 2 to the image's."
        )
    step = next(s for s in range(max(size // 8, 1), 0, -1) if size % s == 0)
    full = size * size
    means = window_sums(image, size, step) / full
    squares = window_sums(image * image, size, step) / full
    fit = (window_sums(usable.astype(np.float64), size, step) == full) & (means > 0)
    variance = (squares - means**2) * (full / (full - 1))
    fit &= variance > _CONSTANT * means**2
    if not fit.any():
        raise InvalidInput(
            f"No window of {size} x {size} pixels is free of invalid pixels and varied; "
            "choose a smaller size."
        )
    looks = np.where(fit, means**2 / np.where(fit, variance, 1.0), 0.0)
    row, column = np.unravel_index(int(np.argmax(looks)), looks.shape)
    window = Window(int(column) * step, int(row) * step, size, size)
    return float(looks[row, column]), window


def ratio(noisy: Array, estimate: Array, valid: Array | None = None) -> npt.NDArray[np.float32]:
    """Return the ratio image ``noisy / estimate``: pure speckle where the estimate is right.

    Returns
    -------
    ndarray of float32
        NaN where a pixel is not valid or the estimate is not positive.

    Raises
    ------
    InvalidInput
        If the shapes differ.
    """
    _check_shapes(noisy, estimate, valid)
    usable = np.isfinite(noisy) & np.isfinite(estimate) & (np.asarray(estimate) > 0)
    if valid is not None:
        usable &= np.asarray(valid, dtype=bool)
    quotient = np.full(np.shape(noisy), np.nan, np.float32)
    np.divide(noisy, estimate, out=quotient, where=usable, casting="same_kind")
    return quotient


def mean_of_ratio(noisy: Array, estimate: Array, valid: Array | None = None) -> float:
    """Return MoR, the mean of ``noisy / estimate``: 1 where radiometry is kept.

    Raises
    ------
    InvalidInput
        If the shapes differ or no pixel is usable.
    """
    return _ratio_moments(noisy, estimate, valid).mean


def variance_of_ratio(noisy: Array, estimate: Array, valid: Array | None = None) -> float:
    """Return VoR, the variance of ``noisy / estimate``: ``1 / L`` if all the speckle, and
    nothing else, was taken out.

    Raises
    ------
    InvalidInput
        If the shapes differ or fewer than 2 pixels are usable.
    """
    return _ratio_moments(noisy, estimate, valid).variance


def _ratio_moments(noisy: Array, estimate: Array, valid: Array | None) -> StreamingMoments:
    moments = StreamingMoments()
    moments.add(ratio(noisy, estimate, valid))
    return moments


def log_rmse(estimate: Array, reference: Array, valid: Array | None = None) -> float:
    """Return the RMSE of ln intensity after taking out the mean offset (so the scale is free).

    Pixels where either image is not positive are left out.

    Raises
    ------
    InvalidInput
        If the shapes differ or no pixel is usable.
    """
    one, other = _select(estimate, reference, valid=valid)
    positive = (one > 0) & (other > 0)
    if not positive.any():
        raise InvalidInput("No pixel is valid and positive in both images.")
    difference = np.log(one[positive]) - np.log(other[positive])
    return float(difference.std())


def psnr(clean: Array, estimate: Array, peak: float = 1.0) -> float:
    """Return the peak signal-to-noise ratio in dB, ``10 log10(peak**2 / MSE)``.

    Nothing is clipped. Identical images have an infinite ratio, and ``math.inf`` is returned.

    Raises
    ------
    InvalidInput
        If the shapes differ, no pixel or one that is not finite is there, or peak <= 0.
    """
    clean, estimate = _finite_pair(clean, estimate)
    if not peak > 0:
        raise InvalidInput(f"The peak must be positive, got {peak}.")
    error = float(np.mean((clean - estimate) ** 2))
    return math.inf if error == 0 else 10.0 * math.log10(peak**2 / error)


def ssim(clean: Array, estimate: Array, data_range: float | None = None) -> float:
    """Return the mean structural similarity [1]_.

    Gaussian window of 11 x 11 pixels, sigma 1.5, normalised to sum 1, K1 = 0.01, K2 = 0.03;
    windows lie wholly inside the image, as in the authors' own program.

    Parameters
    ----------
    clean, estimate : ndarray, (rows, columns)
    data_range : float, optional
        Default: maximum less minimum of `clean`, the protocol of DoPAMINE's Table 1.

    Returns
    -------
    float
        At most 1.

    Raises
    ------
    InvalidInput
        If the shapes differ or are below 11 x 11, a pixel is not finite, or the range is not
        positive (a constant clean image: give `data_range`).

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from
       error visibility to structural similarity", IEEE TIP 13(4), 600-612, 2004.
    """
    clean, estimate = _finite_pair(clean, estimate)
    if clean.ndim != 2 or min(clean.shape) < 11:
        raise InvalidInput(f"SSIM needs two images of at least 11 x 11, got shape {clean.shape}.")
    if data_range is None:
        data_range = float(clean.max() - clean.min())
    if not data_range > 0:
        raise InvalidInput("SSIM needs a positive data range; the clean image may be constant.")
    return float(np.mean(ssim_map(clean, estimate, data_range)))


def ssim_map(clean: Array, estimate: Array, data_range: float) -> npt.NDArray[np.float64]:
    """Return the structural similarity of each window that lies wholly inside the images.

    Parameters
    ----------
    clean, estimate : ndarray, (rows, columns)
        At least 11 x 11.
    data_range : float
        Positive.

    Returns
    -------
    ndarray, (rows - 10, columns - 10)
    """
    clean, estimate = np.asarray(clean, np.float64), np.asarray(estimate, np.float64)
    kernel = np.exp(-0.5 * (np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1) / 1.5) ** 2)
    kernel /= kernel.sum()
    height, width = (length - 2 * SSIM_RADIUS for length in clean.shape)

    def smooth(image: Array) -> Array:
        rows = sum(k * image[i : i + height] for i, k in enumerate(kernel))
        return np.asarray(sum(k * rows[:, i : i + width] for i, k in enumerate(kernel)))

    mean_a, mean_b = smooth(clean), smooth(estimate)
    variances = smooth(clean**2 + estimate**2) - mean_a**2 - mean_b**2
    covariance: Array = smooth(clean * estimate) - mean_a * mean_b
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return np.asarray(luminance * (2 * covariance + c2) / (variances + c2))


def _check_shapes(one: Array, other: Array, valid: Array | None = None) -> None:
    shapes = {np.shape(one), np.shape(other), np.shape(one) if valid is None else np.shape(valid)}
    if len(shapes) > 1:
        raise InvalidInput(
            f"Images and mask must have one shape, got {' and '.join(map(str, sorted(shapes)))}."
        )


def _select(*images: Array, valid: Array | None) -> list[Array]:
    """Return the values, as float64, of the pixels that can be used in all images."""
    _check_shapes(images[0], images[-1], valid)
    arrays = [np.asarray(image, dtype=np.float64) for image in images]
    usable = np.ones(arrays[0].shape, bool) if valid is None else np.array(valid, dtype=bool)
    for array in arrays:
        usable &= np.isfinite(array)
    return [array[usable] for array in arrays]


def _image(intensity: Array, valid: Array | None) -> tuple[Array, Array]:
    """Return a band as float64 with 0 in place of what cannot be used, and the mask."""
    image = np.asarray(intensity, dtype=np.float64)
    if image.ndim != 2:
        raise InvalidInput(f"Expected one band (rows, columns), got shape {image.shape}.")
    _check_shapes(image, image, valid)
    usable = np.isfinite(image)
    if valid is not None:
        usable &= np.asarray(valid, dtype=bool)
    return np.where(usable, image, 0.0), usable


def window_sums(image: Array, size: int, step: int) -> Array:
    """Sum square windows that slide by `step`, a divisor of `size`.

    Sums of sums of cells, not differences of running sums: one bright target would leave its
    rounding error in every dark window after it.
    """
    rows, columns = (length // step for length in image.shape)
    # Along columns first: numpy is slow at sums over a few neighbours in memory.
    cells = image[: rows * step, : columns * step].reshape(rows, step, -1).sum(1)
    cells = cells.reshape(rows, columns, step).sum(2)
    cells_wide = size // step
    across = sum(cells[:, i : columns - cells_wide + 1 + i] for i in range(cells_wide))
    return np.asarray(sum(across[i : rows - cells_wide + 1 + i] for i in range(cells_wide)))


def _finite_pair(clean: Array, estimate: Array) -> tuple[Array, Array]:
    _check_shapes(clean, estimate)
    one, other = np.asarray(clean, np.float64), np.asarray(estimate, np.float64)
    if one.size == 0 or not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise InvalidInput("Both images must hold pixels, and none of them NaN or infinite.")
    return one, other

"""Real scenes of several co-registered dates: one date in, the others as reference.

DATA holds a folder a scene, with one .npy a date (amplitude, float32). Each date is despeckled
and compared with the mean intensity of the other dates: log-RMSE (RMSE of ln intensity once
the mean offset is taken away), mean and variance of input / estimate, and ENL of the best
32×32 window. The reference is speckled itself and the land changes, so log-RMSE cannot come
near zero. Scenes are averaged over their dates, then over scenes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..plugin.core import quality
from ..plugin.core.despeckling import despeckle_tile, freeze_on
from ..plugin.core.filters.base import SceneConstants, SpeckleFilter
from ..plugin.core.filters.registry import find_filter
from ..plugin.core.models.registry import DEFAULT_MODEL
from .scenes import load

_FLOOR = 1e-6
COLUMNS = ("log-RMSE", "mean ratio", "variance of ratio", "ENL", "least pixel")


def main(arguments: list[str]) -> int:
    """Print a line a scene and their mean."""
    parser = argparse.ArgumentParser(prog="./run bench multidate", description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of scene folders")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="id or weights file")
    parser.add_argument("--filter", help="id of a classical filter instead of a model")
    parser.add_argument("--looks", type=float, default=1.0)
    parser.add_argument("--knob", type=float, default=None)
    parser.add_argument("--first", action="store_true", help="despeckle only the first date")
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args(arguments)
    model = find_filter(options.filter)() if options.filter else load(options.model)
    rows = []
    for name, dates in read_dates(options.data):
        chosen = range(1 if options.first else len(dates))
        figures = np.array([_figures(model, dates, index, options) for index in chosen])
        rows.append(figures.mean(0))
        print_row(name, rows[-1])
    name = options.filter or model.card.id
    print_row(f"{name}, mean of {len(rows)}", np.mean(rows, 0))
    return 0


def read_dates(folder: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Name and dates, as intensity, of each scene folder with .npy files of amplitudes."""
    for scene in sorted(path for path in folder.iterdir() if path.is_dir()):
        dates = [np.load(path) for path in sorted(scene.glob("*.npy"))]
        yield scene.name, [d.astype(np.float32) ** 2 for d in dates if d.shape == dates[-1].shape]


def reference(dates: Sequence[np.ndarray], index: int) -> np.ndarray:
    """Mean of the other dates."""
    return np.mean([date for place, date in enumerate(dates) if place != index], 0)


def estimate(model, noisy, looks, knob=None, precision="fp32") -> np.ndarray:
    """One date despeckled."""
    geometric = float(np.exp(np.log(np.maximum(noisy, _FLOOR)).mean()))
    valid = np.ones(noisy.shape, bool)
    scale = model.card.scene_scale(float(noisy.mean()), geometric)
    freeze_on(model, noisy, valid, scale, looks)
    return despeckle_tile(
        model,
        noisy,
        valid,
        scale=scale,
        looks=looks,
        knob=knob,
        precision=precision,
    )["x"]


def filtered(filter: SpeckleFilter, noisy, looks) -> np.ndarray:
    """One date through a classical filter."""
    scene = SceneConstants(looks, float(np.quantile(noisy, 0.98)))
    made = filter(noisy, np.ones(noisy.shape, bool), scene)
    return np.maximum(made.astype(np.float64), _FLOOR)


def score(noisy: np.ndarray, x: np.ndarray, others: np.ndarray) -> list[float]:
    """The figures of `COLUMNS`."""
    return [
        quality.log_rmse(x, np.maximum(others, _FLOOR)),
        quality.mean_of_ratio(noisy, x),
        quality.variance_of_ratio(noisy, x),
        quality.best_window_enl(x)[0],
        float(x.min()),
    ]


def edge_preservation(x: np.ndarray, others: np.ndarray) -> float:
    """EPI of deSpeckNet, equations 14 and 15: 1 - |1 - GP|, and 0 from GP = 2 on.

    GP is the sum of the magnitudes of the Sobel gradient over that of the reference. One that
    is speckled itself has gradients of its own, which no good estimate shows.
    """
    share = _gradient(x) / _gradient(others)
    return max(0.0, 1.0 - abs(1.0 - share))


def _gradient(image: np.ndarray) -> float:
    """Sum of the magnitudes of the Sobel gradient, borders aside."""
    z = image.astype(np.float64)
    down = z[2:] - z[:-2]
    right = z[:, 2:] - z[:, :-2]
    vertical = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    horizontal = right[:-2] + 2 * right[1:-1] + right[2:]
    return float(np.hypot(vertical, horizontal).sum())


def _figures(model, dates, index, options) -> list[float]:
    if isinstance(model, SpeckleFilter):
        x = filtered(model, dates[index], options.looks)
    else:
        x = estimate(model, dates[index], options.looks, options.knob, options.precision)
    return score(dates[index], x, reference(dates, index))


def print_row(name: str, figures: np.ndarray) -> None:
    """Print a line of figures."""
    numbers = "  ".join(f"{label} {value:.4g}" for label, value in zip(COLUMNS, figures))
    sys.stdout.write(f"{name}: {numbers}\n")
    sys.stdout.flush()

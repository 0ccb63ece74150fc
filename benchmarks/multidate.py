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
from pathlib import Path

import numpy as np

from ..plugin.core import quality
from ..plugin.core.despeckling import despeckle_tile
from ..plugin.core.models.registry import DEFAULT_MODEL, find
from ..plugin.core.models.weights import load_model

_FLOOR = 1e-6
COLUMNS = ("log-RMSE", "mean ratio", "variance of ratio", "ENL", "least pixel")


def main(arguments: list[str]) -> int:
    """Print a line a scene and their mean."""
    parser = argparse.ArgumentParser(prog="./run bench multidate", description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of scene folders")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="id or weights file")
    parser.add_argument("--looks", type=float, default=1.0)
    parser.add_argument("--knob", type=float, default=None)
    parser.add_argument("--first", action="store_true", help="despeckle only the first date")
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args(arguments)
    own = Path(options.model)
    model = load_model(own if own.suffix == ".safetensors" else find(options.model))
    rows = []
    for scene in sorted(path for path in options.data.iterdir() if path.is_dir()):
        dates = [np.load(path) for path in sorted(scene.glob("*.npy"))]
        dates = [d.astype(np.float32) ** 2 for d in dates if d.shape == dates[-1].shape]
        chosen = range(1 if options.first else len(dates))
        figures = np.array([_figures(model, dates, index, options) for index in chosen])
        rows.append(figures.mean(0))
        _print(scene.name, rows[-1])
    _print(f"{model.card.id}, mean of {len(rows)}", np.mean(rows, 0))
    return 0


def _figures(model, dates, index, options) -> list[float]:
    noisy = dates[index]
    others = np.mean([d for place, d in enumerate(dates) if place != index], 0)
    geometric = float(np.exp(np.log(np.maximum(noisy, _FLOOR)).mean()))
    x = despeckle_tile(
        model,
        noisy,
        np.ones(noisy.shape, bool),
        scale=model.card.scene_scale(float(noisy.mean()), geometric),
        looks=options.looks,
        knob=options.knob,
        precision=options.precision,
    )["x"]
    return [
        quality.log_rmse(x, np.maximum(others, _FLOOR)),
        quality.mean_of_ratio(noisy, x),
        quality.variance_of_ratio(noisy, x),
        quality.best_window_enl(x)[0],
        float(x.min()),
    ]


def _print(name: str, figures: np.ndarray) -> None:
    numbers = "  ".join(f"{label} {value:.4g}" for label, value in zip(COLUMNS, figures))
    sys.stdout.write(f"{name}: {numbers}\n")

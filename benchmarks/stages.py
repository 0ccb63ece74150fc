"""ScaoedNet over its stages (the authors' Tables 3, S3 and S4): quality and time of each K.

One model, run with 1, 2, … K stages: quality of the estimate, mean absolute error of the noise
map against the true ln(noisy/clean) (simulated speckle only), and time over that of all stages.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

from ..plugin.core.despeckling import PRECISIONS
from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from .cases import Case, add_case_options, cases, columns
from .images import add_device_options, estimate, load, scene_scale, set_threads
from .rates import seconds
from .results import table, with_error


def main(arguments: list[str]) -> int:
    """Print a line a number of stages: means over the images, with standard errors."""
    parser = argparse.ArgumentParser(prog="./run bench stages", description=__doc__)
    parser.add_argument("--model", required=True, help="ScaoedNet: id or weights file")
    add_case_options(parser)
    add_device_options(parser)
    options = parser.parse_args(arguments)
    set_threads(options)
    model = load(options.model, device=options.device)
    if not model.card.stages:
        raise InvalidInput(f"The model '{model.card.id}' has no stages.")
    everything = list(cases(options))
    numbers = range(1, model.card.stages + 1)
    times = [_time(model, everything[0], stages, options) for stages in numbers]
    lines = [["stages", *columns(options), "noise map", "time"]]
    for stages, time in zip(numbers, times):
        figures = np.array([_figures(model, case, stages, options) for case in everything])
        cells = [with_error(list(column)) for column in figures.T]
        lines.append([str(stages), *cells, f"{time / times[-1]:.2f}"])
    sys.stdout.write(
        f"{model.card.id}, L = {options.looks:g}, {len(everything)} images\n{table(lines)}\n"
    )
    return 0


def _figures(
    model: Despeckler, case: Case, stages: int, options: argparse.Namespace
) -> list[float]:
    found = estimate(
        model, case.noisy, case.looks,
        device=options.device, precision=options.precision, stages=stages, extra=("noise",),
    )  # fmt: skip
    error = np.nan
    if options.images:
        seen = (case.clean > 0) & (case.noisy > 0)
        true = np.log(case.noisy[seen] / case.clean[seen])
        error = float(np.abs(np.log(np.maximum(found["noise"][seen], 1e-10)) - true).mean())
    return [*case.measure(found["x"]), error]


def _time(model: Despeckler, case: Case, stages: int, options: argparse.Namespace) -> float:
    z = torch.from_numpy(case.noisy / scene_scale(model, case.noisy))[None, None]
    z, looks = z.to(options.device), torch.ones(1, device=options.device)
    model.set_stages(stages)
    with torch.inference_mode():
        return seconds(lambda: model(z, looks, PRECISIONS[options.precision]), 3)

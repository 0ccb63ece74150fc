"""Correlated speckle: what each cure brings an affine model on the real five-date scenes.

One date is despeckled and compared with the mean of the others, as in ``./run bench multidate``:
at the true knob and below it, with the knob of least estimated risk, and fine-tuned on that very
date: from every pixel, towards a smaller knob (as the paper did for Flevoland), and by default
(strided, as far as the speckle asks for it). Fine-tuning goes through the same job as in QGIS.
Ends with 1 if fine-tuning by default made the log-RMSE of a scene worse.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from osgeo import gdal

from ..plugin.core.errors import SpecklessError
from ..plugin.core.models.registry import DEFAULT_MODEL, find
from ..plugin.core.models.weights import load_model
from ..plugin.core.speckle import estimate_looks
from ..plugin.jobs.despeckling import DespeckleJob
from ..plugin.jobs.finetuning import FineTuneJob
from .multidate import estimate, print_row, read_dates, reference, score
from .scenes import load

_KNOBS = (1, 2, 4, 8)  # the number of looks divided by


def main(arguments: list[str]) -> int:
    """Print a line for each cure on each scene, their means, and the check."""
    parser = argparse.ArgumentParser(prog="./run bench cures", description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of scene folders")
    parser.add_argument("--model", default="dopamine-sar", help="affine model: id or weights file")
    parser.add_argument("--scenes", nargs="+", default=[], help="names; all by default")
    parser.add_argument("--dates", type=int, default=1, help="first dates to despeckle")
    parser.add_argument("--looks", type=float, default=1.0)
    parser.add_argument("--side", type=int, default=0, help="use only so many rows and columns")
    parser.add_argument("--epochs", type=int, default=FineTuneJob.epochs)
    parser.add_argument("--depth", default=FineTuneJob.depth, help="full, head or scale")
    parser.add_argument("--knob", type=float, default=None, help="L of the loss (default: L / 2)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of the fine-tuning")
    parser.add_argument(
        "--only-default", action="store_true", help="no fine-tuning but the default"
    )
    options = parser.parse_args(arguments)
    path = Path(options.model)
    path = path if path.suffix == ".safetensors" else find(options.model)
    model = load_model(path)
    if not model.card.affine:
        sys.stderr.write(f"{options.model} is not affine and cannot be fine-tuned.\n")
        return 2
    rows: dict[str, list[list[float]]] = {}
    worse = []
    for name, dates in read_dates(options.data):
        if options.scenes and name not in options.scenes:
            continue
        side = options.side or max(dates[0].shape)
        dates = [np.ascontiguousarray(date[:side, :side]) for date in dates]
        for index in range(min(options.dates, len(dates))):
            with tempfile.TemporaryDirectory(prefix="speckless-") as folder:
                found = _Cures(model, path, dates, index, Path(folder), options).run()
            found_looks = estimate_looks(dates[index])
            near = max(found_looks.correlation or (np.nan,))
            sys.stdout.write(
                f"{name}, date {index + 1}: L = {found_looks.looks:.2f} and correlation "
                f"{near:.2f} measured\n"
            )
            for cure, figures in found.items():
                print_row(f"  {cure}", figures)
                rows.setdefault(cure, []).append(figures)
            before, after = found["as it is"][0], found["tuned by default"][0]
            if after > before:
                worse.append(f"{name}, date {index + 1}: {before:.4f} to {after:.4f}")
    if not rows:
        sys.stderr.write(f"There is no such scene in {options.data}.\n")
        return 2
    sys.stdout.write(f"{model.card.id}, mean of {len(rows['as it is'])}\n")
    for cure, figures in rows.items():
        print_row(f"  {cure}", np.mean(figures, 0))
    for line in worse:
        sys.stdout.write(f"fine-tuning by default made log-RMSE WORSE on {line}\n")
    if not worse:
        sys.stdout.write("fine-tuning by default made log-RMSE worse on no scene: ok\n")
    return 1 if worse else 0


class _Cures:
    """All cures on one date."""

    def __init__(self, model, path, dates, index, folder, options) -> None:
        self.model, self.path, self.options, self.folder = model, path, options, folder
        self.noisy, self.others = dates[index], reference(dates, index)
        self.raster = str(folder / "date.tif")
        height, width = self.noisy.shape
        dataset = gdal.GetDriverByName("GTiff").Create(
            self.raster, width, height, 1, gdal.GDT_Float32
        )
        dataset.GetRasterBand(1).WriteArray(self.noisy)
        dataset = None

    def run(self) -> dict[str, list[float]]:
        """Figures by cure."""
        looks = self.options.looks
        found = {"noisy": score(self.noisy, np.maximum(self.noisy, 1e-6), self.others)}
        if self.path.stem != DEFAULT_MODEL:
            found[f"{DEFAULT_MODEL} instead"] = self._score(load(DEFAULT_MODEL), looks)
        for part in _KNOBS:
            name = "as it is" if part == 1 else f"knob L/{part}"
            found[name] = self._score(self.model, looks, looks / part)
        knob, x = self._automatic()
        found["knob of least estimated risk"] = score(self.noisy, x, self.others)
        if not self.options.only_default:
            found["tuned from every pixel"] = self._score(self._tuned(stride=1)[0], looks)
            low = self.options.knob or looks / 2
            # Its maps are made for that L already: nothing is to be turned.
            found[f"tuned from every pixel for L = {low:g}"] = self._score(
                self._tuned(stride=1, knob=low)[0], low
            )
        tuned, stride = self._tuned()
        found["tuned by default"] = self._score(tuned, looks)
        for part in _KNOBS[1:]:
            found[f"tuned by default, knob L/{part}"] = self._score(tuned, looks, looks / part)
        sys.stdout.write(
            f"the knob of least estimated risk is {knob:.2f}; by default the fine-tuning learnt "
            f"from every {stride}. pixel\n"
        )
        return found

    def _score(self, model, looks: float, knob: float | None = None) -> list[float]:
        return score(self.noisy, estimate(model, self.noisy, looks, knob), self.others)

    def _automatic(self) -> tuple[float, np.ndarray]:
        """The knob that KNOB_AUTO chooses, and the result."""
        output = self.folder / "automatic.tif"
        job = DespeckleJob(
            self.raster, str(output), model_file=str(self.path), domain="intensity",
            looks=self.options.looks, knob_auto=True, device=self.options.device,
            precision="fp32", python=sys.executable,
        )  # fmt: skip
        result = job.run(lambda part, text: None, lambda: False)
        dataset = gdal.Open(str(output))
        x = dataset.ReadAsArray()
        dataset = None
        return result.knob_used, x

    def _tuned(self, **changes):
        """Model fine-tuned by the job that QGIS runs, and the stride it took."""
        output = self.folder / "tuned.safetensors"
        job = FineTuneJob(
            self.raster, str(output), model_file=str(self.path), domain="intensity",
            looks=self.options.looks, epochs=self.options.epochs, depth=self.options.depth,
            device=self.options.device, precision=self.options.precision, python=sys.executable,
            **changes,
        )  # fmt: skip
        try:
            result = job.run(_tell, lambda: False)
        except SpecklessError as error:
            raise SystemExit(f"The fine-tuning failed: {error}") from error
        return load_model(output), result.stride


def _tell(part: float, text: str) -> None:
    """Show what a long fine-tuning is at."""
    if text:
        sys.stderr.write(f"{part:6.1%}  {text}\n")

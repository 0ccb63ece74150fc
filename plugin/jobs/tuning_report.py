"""The report of a fine-tuning: what was set, how the risk went, and what one sees of it."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.models.card import ModelCard
from ..core.tiling import Window
from ..core.tuning import Scene
from ..engine.client import Engine, TileRequest
from ..engine.shared import shared_engine
from ..raster.source import RasterSource
from ..reports.charts import Series, line_chart
from ..reports.page import Markup, Page, plus_minus
from ..reports.pictures import colour_bar, decibels, picture, stretch
from ..version import VERSION
from .finetune_result import FineTuneResult
from .finetuning import FineTuneJob
from .noise_report import add_noise_section
from .places import SIDE, most_detailed

Array = npt.NDArray[Any]
IsCancelled = Callable[[], bool]

# How wide the part shown is on the page: two pixels of a screen for each.
_SHOWN = 2 * SIDE
# A mean of the ratio this far from 1 is no chance in a crop of that size.
STRAY = 0.1

_KIM = (
    "Kim, Soh, Park, Cho, Transfer learning from synthetic to real-noise denoising with adaptive "
    "instance normalization, CVPR 2020."
)
_CITATIONS = {
    "aft": "Joo, Cha, Moon, DoPAMINE: Double-sided masked CNN for pixel adaptive "
    "multiplicative noise despeckling, AAAI 2019.",
    "despecknet": "Mullissa et al., deSpeckNet: Generalizing deep learning based SAR image "
    "despeckling, IEEE TGRS 2020.",
    "transfer": _KIM,
    "retrain": f"all weights, as compared with in {_KIM}",
}


@dataclass(frozen=True)
class Crop:
    """A part of a scene before and after the tuning, one band, linear intensity.

    Attributes
    ----------
    band : int
    window : Window
    noisy, before, after : ndarray, (height, width)
        Intensity, and the estimates of the two models; NaN where invalid.
    slope_before, slope_after : ndarray, (height, width), or None
        The maps a of the two, where the model is affine.
    noise_before, noise_after : ndarray, (height, width), or None
        The speckle as the two estimate it, where the model does.
    """

    band: int
    window: Window
    noisy: Array
    before: Array
    after: Array
    slope_before: Array | None
    slope_after: Array | None
    noise_before: Array | None = None
    noise_after: Array | None = None


def cut_crop(
    job: FineTuneJob, result: FineTuneResult, model: str | Path, is_cancelled: IsCancelled
) -> Crop:
    """Despeckle the part of the scene with the most detail, by the model before and after.

    Parameters
    ----------
    job : FineTuneJob
    result : FineTuneResult
        Of that job.
    model : str or Path
        The tuned model's file, wherever it lies by now.
    is_cancelled : callable

    Raises
    ------
    Cancelled, EngineError, ModelError, RasterError
    """
    with RasterSource(job.input, job.bands, result.domain) as source:
        band = source.bands[0]
        whole = Window(0, 0, source.width, source.height)
        extent = whole if job.extent is None else whole.intersection(job.extent) or whole
        window = most_detailed(partial(source.read, band), extent)
        halo = result.tuned.card.halo
        wide = Window(
            window.x - halo, window.y - halo, window.width + 2 * halo, window.height + 2 * halo
        ).intersection(whole)
        assert wide is not None
        intensity, valid = source.read(band, wide)
    inner = window.shifted(-wide.x, -wide.y)
    scale = result.scales[band]
    outputs = ("x", "a") if result.tuned.card.affine else ("x", "noise")
    request = TileRequest(intensity, valid, inner, scale, result.looks, None, outputs)
    with shared_engine(job.python, is_cancelled) as engine:
        start = _estimate(engine, job, job.model_path(), request, is_cancelled)
        tuned = _estimate(engine, job, Path(model), request, is_cancelled)
    rows, columns = slice(inner.y, inner.bottom), slice(inner.x, inner.right)
    noisy = np.where(valid, intensity, np.nan)[rows, columns]
    maps = (found.get(name) for name in ("a", "noise") for found in (start, tuned))
    return Crop(band, window, noisy, start["x"], tuned["x"], *maps)


def tuning_page(job: FineTuneJob, result: FineTuneResult, crop: Crop) -> Page:
    """Write the report of a fine-tuning.

    Parameters
    ----------
    job : FineTuneJob
    result : FineTuneResult
    crop : Crop
    """
    card = result.tuned.card
    page = Page(f"Fine-tuning on {Path(job.input).name}", _date())
    for warning in result.warnings:
        page.warning(warning)
    page.section("Outcome")
    page.text(_verdict(result))
    page.pairs(_outcome(result))
    page.section(f"Course of the {_measure(card)}")
    page.text(
        f"{_course(card)} Bars are standard errors; the dotted line marks the "
        f"{_when(card)} whose weights were taken, 0 being the start."
    )
    page.figures(_charts(result))
    page.table(*_history(result))
    page.section("What is seen")
    _pictures(page, crop, result)
    if crop.noise_before is not None and crop.noise_after is not None:
        add_noise_section(page, crop.noise_before, crop.noise_after, _SHOWN)
    page.section("Scene, model and settings")
    page.pairs(_settings(job, result))
    page.footer(f"Speckless {VERSION}. Method: {_CITATIONS[_method(card)]}")
    return page


def _method(card: ModelCard) -> str:
    return str(card.training.get("method", "aft"))


def _measure(card: ModelCard) -> str:
    return "estimated risk" if _method(card) == "aft" else "held-out loss"


def _when(card: ModelCard) -> str:
    return "epoch" if _method(card) == "aft" else "check"


def _course(card: ModelCard) -> str:
    if _method(card) == "aft":
        return (
            "Estimated mean squared error of pixels that the loss does not see, "
            f"{_unit(card)}. It is unbiased where the speckle of neighbouring pixels is "
            "independent, and too low where it is correlated."
        )
    kind = "of logarithms" if card.training.get("relative_risk") else "over the scene's mean"
    if _method(card) == "despecknet":
        return (
            "deSpeckNet's loss on pixels that are not learnt from: squared distances of the "
            f"image to the estimate and to estimate times speckle, {kind}, by their weights. It "
            "needs no clean image, and does not tell the error of the estimate: judge by the "
            "pictures and the ratio."
        )
    return f"Mean absolute distance to the reference on pixels not learnt from, {kind}."


def _estimate(
    engine: Engine, job: FineTuneJob, model: Path, request: TileRequest, is_cancelled: IsCancelled
) -> dict[str, Array]:
    with tempfile.TemporaryDirectory(prefix="speckless-") as folder:
        if ModelCard.read(model).per_scene:
            # By the statistics of the part shown, for the pictures only.
            own = Path(folder, "model.safetensors")
            part = Scene(request.intensity, request.valid, request.scale)
            engine.freeze(model, own, [part], request.looks, job.device, is_cancelled)
            model = own
        return _estimate_by(engine, job, model, request, is_cancelled)


def _estimate_by(
    engine: Engine, job: FineTuneJob, model: Path, request: TileRequest, is_cancelled: IsCancelled
) -> dict[str, Array]:
    engine.load(model, job.device, job.precision, is_cancelled)
    try:
        return engine.result(engine.submit(request, is_cancelled), is_cancelled).arrays
    except BaseException:
        engine.cancel()
        raise


def _verdict(result: FineTuneResult) -> str:
    change, error = result.risk_change
    card = result.tuned.card
    if not result.tuned.best_epoch:
        history = result.tuned.history
        fell = min(entry["risk"] for entry in history) < history[0]["risk"]
        if fell and "speckle" in history[0]:
            return (
                "No measurement was better than the start: the loss of phase 2 falls where speckle "
                "is put back into the estimate, and such weights are not kept. The tuned model is "
                "the one it started from; a reference would teach more (METHOD retrain)."
            )
        return (
            f"By the held-out pixels no {_when(card)} was better than the start: the tuned model "
            "is the one it started from. Try a lower learning rate, more pixels, or another area."
        )
    if -change <= error:
        return (
            f"The {_measure(card)} changed by {plus_minus(change, error, signed=True)}, within "
            "its standard error: the held-out pixels are too few to tell. The weights are those "
            f"of {_when(card)} {result.tuned.best_epoch}; more pixels, or a larger area, would say "
            "more."
        )
    share = -change / abs(result.risk_before) if result.risk_before else math.nan
    certain = (
        "clearly more than its standard error"
        if -change > 2 * error
        else "within two standard errors, so that it may be chance"
    )
    return (
        f"The {_measure(card)} fell by {plus_minus(-change, error)}, {share:.1%} of what it was: "
        f"{certain}. The weights are those of {_when(card)} {result.tuned.best_epoch}."
    )


def _outcome(result: FineTuneResult) -> list[tuple[str, str]]:
    history, best = result.tuned.history, result.tuned.best_epoch
    change, error = result.risk_change
    what = "Risk" if _method(result.tuned.card) == "aft" else "Held-out loss"
    return [
        (f"{what} before", _with_error(history[0], "risk")),
        (f"{what} after", _with_error(history[best], "risk")),
        ("Change", plus_minus(change, error, signed=True)),
        (f"Best {_when(result.tuned.card)}", f"{best} of {len(history) - 1} done"),
        ("Tuned model", f"{result.tuned.card.id}, in {result.path}"),
    ]


def _with_error(entry: dict[str, float], name: str) -> str:
    return plus_minus(entry[name], entry[f"{name}_standard_error"], signed=name == "change")


def _unit(card: ModelCard) -> str:
    if card.training.get("relative_risk"):
        return "over the square of the mean around each"
    return "over the square of the scene's mean intensity"


def _charts(result: FineTuneResult) -> list[tuple[Markup, str]]:
    history, card = result.tuned.history, result.tuned.card
    measure, when = _measure(card), _when(card)
    charts = []
    for name, label, caption in (
        ("risk", measure, f"{measure.split()[-1].capitalize()} on the held-out pixels."),
        (
            "change", f"change of the {measure.split()[-1]}",
            "Its change since the start, on the same pixels: what they share cancels, so the "
            "bars are far shorter. Below zero is better.",
        ),
    ):  # fmt: skip
        line = Series(
            label,
            [entry["epoch"] for entry in history],
            [entry[name] for entry in history],
            [entry[f"{name}_standard_error"] for entry in history],
        )
        chart = line_chart(
            [line], when, label, zero_line=name == "change",
            marked_x=result.tuned.best_epoch, integer_x=True,
        )  # fmt: skip
        charts.append((chart, caption))
    return charts


def _history(result: FineTuneResult) -> tuple[list[str], list[list[str]], str, int]:
    rows = [
        [
            f"{entry['epoch']:g}",
            _with_error(entry, "risk"),
            _with_error(entry, "change") if entry["epoch"] else "",
            f"{entry['loss']:.5g}" if "loss" in entry else "",
        ]
        for entry in result.tuned.history
    ]
    card = result.tuned.card
    caption = (
        f"Loss: mean {_measure(card).replace('held-out ', '')} of the pixels learnt from, over "
        f"the steps up to the {_when(card)}."
    )
    if _method(card) == "aft":
        caption = caption.replace("up to", "of")
    heads = [_when(card), _measure(card).split()[-1], "change", "loss"]
    return heads, rows, caption, result.tuned.best_epoch


def _pictures(page: Page, crop: Crop, result: FineTuneResult) -> None:
    window = crop.window
    page.text(
        f"Columns {window.x} to {window.right - 1}, rows {window.y} to {window.bottom - 1} of "
        f"band {crop.band}: of the places looked at, the one with the most detail."
    )
    images = [decibels(crop.noisy), decibels(crop.before), decibels(crop.after)]
    low, high = stretch(images[1])
    names = ("Input", "Despeckled before", "Despeckled after")
    page.figures(
        (picture(image, low, high, width=_SHOWN, title=name), f"{name}.")
        for image, name in zip(images, names)
    )
    page.text(
        f"Black is {low:.1f} dB and less, white {high:.1f} dB and more, in all three.".replace(
            "-", "−"
        )
    )
    if crop.slope_before is not None and crop.slope_after is not None:
        page.figures(_slopes(crop.slope_before, crop.slope_after))
    _ratios(page, crop, result)


def _slopes(before: Array, after: Array) -> list[tuple[Markup, str]]:
    return [
        (picture(before, 0, 1, "viridis", _SHOWN, "a before"), "Slope a before."),
        (picture(after, 0, 1, "viridis", _SHOWN, "a after"), "Slope a after."),
        (
            colour_bar(0, 1, "viridis", "slope a", _SHOWN),
            "The estimate is a·Z + b: where a is near 0 the surroundings decide and all is "
            "smoothed, near 1 the pixel is kept as it is.",
        ),
    ]


def _ratios(page: Page, crop: Crop, result: FineTuneResult) -> None:
    # Speckle's mean in the middle of the gray, two standard deviations to either side.
    reach = 2 / math.sqrt(result.looks)
    figures, means = [], []
    for name, estimate in (("Ratio before", crop.before), ("Ratio after", crop.after)):
        ratio = _ratio(crop.noisy, estimate)
        means.append(float(np.nanmean(ratio)))
        caption = f"{name}: mean {means[-1]:.3g}, variance {np.nanvar(ratio):.3g} here."
        figures.append((picture(ratio, 1 - reach, 1 + reach, "gray", _SHOWN, name), caption))
    page.figures(figures)
    before, after = (abs(mean - 1) for mean in means)
    if after > max(STRAY, before):
        page.warning(
            f"The mean of the ratio strays from 1 ({means[1]:.3g}; before: {means[0]:.3g}): "
            "somewhere the tuned model does not keep the level, most likely in dark areas, where "
            "errors weigh little in the risk. Use a lower learning rate, or another model."
        )
    page.text(
        "Ratio, input over estimate: what was taken away. Pure speckle of this scene has mean 1 "
        f"and variance {1 / result.looks:.3g}, and shows no trace of the scene."
    )


def _ratio(noisy: Array, estimate: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = noisy / estimate
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _settings(job: FineTuneJob, result: FineTuneResult) -> list[tuple[str, str]]:
    card = result.tuned.card
    recipe = card.training["recipe"]
    extent = "all"
    if job.extent is not None:
        e = job.extent
        extent = f"columns {e.x} to {e.right - 1}, rows {e.y} to {e.bottom - 1}"
    return [
        ("Raster", job.input),
        ("Bands", ", ".join(map(str, result.scales))),
        ("Domain", result.domain),
        ("Looks", f"{result.looks:.3g} ({'estimated' if job.looks is None else 'given'})"),
        ("Learnt from", f"{extent}{', in the polygons' if job.area is not None else ''}"),
        ("Pixels", f"{result.pixels}, {recipe['held_out']:.0%} of them held out"),
        ("Correlation of neighbours", f"{result.correlation:.2f} (white speckle: 0)"),
        ("Stride", f"{result.stride} ({'automatic' if not job.stride else 'given'})"),
        ("Started from", f"{card.parent}, SHA-256 {card.training['parent_sha256']}"),
        ("Tuned model", f"{card.id}, SHA-256 {card.tensors_sha256}"),
        ("Knob (L of the maps)", f"{result.knob:.3g}"),
        *_manner(job, recipe),
        ("Learning rate", f"{recipe['learning_rate']:.3g}"),
        ("Epochs", f"{recipe['epochs']} at most, patience {recipe['patience']}"),
        ("Seed", str(recipe["seed"])),
        ("Device", f"{result.tuned.device}, {result.tuned.precision}"),
        ("Time", f"{result.seconds:.1f} s"),
    ]


def _manner(job: FineTuneJob, recipe: dict[str, Any]) -> list[tuple[str, str]]:
    turns = "8 flips and rotations" if recipe["augment"] else "none"
    if recipe.get("method", "aft") == "aft":
        kind = "AFT" if recipe["augment"] else "FT"
        return [("Depth", str(recipe["depth"])), ("Augmentation", f"{kind}, {turns}")]
    rows = [("Method", str(recipe["method"])), ("Augmentation", turns)]
    if recipe["method"] == "despecknet":
        weights = f"{recipe['clean']:g}, {recipe['noisy']:g}, {recipe['variation']:g}"
        return [*rows, ("Weights of clean, noisy, variation", weights)]
    return [*rows, ("Reference", str(job.reference))]


def _date() -> str:
    return time.strftime("%Y-%m-%d %H:%M")

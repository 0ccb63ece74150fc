"""The report of a training: what it learnt from, how it went, and what one sees of it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..engine.client import Trained
from ..reports.charts import Series, line_chart
from ..reports.page import Markup, Page
from ..reports.pictures import decibels, picture, stretch
from ..version import VERSION

if TYPE_CHECKING:
    from .training import TrainJob
    from .training_images import Found

Array = npt.NDArray[Any]
Log = list[dict[str, float]]

_SHOWN = 240
_PLAIN = ("step", "seconds", "left")


def training_page(job: TrainJob, trained: Trained, found: Found, seconds: float) -> Page:
    """Write the report of a training.

    Parameters
    ----------
    job : TrainJob
    trained : Trained
    found : Found
        What it learnt from.
    seconds : float
        Of the whole job, this time.
    """
    card = trained.card
    page = Page(f"Training of {card.title}", time.strftime("%Y-%m-%d %H:%M"))
    for warning in job.warnings:
        page.warning(warning)
    page.section("Outcome")
    page.pairs(_outcome(job, trained, seconds))
    page.section("Course of the training")
    page.text(
        "Loss: mean over the steps since the point before, of the patches learnt from. Held-out "
        "figures are of images or parts of images that were never learnt from. A held-out loss "
        "that rises while the other falls means that there was too little to learn from."
    )
    page.figures(_charts(trained.log))
    page.table(*_history(trained.log))
    samples = _samples(trained.samples)
    if samples:
        page.section("What is seen")
        page.text(
            "Parts of held-out images, where there are any: input, estimate and reference in "
            "decibels, one stretch for the three; and the ratio input over estimate, which for a "
            "good model is speckle without a trace of the scene."
        )
        for number, sample in enumerate(samples, 1):
            _pictures(page, number, *sample)
    page.section("Data, network and recipe")
    page.pairs(_settings(trained, found))
    page.section("Card of the model")
    page.text(json.dumps(asdict(card), sort_keys=True, ensure_ascii=False))
    page.footer(f"Speckless {VERSION}.")
    return page


def _outcome(job: TrainJob, trained: Trained, seconds: float) -> list[tuple[str, str]]:
    card, log = trained.card, trained.log
    rows = [
        ("Model", f"{card.id}, in {job.output}"),
        ("Steps", f"{card.training['steps']}, {card.training['patches']} patches"),
        ("Time", f"{log[-1]['seconds'] if log else seconds:.0f} s of training in all"),
        ("Device", f"{trained.device}, {trained.precision}"),
    ]
    before = next((entry for entry in log if len(entry) > 2), {})
    for name, value in card.quality.get("validation", {}).items():
        start = before.get("held-out loss" if name == "loss" else name)
        was = "" if start is None or before["step"] else f" (before training: {start:.4g})"
        rows.append((f"Held-out {name}", f"{value:.4g}{was}"))
    if not card.quality:
        rows.append(("Held out", "nothing: how good the model is on other images is not known"))
    return rows


def _charts(log: Log) -> list[tuple[Markup, str]]:
    losses = [
        Series(label, [e["step"] for e in log if key in e], [e[key] for e in log if key in e])
        for key, label in (("loss", "training"), ("held-out loss", "held out"))
    ]
    drawn = [series for series in losses if any(map(math.isfinite, series.y))]
    positive = all(y > 0 for series in drawn for y in series.y)
    charts = []
    if drawn:
        chart = line_chart(drawn, "step", "loss", log_y=positive)
        charts.append((chart, "Loss of the training, and of the held-out images."))
    names = {name for entry in log for name in entry} - {*_PLAIN, "loss", "held-out loss"}
    groups: dict[str, list[Series]] = {}
    for name in sorted(names):
        known = [entry for entry in log if math.isfinite(entry.get(name, math.nan))]
        series = Series(name, [e["step"] for e in known], [e[name] for e in known])
        if known:
            groups.setdefault(name.split()[0], []).append(series)
    for group, lines in groups.items():
        unit = "PSNR (dB)" if group == "PSNR" else group
        charts.append((line_chart(lines, "step", unit), f"{group} of the held-out images."))
    return charts


def _history(log: Log) -> tuple[list[str], list[list[str]]]:
    names = list(dict.fromkeys(name for entry in log for name in entry if name not in _PLAIN))
    places = np.linspace(0, len(log) - 1, min(len(log), 12)).round().astype(int)
    shown = [log[place] for place in places]
    rows = [
        [
            f"{entry['step']:g}",
            *(f"{entry[name]:.4g}" if name in entry else "" for name in names),
            f"{entry.get('seconds', 0):.0f}",
        ]
        for entry in shown
    ]
    return ["step", *names, "seconds"], rows


def _samples(arrays: dict[str, Array]) -> list[tuple[Array, Array, Array, float]]:
    return [
        (arrays[f"noisy{n}"], arrays[f"estimate{n}"], arrays[f"clean{n}"], float(looks))
        for n, looks in enumerate(arrays.get("looks", ()))
    ]


def _pictures(
    page: Page, number: int, noisy: Array, estimate: Array, clean: Array, looks: float
) -> None:
    low, high = stretch(decibels(estimate))
    figures = [
        (picture(decibels(image), low, high, width=_SHOWN, title=name), f"{name}.")
        for image, name in ((noisy, f"Input, L = {looks:.3g}"), (estimate, "Estimate"),
                            (clean, "Reference"))
    ]  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(estimate > 0, noisy / estimate, np.nan)
    reach = 2 / math.sqrt(looks)
    mean, variance = float(np.nanmean(ratio)), float(np.nanvar(ratio))
    caption = f"Ratio: mean {mean:.3g}, variance {variance:.3g} (speckle: 1, {1 / looks:.3g})."
    figures.append((picture(ratio, 1 - reach, 1 + reach, width=_SHOWN, title="Ratio"), caption))
    page.text(f"Sample {number}")
    page.figures(figures)


def _settings(trained: Trained, found: Found) -> list[tuple[str, str]]:
    card = trained.card
    recipe = card.training["recipe"]
    simulated = not found.data.noisy
    rows = [(str(name).capitalize(), _text(value)) for name, value in found.about.items()]
    rows += [
        ("Held out", f"{card.quality['validation_images']} images" if card.quality else "nothing"),
        ("Network", f"{card.architecture} {_text(card.arguments)}, {card.parameters} parameters"),
        ("Receptive radius", f"{card.radius} pixels"),
        ("Started from", card.parent or "fresh weights"),
        ("Looks of the card", _text(list(card.looks_range))),
    ]
    ours = ("loss", "patch", "stride", "batch", "learning_rate", "schedule", "ema", "flips", "seed")
    theirs = ("looks", "psf", "dynamic_range", "blur", "bright_points")
    for name in (*ours, *(theirs if simulated else ())):
        rows.append((name.replace("_", " ").capitalize(), _text(recipe[name])))
    rows.append(("SHA-256 of the weights", card.tensors_sha256))
    return rows


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return " to ".join(_text(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)

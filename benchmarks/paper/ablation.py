"""Short trainings of variants side by side: same patches, same noise, same schedule."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...plugin.core.despeckling import PRECISIONS
from ...plugin.core.models.base import Despeckler
from ...plugin.core.recipe import Recipe
from ...plugin.core.training import Trainer
from ...plugin.raster.images import list_images, read_all
from ..figures import add_figure_option, draw
from ..images import (
    Sample,
    add_device_options,
    add_image_options,
    estimate,
    quality,
    samples,
    set_threads,
)
from ..results import Store, Values, add_store_options, mean_and_error, table, with_error

Make = Callable[..., Despeckler]


@dataclass(frozen=True)
class Course:
    """How one variant's training went.

    Attributes
    ----------
    steps : list of int
        After which the test images were despeckled.
    psnr : list of list of float
        By those steps, of each image, in dB.
    """

    steps: list[int]
    psnr: list[list[float]]


def parser_for(name: str, text: str | None) -> argparse.ArgumentParser:
    """Options of a command that trains."""
    parser = argparse.ArgumentParser(
        prog=f"./run bench paper {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--train-list", metavar="FILE", help="names of the images to train on (default: all)"
    )
    add_image_options(parser)
    parser.add_argument("--steps", type=int, default=600, help="of each training (default: 600)")
    parser.add_argument("--points", type=int, default=12, help="of each curve (default: 12)")
    parser.add_argument("--batch", type=int, default=16, help="patches a step (paper: 64)")
    parser.add_argument("--patch", type=int, default=40, help="side of a patch (default: 40)")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate (default: 1e-3)")
    parser.add_argument(
        "--schedule", default="cosine", choices=("cosine", "halve"), help="paper: halve"
    )
    parser.add_argument("--looks", type=float, default=1.0, metavar="L", help="default: 1")
    parser.add_argument("--layers", type=int, default=21, help="masked layers (default: 21)")
    parser.add_argument("--channels", type=int, default=64, help="default: 64")
    parser.add_argument("--blocks", type=int, default=5, help="residual blocks (default: 5)")
    add_device_options(parser)
    add_store_options(parser)
    add_figure_option(parser, f"{name}.png")
    return parser


def architecture(options: argparse.Namespace) -> dict[str, int]:
    """Arguments of the networks."""
    return {"layers": options.layers, "channels": options.channels, "blocks": options.blocks}


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What of the options a training's outcome depends on."""
    names = (
        "steps points batch patch rate schedule looks layers channels blocks precision seed "
        "count crop"
    )
    return {name: getattr(options, name) for name in names.split()}


def train(
    make: Make, arguments: Mapping[str, Any], options: argparse.Namespace, title: str
) -> tuple[Despeckler, Course]:
    """Train a fresh network and despeckle the test images now and then."""
    images = samples(options)
    recipe = Recipe(
        id=title,
        title=title,
        architecture="dopamine",
        arguments=dict(arguments),
        looks=(options.looks,),
        patch=options.patch,
        batch=options.batch,
        learning_rate=options.rate,
        schedule=options.schedule,
        seed=options.seed,
    )
    torch.manual_seed(options.seed)
    model = make(**arguments)
    model.card = model.describe(
        id=title, title=title, architecture="dopamine", arguments=dict(arguments), scale="mean"
    )
    paths = list_images(options.images, options.train_list)
    tested = {sample.path.resolve() for sample in images}
    paths = [path for path in paths if path.resolve() not in tested]
    trainer = Trainer(
        model, recipe, read_all(paths), options.steps, options.device, PRECISIONS[options.precision]
    )
    points = np.unique(np.linspace(0, options.steps, options.points + 1).round().astype(int))[1:]
    course = Course([], [])
    while trainer.done < options.steps:
        trainer.step()
        if trainer.done in points:
            model.eval()
            figures = [_psnr(model, sample, options) for sample in images]
            model.train()
            course.steps.append(trainer.done)
            course.psnr.append(figures)
            say(f"{title}: step {trainer.done}/{options.steps}, {with_error(figures)} dB")
    return model.eval(), course


def _psnr(model: Despeckler, sample: Sample, options: argparse.Namespace) -> float:
    clean, noisy = sample.pair(options.looks, options.seed)
    found = estimate(
        model, noisy, options.looks, device=options.device, precision=options.precision
    )
    return quality(clean, found["x"])[0]


def compare(
    name: str,
    text: str | None,
    variants: Mapping[str, tuple[Make, Mapping[str, Any]]],
    arguments: list[str],
) -> int:
    """Train each variant (by title: network, changes to its arguments), print and draw."""
    options = parser_for(name, text).parse_args(arguments)
    set_threads(options)
    store = Store(options.store)
    courses = {}
    for title, (make, changes) in variants.items():
        key = {"benchmark": name, "variant": title, **settings(options)}
        if options.report and store.get(key) is None:
            continue

        def run() -> Values:
            _, course = train(make, {**architecture(options), **changes}, options, title)  # noqa: B023
            return {"steps": course.steps, "psnr": course.psnr}

        courses[title] = Course(**store.need(key, run))
    if not courses:
        say("The store holds none of the variants yet.")
        return 1
    say(report(courses))
    draw(options.figure, lambda axes: paint(axes[0, 0], courses))
    return 0


def report(courses: Mapping[str, Course]) -> str:
    """PSNR by step, and the difference of each variant from the first, image by image."""
    names = list(courses)
    first = courses[names[0]]
    rows = [["PSNR (dB) at step", *names, *(f"{name} - {names[0]}" for name in names[1:])]]
    for place, step in enumerate(first.steps):
        figures = [course.psnr[place] for course in courses.values()]
        apart = [np.subtract(other, figures[0]) for other in figures[1:]]
        rows.append(
            [
                f"{step}",
                *(with_error(values) for values in figures),
                *(with_error(list(values), 3, True) for values in apart),
            ]
        )
    return f"N = {len(first.psnr[0])} test images\n" + table(rows)


def paint(panel: Any, courses: Mapping[str, Course]) -> None:
    """A curve of the mean PSNR for each variant."""
    for name, course in courses.items():
        panel.plot(course.steps, [mean_and_error(v)[0] for v in course.psnr], "o-", label=name)
    panel.set(xlabel="step", ylabel="PSNR (dB)")
    panel.legend()


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

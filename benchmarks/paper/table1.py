"""Table 1 of the paper: PSNR and SSIM of the supervised (S) and the blind (B) network, before
and after fine-tuning on the noisy image itself (AFT), at L = 1, 2, 4 and 8.

Gray / 255 is the intensity; Gamma noise multiplies it and is not clipped; PSNR has peak 1;
means are over images. With the standard errors of the means come those of the differences,
which are far smaller, for all models see the same noise. S at L needs the model dopamine-lL
(dopamine-l1, …): those that are not installed are left out, and named.

The network kept is that of the epoch of lowest risk on the held-out pixels, as the plugin keeps
it; "last" is that of the last epoch, as in the paper. "x8" is the self-ensemble, the mean over
the 8 flips and rotations, which the paper does not speak of.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from ...plugin.core.errors import ModelError
from ...plugin.core.models.base import Despeckler
from ..figures import add_figure_option, draw, looks_axis
from ..images import (
    Sample,
    add_device_options,
    add_image_options,
    estimate,
    load,
    quality,
    samples,
    set_threads,
)
from ..results import Store, Values, add_store_options, mean_and_error, table, with_error
from ..tuned import add_tuning_options, recipe_from, settings, tune

# PSNR in dB and SSIM over all 300 test images, by L.
PAPER: dict[str, dict[float, tuple[float, float]]] = {
    "noisy": {1: (5.763, 0.073), 2: (8.773, 0.118), 4: (11.785, 0.178), 8: (14.795, 0.253)},
    "SAR-DRN S": {1: (22.860, 0.738), 2: (24.189, 0.780), 4: (25.664, 0.823), 8: (27.191, 0.861)},
    "SAR-DRN B": {1: (22.746, 0.732), 2: (24.151, 0.778), 4: (25.583, 0.821), 8: (27.057, 0.857)},
    "S": {1: (22.957, 0.743), 2: (24.329, 0.786), 4: (25.767, 0.826), 8: (27.268, 0.863)},
    "S-AFT": {1: (23.308, 0.756), 2: (24.701, 0.798), 4: (26.123, 0.837), 8: (27.623, 0.871)},
    "B": {1: (22.909, 0.739), 2: (24.291, 0.782), 4: (25.694, 0.822), 8: (27.159, 0.859)},
    "B-AFT": {1: (23.293, 0.755), 2: (24.678, 0.797), 4: (26.103, 0.836), 8: (27.593, 0.870)},
}

# One row of ours: of which network, and of which of its figures.
ROWS = (
    ("noisy", "B", "noisy"),
    ("S", "S", "start"),
    ("S-AFT", "S", "aft"),
    ("S-AFT, last", "S", "last"),
    ("S x8", "S", "start_x8"),
    ("S-AFT x8", "S", "aft_x8"),
    ("B", "B", "start"),
    ("B-AFT", "B", "aft"),
    ("B-AFT, last", "B", "last"),
    ("B x8", "B", "start_x8"),
    ("B-AFT x8", "B", "aft_x8"),
)
GAINS = (
    ("S-AFT - S", ("S", "aft"), ("S", "start")),
    ("B-AFT - B", ("B", "aft"), ("B", "start")),
    ("S-AFT x8 - S", ("S", "aft_x8"), ("S", "start")),
    ("B-AFT x8 - B", ("B", "aft_x8"), ("B", "start")),
    ("S-AFT x8 - S x8", ("S", "aft_x8"), ("S", "start_x8")),
    ("B-AFT x8 - B x8", ("B", "aft_x8"), ("B", "start_x8")),
    ("B - S", ("B", "start"), ("S", "start")),
    ("B-AFT - S-AFT", ("B", "aft"), ("S", "aft")),
    ("B-AFT x8 - S-AFT x8", ("B", "aft_x8"), ("S", "aft_x8")),
)

# By L and network ("S" or "B"), what was measured of each image.
Results = dict[float, dict[str, dict[str, Values]]]


def main(arguments: list[str]) -> int:
    """Measure what the store does not know yet; print the table, draw the figure."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    store = Store(options.store)
    images = samples(options)
    models, skipped = _models(options)
    results: Results = {looks: {} for looks in options.looks}
    for number, sample in enumerate(images, 1):
        for looks in options.looks:
            for name, model in models[looks].items():
                key = _key(options, sample, looks, model)
                if options.report and store.get(key) is None:
                    continue
                values = store.need(key, lambda: _measure(options, sample, looks, model))  # noqa: B023
                results[looks].setdefault(name, {})[sample.path.as_posix()] = values
                if not options.report:
                    _say(
                        f"{number}/{len(images)} {sample.name} L={looks:g} {name}: {_short(values)}"
                    )
    _say("")
    for name in skipped:
        _say(f"skipped: {name}")
    _say(_title(options))
    _say(report(results))
    draw(options.figure, lambda axes: _paint(axes, results), columns=2)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench paper table1",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_image_options(parser)
    parser.add_argument(
        "--looks", type=float, nargs="+", default=[1.0, 2.0, 4.0, 8.0], metavar="L",
        help="default: 1 2 4 8",
    )  # fmt: skip
    parser.add_argument(
        "--blind", default="dopamine-blind", metavar="ID", help="id or weights file of B"
    )
    parser.add_argument(
        "--supervised", default="dopamine-l{looks}", metavar="ID",
        help="id or weights file of S, {looks} standing for L (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--models", action="append", default=[], metavar="FOLDER", help="of more weights files"
    )
    add_tuning_options(parser)
    add_device_options(parser)
    add_store_options(parser)
    add_figure_option(parser, "table1.png")
    return parser


def _models(
    options: argparse.Namespace,
) -> tuple[dict[float, dict[str, Despeckler]], list[str]]:
    """Networks by L, and why some are missing."""
    models: dict[float, dict[str, Despeckler]] = {looks: {} for looks in options.looks}
    skipped = []
    for looks in options.looks:
        try:
            name = options.supervised.format(looks=f"{looks:g}")
            models[looks]["S"] = load(name, options.models, options.device)
        except ModelError as error:
            skipped.append(f"S at L = {looks:g}. {error}")
    try:
        blind = load(options.blind, options.models, options.device)
        for named in models.values():
            named["B"] = blind
    except ModelError as error:
        skipped.append(f"B. {error}")
    if not any(models.values()):
        raise ModelError("None of the models is there:\n" + "\n".join(skipped))
    return models, skipped


def _key(
    options: argparse.Namespace, sample: Sample, looks: float, model: Despeckler
) -> dict[str, Any]:
    return {
        "benchmark": "table1 x8",
        "image": sample.name,
        "place": sample.place,
        "looks": looks,
        "weights": model.card.tensors_sha256,
        **settings(options),
    }


def _measure(
    options: argparse.Namespace, sample: Sample, looks: float, model: Despeckler
) -> Values:
    clean, noisy = sample.pair(looks, options.seed)
    where = {"device": options.device, "precision": options.precision}

    def judged(network: Despeckler, ensemble: bool = False) -> tuple[float, float]:
        return quality(clean, estimate(network, noisy, looks, ensemble=ensemble, **where)["x"])

    values: Values = {
        "model": model.card.id,
        "noisy": quality(clean, noisy),
        "start": judged(model),
        "start_x8": judged(model, True),
    }
    if options.epochs:
        tuned = tune(model, noisy, recipe_from(options, looks), **where)
        values["aft"] = judged(tuned.best)
        values["aft_x8"] = judged(tuned.best, True)
        values["last"] = judged(tuned.last)
        values["best_epoch"] = tuned.best_epoch
        values["seconds"] = round(tuned.seconds, 2)
    return values


def report(results: Results) -> str:
    """Our rows, the gains, and the paper's rows, a column for PSNR and one for SSIM at each L."""
    heads = ["PSNR (dB), SSIM"]
    for looks, networks in results.items():
        heads += [f"L = {looks:g}", f"N = {len(_common(networks))}"]
    rows = [heads]
    for title, network, figure in ROWS:
        cells = [title]
        for networks in results.values():
            one = network if network in networks or figure != "noisy" else "S"
            cells += _cells(networks, (one, figure))
        rows.append(cells)
    for title, one, other in GAINS:
        cells = [title]
        for networks in results.values():
            cells += _cells(networks, one, other)
        rows.append(cells)
    for title, figures in PAPER.items():
        cells = [f"paper: {title}"]
        for looks in results:
            value = figures.get(looks)
            cells += [f"{value[0]:.3f}", f"{value[1]:.3f}"] if value else ["", ""]
        rows.append(cells)
    return table([row for row in rows if any(row[1:])])


def _common(networks: dict[str, dict[str, Values]]) -> list[str]:
    """Images that all networks have been measured on."""
    if not networks:
        return []
    return sorted(set.intersection(*(set(images) for images in networks.values())))


def _cells(
    networks: dict[str, dict[str, Values]],
    one: tuple[str, str],
    other: tuple[str, str] | None = None,
) -> list[str]:
    """PSNR and SSIM of a row at one L, or of the difference of two; empty where not measured."""
    first = _figures(networks, *one)
    second = _figures(networks, *other) if other else None
    if not first or (other and not second):
        return ["", ""]
    pairs = list(zip(*first))
    if second:
        pairs = [
            tuple(a - b for a, b in zip(mine, theirs)) for mine, theirs in zip(pairs, zip(*second))
        ]
    signed = other is not None
    return [with_error(pairs[0], 3, signed), with_error(pairs[1], 4, signed)]


def _figures(
    networks: dict[str, dict[str, Values]], network: str, figure: str
) -> list[tuple[float, float]]:
    images = networks.get(network, {})
    found = [images[name].get(figure) for name in _common(networks) if name in images]
    return [] if None in found else found


def _title(options: argparse.Namespace) -> str:
    recipe = recipe_from(options, 1.0) if options.epochs else None
    tuning = (
        f"AFT of depth '{recipe.depth}', {recipe.epochs} epochs at {recipe.rate:g}, "
        f"{recipe.held_out:.0%} of the pixels held out"
        if recipe
        else "no AFT"
    )
    part = f"the central {options.crop} pixels" if options.crop else "whole images"
    return (
        f"{tuning}; {part}, {options.precision}. Mean ± standard error over N images; of the "
        "differences, over the same images. The paper's rows are means over its 300 images."
    )


def _short(values: Values) -> str:
    text = f"PSNR {values['start'][0]:.3f}"
    if "aft" in values:
        gain = values["aft"][0] - values["start"][0]
        text += f", AFT {gain:+.3f} dB (epoch {values['best_epoch']}, {values['seconds']:.0f} s)"
    return text


def _paint(axes: Any, results: Results) -> None:
    levels, gains = axes[0]
    for place, (title, network, figure) in enumerate(ROWS):
        if figure in ("noisy", "last") or figure.endswith("_x8"):
            continue
        colour = f"C{place}"
        points = [(level, _figures(n, network, figure)) for level, n in results.items()]
        means = [(level, mean_and_error(f)[0]) for level, f in points if f]
        if means:
            levels.plot(*zip(*means), "o-", color=colour, label=title)
        paper = [(level, PAPER[title][level][0]) for level in results if level in PAPER[title]]
        if paper:
            levels.plot(*zip(*paper), ":", color=colour, label=f"{title} of the paper")
    for place, (title, one, other) in enumerate(GAINS[:2]):
        colour, network = f"C{place}", one[0]
        points = []
        for level, networks in results.items():
            pairs = zip(_figures(networks, *one), _figures(networks, *other))
            differences = [after[0] - before[0] for after, before in pairs]
            if differences:
                points.append((level, *mean_and_error(differences)))
        if points:
            x, y, error = zip(*points)
            gains.errorbar(x, y, np.nan_to_num(error), fmt="o-", color=colour, label=title)
        theirs = [
            (level, PAPER[f"{network}-AFT"][level][0] - PAPER[network][level][0])
            for level in results
            if level in PAPER[network]
        ]
        if theirs:
            gains.plot(*zip(*theirs), ":", color=colour, label=f"{title} of the paper")
    for panel, name in ((levels, "PSNR (dB)"), (gains, "gain of AFT (dB)")):
        panel.set_ylabel(name)
        looks_axis(panel, list(results))
        panel.legend(fontsize="small")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

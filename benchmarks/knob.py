"""The instant knob: what a turn costs, and how near it comes to tuning at its L.

A forward pass gives mean and relative variance of the surroundings; any L' then costs one pass
over two arrays (`core.affine.AffineKnob`), whose time is printed per megapixel.

On test images of L looks, where there are any: a network tuned by AFT at L and turned to
L' = L/8 … 8 L, against one tuned at L' itself; both against the clean image. "turned - tuned"
is the difference of PSNR, and "apart" the PSNR of the one against the other. With a real scene
(--scene), where nothing is clean, the ENL of both in the most uniform window of the input.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..plugin.core.affine import AffineKnob, affine_map
from ..plugin.core.errors import InvalidInput
from ..plugin.core.models.base import Despeckler
from ..plugin.core.quality import best_window_enl, enl
from .figures import add_figure_option, draw, looks_axis
from .images import (
    Image,
    add_device_options,
    add_image_options,
    estimate,
    load,
    quality,
    samples,
    scene_scale,
    set_threads,
)
from .results import Store, Values, add_store_options, mean_and_error, table, with_error
from .scenes import add_scene_options, read_whole
from .tuned import add_tuning_options, recipe_from, settings, tune

FACTORS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)

_UNIFORM = 32


def main(arguments: list[str]) -> int:
    """Print the time of a turn; with images or a scene, what it is worth."""
    options = _parser().parse_args(arguments)
    set_threads(options)
    if options.side:
        _say(timing(options.side, options.repeats))
    if not (options.images or options.scene):
        return 0
    store = Store(options.store)
    model = load(options.model, device=options.device)
    results: list[Values] = []
    if options.images:
        results = _over_images(options, model, store)
        _say(report(results, options))
    scene = None
    if options.scene:
        scene = _on_scene(options, model, store)
        _say(scene_report(scene, options))
    draw(
        options.figure,
        lambda axes: _paint(axes[0], results, scene, options),
        columns=2 * bool(results) + bool(scene),
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench knob",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--side", type=int, default=1024, help="of the image that is turned; 0 to skip the timing"
    )
    parser.add_argument("--repeats", type=int, default=15, help="turns timed (default: 15)")
    parser.add_argument("--model", default="dopamine-blind", metavar="ID", help="or weights file")
    parser.add_argument("--looks", type=float, default=1.0, metavar="L", help="default: 1")
    parser.add_argument(
        "--factors", nargs="+", type=float, default=list(FACTORS), metavar="F",
        help="L'/L to measure at (default: 1/8 to 8)",
    )  # fmt: skip
    add_image_options(parser, required=False)
    add_tuning_options(parser)
    add_device_options(parser)
    add_scene_options(parser)
    add_store_options(parser)
    add_figure_option(parser, "knob.png")
    return parser


def timing(side: int, repeats: int) -> str:
    """Milliseconds a megapixel of a turn, whole and as slope and bias apart."""
    rng = np.random.default_rng(0)
    mean, relative, z = (rng.uniform(0.1, 2, (side, side)).astype(np.float32) for _ in range(3))
    a, b = affine_map(mean, relative, 1.0)
    out = np.empty_like(z)
    knob = AffineKnob(z, a, b, 1.0)
    knobs = iter(np.geomspace(0.1, 10, 4 * repeats + 8))

    def by_maps() -> None:
        slope, bias = affine_map(mean, relative, float(next(knobs)))
        np.add(slope * z, bias, out=out)

    turn = _milliseconds(lambda: knob.turned(float(next(knobs)), out), repeats)
    maps = _milliseconds(by_maps, repeats)
    once = _milliseconds(lambda: AffineKnob(z, a, b, 1.0), repeats)
    scale = 1e6 / side**2
    return (
        f"{side}x{side} pixels, float32, one thread: a turn of the knob takes "
        f"{turn * scale:.2f} ms/Mpx ({maps * scale:.2f} by a and b; once after each forward pass, "
        f"{once * scale:.1f} to make it ready)"
    )


def _milliseconds(work: Any, repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


class _Comparison:
    """One noisy image: the network tuned at L and turned, against the one tuned at each L'."""

    def __init__(self, model: Despeckler, noisy: Image, options: argparse.Namespace) -> None:
        self.model, self.noisy, self.options = model, noisy, options
        self.scale = np.float32(scene_scale(model, noisy))
        self._own: dict[str, Image] | None = None
        self._knob: AffineKnob | None = None

    def _tuned(self, knob: float) -> dict[str, Image]:
        options = self.options
        recipe = recipe_from(options, options.looks, knob=knob)
        tuned = tune(self.model, self.noisy, recipe, options.device, options.precision)
        return self._estimate(tuned.best)

    def _estimate(self, model: Despeckler, knob: float | None = None) -> dict[str, Image]:
        options = self.options
        return estimate(
            model, self.noisy, options.looks, knob=knob,
            device=options.device, precision=options.precision,
        )  # fmt: skip

    def estimates(self, factor: float) -> dict[str, Image]:
        """At L' = L·factor: "turned", "tuned", and "untuned", the starting network turned."""
        looks = self.options.looks
        if self._own is None or self._knob is None:
            self._own = self._tuned(looks)
            bias, z = self._own["b"] / self.scale, self.noisy / self.scale
            self._knob = AffineKnob(z, self._own["a"], bias, looks, least=1e-6)
        turned = self._knob.turned(looks * factor)
        return {
            "turned": turned * self.scale,
            "tuned": (self._own if factor == 1 else self._tuned(looks * factor))["x"],
            "untuned": self._estimate(self.model, looks * factor)["x"],
        }


def _over_images(options: argparse.Namespace, model: Despeckler, store: Store) -> list[Values]:
    """For each image, lists over the factors: PSNR of each estimate, and "apart"."""
    images = samples(options)
    results = []
    for number, sample in enumerate(images, 1):
        clean, noisy = sample.pair(options.looks, options.seed)
        comparison = _Comparison(model, noisy, options)

        def judged(factor: float) -> Values:
            found = comparison.estimates(factor)  # noqa: B023
            figures = {name: quality(clean, x)[0] for name, x in found.items()}  # noqa: B023
            # Networks tuned alike would be infinitely near.
            figures["apart"] = min(quality(found["tuned"], found["turned"])[0], 100.0)
            _say(
                f"{number}/{len(images)} {sample.name} L'={options.looks * factor:g}: "  # noqa: B023
                f"turned {figures['turned']:.3f} dB, tuned {figures['tuned']:.3f} dB"
            )
            return figures

        entries = _entries(options, model, store, judged, image=sample.name, place=sample.place)
        if len(entries) == len(options.factors):
            results.append(_columns(entries))
    return results


def _entries(
    options: argparse.Namespace,
    model: Despeckler,
    store: Store,
    measure: Callable[[float], Values],
    **own: Any,
) -> dict[float, Values]:
    """What is known of each factor, after measuring what is not."""
    entries = {}
    for factor in options.factors:
        key = {
            "benchmark": "knob",
            "looks": options.looks,
            "factor": factor,
            "weights": model.card.tensors_sha256,
            **settings(options),
            **own,
        }
        if not options.report or store.get(key) is not None:
            entries[factor] = store.need(key, lambda: measure(factor))  # noqa: B023
    return entries


def _columns(entries: dict[float, Values]) -> Values:
    names = next(iter(entries.values()))
    return {name: [values[name] for values in entries.values()] for name in names}


def _on_scene(options: argparse.Namespace, model: Despeckler, store: Store) -> Values:
    """Lists over the factors: ENL of each estimate in the input's most uniform window."""
    noisy = read_whole(options.scene, options.domain, options.crop)
    before, window = best_window_enl(noisy, min(_UNIFORM, *noisy.shape))
    inside = np.s_[window.y : window.bottom, window.x : window.right]
    comparison = _Comparison(model, noisy, options)

    def judged(factor: float) -> Values:
        found = comparison.estimates(factor)
        return {name: enl(x[inside]) for name, x in found.items()}

    name = f"{options.scene.name} {options.domain}"
    entries = _entries(options, model, store, judged, scene=name)
    if len(entries) < len(options.factors):
        raise InvalidInput("The store does not hold the scene at every factor yet.")
    return {"noisy": before, **_columns(entries)}


def report(results: list[Values], options: argparse.Namespace) -> str:
    """PSNR over the knob, and the differences, with standard errors over the images."""
    if not results:
        return "No image has been measured at every factor yet."
    rows = [[f"L = {options.looks:g}, N = {len(results)}", "turned (dB)", "tuned (dB)",
             "turned - tuned", "untuned, turned", "apart"]]  # fmt: skip
    for place, factor in enumerate(options.factors):
        column = {name: [r[name][place] for r in results] for name in results[0]}
        rows.append(
            [
                f"L' = {options.looks * factor:g}",
                with_error(column["turned"]),
                with_error(column["tuned"]),
                with_error(_differences(results, place), 3, True),
                with_error(column["untuned"]),
                with_error(column["apart"], 1),
            ]
        )
    return table(rows)


def _differences(results: list[Values], place: int) -> list[float]:
    return [r["turned"][place] - r["tuned"][place] for r in results]


def scene_report(scene: Values, options: argparse.Namespace) -> str:
    """ENL over the knob."""
    rows = [[f"ENL; input {scene['noisy']:.2f}", "turned", "tuned", "untuned, turned"]]
    for place, factor in enumerate(options.factors):
        figures = [f"{scene[name][place]:.1f}" for name in ("turned", "tuned", "untuned")]
        rows.append([f"L' = {options.looks * factor:g}", *figures])
    return table(rows)


def _paint(
    panels: Any, results: list[Values], scene: Values | None, options: argparse.Namespace
) -> None:
    knobs = [options.looks * factor for factor in options.factors]
    if results:
        for name in ("turned", "tuned", "untuned"):
            means = [mean_and_error([r[name][i] for r in results])[0] for i in range(len(knobs))]
            title = "untuned, turned" if name == "untuned" else name
            panels[0].plot(knobs, means, "o-", label=title)
        panels[0].set_ylabel("PSNR (dB)")
        panels[0].legend()
        mean, error = zip(
            *(mean_and_error(_differences(results, place)) for place in range(len(knobs)))
        )
        panels[1].errorbar(knobs, mean, np.nan_to_num(error), fmt="o-")
        panels[1].axhspan(-0.1, 0.1, alpha=0.15)
        panels[1].set_ylabel("turned - tuned (dB)")
    if scene:
        for name in ("turned", "tuned", "untuned"):
            panels[-1].plot(knobs, scene[name], "o-", label=name)
        panels[-1].set(ylabel="ENL", yscale="log")
        panels[-1].legend()
    for panel in panels:
        looks_axis(panel, knobs, "L'")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

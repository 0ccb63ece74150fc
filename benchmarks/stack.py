"""The instant knob of a network that is told L: how near interpolation comes to the network.

The network is run at many L from L/8 to 8 L, none of them an anchor, and the stack of estimates
at a few anchors is turned to each. Errors are of the log intensity, in dB: the root mean square
over pixels at the worst L, the mean over L, the pixel that is worse than 99.9 % of them at the
worst L; and the largest change of the scene's mean. Then the time of a turn.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ..plugin.core.affine import AffineKnob
from ..plugin.core.despeckling import despeckle_tile
from ..plugin.core.knob_stack import ANCHORS, KnobStack, anchors_for
from ..plugin.core.models.registry import DEFAULT_MODEL
from .rates import seconds
from .scenes import load, read_scene

_DB = 10 / np.log(10)


def main(arguments: list[str]) -> int:
    """Print a line for each number of anchors and interpolation, and the times."""
    parser = argparse.ArgumentParser(prog="./run bench stack", description=__doc__)
    parser.add_argument("--scene", action="append", default=[], help="raster or .npy; repeatable")
    parser.add_argument("--domain", default="auto")
    parser.add_argument("--band", type=int, default=1)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="id or weights file")
    parser.add_argument("--looks", type=float, default=None, help="default: as estimated")
    parser.add_argument("--side", type=int, default=256, help="pixels of the scene's middle")
    parser.add_argument("--knobs", type=int, default=24, help="L to compare at")
    parser.add_argument("--anchors", type=int, nargs="+", default=[3, 5, 7, 9, 13])
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args(arguments)
    if options.scene:
        model = load(options.model)
        if model.card.affine or model.card.blind:
            sys.stderr.write(f"{options.model} is not told L: it needs no stack.\n")
            return 2
        for path in options.scene:
            _compare(model, path, options)
    _time()
    return 0


def _compare(model, path, options) -> None:
    scene = read_scene(path, options.side, options.domain, options.band)
    looks = options.looks or (scene.looks.looks if scene.looks else 1.0)
    scale = model.card.scene_scale(scene.mean, scene.geometric_mean)

    def run(knob: float) -> np.ndarray:
        return despeckle_tile(
            model, scene.intensity, scene.valid, scale=scale, looks=looks, knob=knob,
            precision=options.precision,
        )["x"]  # fmt: skip

    # Between, never at, the anchors of any of the stacks.
    knobs = [looks * 8 ** (2 * (index + 0.5) / options.knobs - 1) for index in range(options.knobs)]
    wanted = {knob: run(knob)[scene.valid] for knob in knobs}
    estimates: dict[float, np.ndarray] = {}
    sys.stdout.write(
        f"{path}: {model.card.id}, {scene.intensity.shape[1]} x {scene.intensity.shape[0]} "
        f"pixels, L = {looks:.2f}, {len(knobs)} settings from {knobs[0]:.2f} to {knobs[-1]:.2f}\n"
    )
    low, high = (_DB * np.log(wanted[knob].astype(float)) for knob in (knobs[0], knobs[-1]))
    sys.stdout.write(f"  the whole turn changes the image by {np.std(high - low):.2f} dB\n")
    for count in options.anchors:
        anchors = anchors_for(looks, count)
        for anchor in anchors:
            if anchor not in estimates:
                estimates[anchor] = run(anchor)
        for cubic in (False, True):
            stack = KnobStack(anchors, [estimates[anchor] for anchor in anchors], cubic)
            figures = np.array(
                [_error(stack.turned(knob)[scene.valid], wanted[knob]) for knob in knobs]
            )
            worst = knobs[int(figures[:, 0].argmax())]
            sys.stdout.write(
                f"  {count:2} anchors, {'cubic ' if cubic else 'linear'}: worst "
                f"{figures[:, 0].max():.4f} dB (at L = {worst:.2f}), mean "
                f"{figures[:, 0].mean():.4f} dB, 99.9 % of pixels {figures[:, 1].max():.3f} dB, "
                f"relative change of the mean {figures[:, 2].max():.1e}\n"
            )


def _error(turned: np.ndarray, wanted: np.ndarray) -> tuple[float, float, float]:
    """Log-RMSE and 99.9th percentile in dB, and the relative change of the mean."""
    difference = _DB * np.log(turned.astype(float) / wanted)
    change = abs(turned.mean(dtype=float) / wanted.mean(dtype=float) - 1)
    return (
        float(np.sqrt(np.mean(difference**2))),
        float(np.quantile(np.abs(difference), 0.999)),
        float(change),
    )


def _time(side: int = 1024) -> None:
    rng = np.random.default_rng(0)
    z, a, b = rng.random((3, side, side), np.float32)
    out = np.empty((side, side), np.float32)
    anchors = anchors_for(1.0)
    stack = KnobStack(anchors, [z + np.float32(0.1 * anchor) for anchor in anchors])
    for name, knob in ((f"{ANCHORS} anchors", stack), ("affine", AffineKnob(z, 0.4 * a, b, 1.0))):
        turn = seconds(lambda knob=knob: knob.turned(0.7, out), 21)
        sys.stdout.write(f"a turn, {name}: {1e9 * turn / side**2:.1f} ms a megapixel\n")

"""The instant knob of networks that are not affine, and the timing of both kinds."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from speckless.plugin.core.affine import AffineKnob
from speckless.plugin.core.despeckling import despeckle_tile
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.knob_stack import KnobStack, anchors_for
from speckless.plugin.core.models.registry import DEFAULT_MODEL, find
from speckless.plugin.core.models.weights import load_model
from speckless.plugin.core.speckle import simulate_speckle

SHAPE = (37, 53)


def estimate(knob, seed=0):
    """An estimate that bends with ln L, each pixel differently."""
    bend, tilt, level = np.random.default_rng(seed).normal(size=(3, *SHAPE))
    place = math.log(knob)
    return np.exp(level + 0.3 * tilt * place + 0.2 * bend * np.sin(place)).astype(np.float32)


def log_error(turned, wanted):
    return float(np.abs(np.log(turned / wanted)).max())


def test_anchors_span_the_range_evenly():
    anchors = anchors_for(2.0, 5, 8.0)
    np.testing.assert_allclose(anchors, [0.25, 2 / math.sqrt(8), 2, 2 * math.sqrt(8), 16])


@pytest.mark.parametrize("cubic", [True, False])
def test_anchors_give_their_own_estimates(cubic):
    anchors = anchors_for(1.0, 5)
    stack = KnobStack(anchors[::-1], [estimate(knob) for knob in anchors[::-1]], cubic)
    assert stack.anchors == tuple(anchors)
    for knob in anchors:
        assert log_error(stack.turned(knob), estimate(knob)) < 1e-6


def test_stack_filled_part_by_part_is_the_same():
    anchors = anchors_for(1.0, 5)
    whole = KnobStack(anchors, [estimate(knob) for knob in anchors])
    parts = KnobStack.empty(anchors[::-1], SHAPE)
    for knob in anchors[:-1]:
        for part in (np.s_[:20, :], np.s_[20:, :]):
            parts.put(knob, estimate(knob)[part], part)
    assert np.isnan(parts.turned(anchors[-1])).all()
    parts.put(anchors[-1], estimate(anchors[-1]))
    for knob in (0.2, 1.3, 7.0):
        np.testing.assert_array_equal(parts.turned(knob), whole.turned(knob))


@pytest.mark.parametrize("cubic", [True, False])
def test_what_is_straight_in_the_logarithm_is_exact(cubic):
    anchors = [0.3, 0.5, 2.0, 9.0]
    stack = KnobStack(anchors, [np.full(SHAPE, 7 * knob**0.4) for knob in anchors], cubic)
    for knob in (0.3, 0.41, 1.7, 8.0, 9.0):
        assert log_error(stack.turned(knob), np.full(SHAPE, 7 * knob**0.4)) < 1e-6


def test_cubic_is_nearer_than_linear_and_more_anchors_nearer_still():
    knobs = np.geomspace(1 / 8, 8, 41)

    def worst(count, cubic):
        anchors = anchors_for(1.0, count)
        stack = KnobStack(anchors, [estimate(knob) for knob in anchors], cubic)
        return max(log_error(stack.turned(knob), estimate(knob)) for knob in knobs)

    assert worst(7, True) < 0.5 * worst(7, False)
    # Third order: twice the anchors, a quarter of the error at the very least.
    assert worst(13, True) < worst(7, True) / 4


def test_turning_has_no_jumps():
    anchors = anchors_for(1.0, 5)
    stack = KnobStack(anchors, [estimate(knob) for knob in anchors])
    knobs = np.geomspace(1 / 8, 8, 2001)
    logs = np.log([stack.turned(knob)[:4, :4] for knob in knobs])
    slopes = np.diff(logs, axis=0) / np.log(knobs[1] / knobs[0])
    assert np.abs(np.diff(slopes, axis=0)).max() < 0.02


def test_invalid_pixels_stay_invalid_and_zeros_stay_dark():
    images = [np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)]
    images[0][2, 3] = np.nan
    for image in images:
        image[5, 6] = 0
    turned = KnobStack([1.0, 4.0], images).turned(2.0)
    assert np.isnan(turned[2, 3])
    assert 0 < turned[5, 6] < 1e-30
    assert np.isfinite(turned).sum() == turned.size - 1


def test_output_is_filled_in_place():
    anchors = anchors_for(1.0, 3)
    stack = KnobStack(anchors, [estimate(knob) for knob in anchors])
    out = np.empty(SHAPE, np.float32)
    assert stack.turned(0.7, out) is out
    np.testing.assert_array_equal(out, stack.turned(0.7))
    for wrong in (out.T, out.astype(np.float64), out[:, ::2]):
        with pytest.raises(InvalidInput, match="contiguous float32"):
            stack.turned(0.7, wrong)


def test_what_makes_no_knob_is_refused():
    one = np.ones(SHAPE)
    with pytest.raises(InvalidInput, match="at least two"):
        KnobStack([1.0], [one])
    with pytest.raises(InvalidInput, match="at least two"):
        KnobStack([1.0, 1.0], [one, one])
    with pytest.raises(InvalidInput, match="3 anchors and 2"):
        KnobStack([1.0, 2.0, 3.0], [one, one])
    with pytest.raises(InvalidInput, match="shape"):
        KnobStack([1.0, 2.0], [one, one[1:]])
    with pytest.raises(InvalidInput, match="anchor"):
        KnobStack([0.0, 2.0], [one, one])
    stack = KnobStack([1.0, 2.0], [one, one])
    for knob in (0.99, 2.01):
        with pytest.raises(InvalidInput, match="between 1 and 2"):
            stack.turned(knob)
    with pytest.raises(InvalidInput, match="positive"):
        stack.turned(-1.0)
    for bad in ({"count": 1}, {"reach": 1.0}, {"looks": 0.0}):
        with pytest.raises(InvalidInput):
            anchors_for(**{"looks": 1.0, **bad})


def test_a_turn_takes_milliseconds():
    side = 1024
    rng = np.random.default_rng(0)
    z, a, b = rng.random((3, side, side), np.float32)
    out = np.empty((side, side), np.float32)
    anchors = anchors_for(1.0)
    knobs = {
        "stack": KnobStack(anchors, [z + 0.1 * knob for knob in anchors]),
        "affine": AffineKnob(z, 0.4 * a, b, 1.0),
    }
    for name, knob in knobs.items():
        times = []
        for level in np.geomspace(1 / 7, 7, 9):
            start = time.process_time()
            knob.turned(level, out)
            times.append(time.process_time() - start)
        # 2 to 3 ms are usual. The processor's own time, for other programs may be running.
        assert min(times) < 0.015 * side**2 / 1e6, name


def test_default_model_turns_as_if_it_were_run():
    model = load_model(find(DEFAULT_MODEL))
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:64, :64]
    scene = np.exp(1.5 * np.sin(x / 9) * np.cos(y / 11)) * (1 + 4 * (x > 40))
    z = (scene * simulate_speckle(scene.shape, 2, rng, 0.7)).astype(np.float32)
    valid = np.ones(z.shape, bool)
    scale = float(np.exp(np.log(z).mean()))

    def run(knob):
        return despeckle_tile(model, z, valid, scale=scale, looks=2.0, knob=knob)["x"]

    anchors = anchors_for(2.0)
    stack = KnobStack(anchors, [run(anchor) for anchor in anchors])
    for knob in (0.3, 0.7, 2.6, 13.0):
        decibels = 10 * np.log10(stack.turned(knob) / run(knob))
        assert np.sqrt(np.mean(decibels**2)) < 0.05

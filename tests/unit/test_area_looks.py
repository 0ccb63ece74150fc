"""The number of looks of a homogeneous area, its interval against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.area_looks import looks_of_area
from speckless.plugin.core.errors import InvalidInput
from speckless.plugin.core.speckle import simulate_speckle


@pytest.mark.parametrize(
    ("shape", "psf"), [((5, 5), 0.0), ((20, 20), 0.0), ((14, 14), 0.6), ((20, 20), 0.9)]
)
@pytest.mark.parametrize("looks", [1, 4])
def test_interval_holds_the_truth_as_often_as_it_says(shape, psf, looks):
    rng = np.random.default_rng(1)
    draws = 300
    found = [looks_of_area(simulate_speckle(shape, looks, rng, psf)) for _ in range(draws)]
    below = sum(area.high < looks for area in found)
    above = sum(area.low > looks for area in found)
    # 15 of 300 are due; 4 standard deviations.
    assert 1 <= below + above <= 30
    assert max(below, above) <= 20
    assert np.median([area.looks for area in found]) == pytest.approx(looks, rel=0.06)


def test_a_wider_confidence_is_a_wider_interval_around_the_estimate():
    area = simulate_speckle((20, 20), 3, np.random.default_rng(0))
    bounds = [looks_of_area(area, confidence=share) for share in (0.5, 0.9, 0.99)]
    lows, highs = [one.low for one in bounds], [one.high for one in bounds]
    assert lows == sorted(lows, reverse=True)
    assert highs == sorted(highs)
    assert highs[0] > bounds[0].looks > lows[0]


def test_scale_and_what_lies_outside_do_not_matter():
    rng = np.random.default_rng(2)
    image = simulate_speckle((30, 30), 2, rng)
    y, x = np.mgrid[:30, :30]
    inside = (x - 15) ** 2 + (y - 15) ** 2 < 100
    whole = looks_of_area(image, inside)
    spoiled = np.where(inside, image, np.nan)
    spoiled[0, 0] = -9999
    scaled = looks_of_area(spoiled * 1e-6)
    assert scaled.looks == pytest.approx(whole.looks, rel=1e-6)
    assert scaled.pixels == whole.pixels == inside.sum()
    assert whole.low < 2 < whole.high


def test_correlated_pixels_are_worth_less():
    image = simulate_speckle((40, 40), 1, np.random.default_rng(3), 0.9)
    area = looks_of_area(image)
    assert area.correlation == pytest.approx((0.54, 0.54), abs=0.08)
    assert 0.3 * area.pixels < area.independent < 0.7 * area.pixels
    told = looks_of_area(image, correlation=(0.0, 0.0))
    assert told.independent == pytest.approx(told.pixels)
    assert told.high / told.low < area.high / area.low


def test_small_areas_say_so():
    rng = np.random.default_rng(4)
    small, large = (looks_of_area(simulate_speckle((side, side), 1, rng)) for side in (5, 40))
    assert "25 independent pixels" in small.note
    assert "larger area" in small.note
    assert large.note == ""


def test_zeros_are_told():
    image = simulate_speckle((40, 40), 1, np.random.default_rng(5))
    image[:2] = 0
    assert "5% of its pixels are zero" in looks_of_area(image).note


@pytest.mark.parametrize(
    ("area", "options", "message"),
    [
        (np.ones((3, 5)), {}, "15 valid pixels above zero: too few"),
        (np.zeros((9, 9)), {}, "0 valid pixels"),
        (np.ones((9, 9)), {}, "constant"),
        (np.ones(81), {}, "one band"),
        (np.ones((9, 9)), {"valid": np.ones((9, 8), bool)}, "does not fit"),
        (np.ones((9, 9)), {"confidence": 1.0}, "between 0 and 1"),
        (np.outer(np.ones(5), np.linspace(1, 2, 9)), {}, "so alike"),
    ],
)
def test_areas_that_tell_nothing_are_refused(area, options, message):
    with pytest.raises(InvalidInput, match=message):
        looks_of_area(area, **options)

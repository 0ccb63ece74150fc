"""Colours looked up by the bits of a float: exact enough, and transparent where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.display import (
    SCALE_SIZE,
    TABLE_SIZE,
    colour,
    colour_scale,
    difference,
    finished_table,
    symmetric_bound,
    table_values,
)
from speckless.plugin.core.errors import InvalidInput


def gray_table(low: float, high: float) -> np.ndarray:
    """Opaque grays, a decibel stretch."""
    with np.errstate(divide="ignore"):
        level = (10 * np.log10(table_values()) - low) / (high - low) * 255
    gray = np.clip(level, 0, 255).astype(np.uint32)
    return finished_table(0xFF000000 | gray << 16 | gray << 8 | gray)


def test_table_rises_and_covers_every_magnitude() -> None:
    values = table_values()
    assert len(values) == TABLE_SIZE
    assert values[0] == 0
    assert (np.diff(values[: TABLE_SIZE - 256]) > 0).all()
    normal = (values > 1e-30) & np.isfinite(values)
    assert (np.diff(values[normal]) / values[normal][:-1] < 0.0041).all()
    assert values[normal].max() > 1e38


def test_colours_are_those_of_the_value_within_a_gray() -> None:
    rng = np.random.default_rng(0)
    values = (10 ** rng.uniform(-4, 4, (300, 200))).astype(np.float32)
    exact = np.clip((10 * np.log10(values) + 25) / 30 * 255, 0, 255)
    got = colour(values, gray_table(-25, 5))
    assert (got >> 24 == 255).all()
    assert np.abs((got & 255) - exact).max() < 1.2


def test_what_is_no_number_or_negative_is_transparent() -> None:
    values = np.array([[np.nan, np.inf, -1.0, -0.0, 1.0, 0.0]], np.float32)
    table = finished_table(np.full(TABLE_SIZE, 0xFF123456, np.uint32))
    assert colour(values, table)[0].tolist() == [0, 0, 0, 0, 0xFF123456, 0xFF123456]


def test_output_array_is_used() -> None:
    out = np.zeros((3, 4), np.uint32)
    table = finished_table(np.full(TABLE_SIZE, 7, np.uint32))
    assert colour(np.ones((3, 4), np.float32), table, out) is out
    assert (out == 7).all()
    with pytest.raises(InvalidInput):
        colour(np.ones((3, 4), np.float32), table, np.zeros((4, 3), np.uint32))


def test_scale_runs_between_its_bounds() -> None:
    scale = np.arange(SCALE_SIZE, dtype=np.uint32) | 0xFF000000
    values = np.array([[-9, -2, 0, 1.99, 9, np.nan]], np.float32)
    got = colour_scale(values, -2, 2, scale)[0]
    assert (got[:5] & 0xFF).tolist() == [0, 0, 128, 255, 255]
    assert got[5] == 0
    with pytest.raises(InvalidInput):
        colour_scale(values, 1, 1, scale)


def test_difference_is_in_the_unit_of_the_domain() -> None:
    z = np.array([[4.0, 0.0, np.nan]], np.float32)
    x = np.array([[1.0, 1.0, 1.0]], np.float32)
    assert difference(z, x, "amplitude")[0, :2].tolist() == [1, -1]
    assert difference(z, x, "complex")[0, :2].tolist() == [3, -1]
    decibels = difference(z, x, "db")[0]
    assert decibels[0] == pytest.approx(6.0206, abs=1e-4)
    assert np.isnan(decibels[2])


def test_bound_ignores_outliers_and_nothing() -> None:
    values = np.concatenate([np.linspace(-1, 1, 1000), [500.0, np.nan]]).astype(np.float32)
    assert 0.9 < symmetric_bound(values) < 1.01
    assert symmetric_bound(np.full((2, 2), np.nan, np.float32)) == 1

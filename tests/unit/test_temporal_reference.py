"""The reference of a stack: against cases reckoned by hand, tiled and whole, with nodata."""

from __future__ import annotations

import numpy as np
import pytest

from speckless.plugin.core.errors import Cancelled, InvalidInput, RasterError
from speckless.plugin.core.temporal_reference import TemporalReference

gdal = pytest.importorskip("osgeo.gdal")

from raster_files import digests, make_raster  # noqa: E402

from speckless.plugin.jobs.temporal_reference import TemporalReferenceJob  # noqa: E402

GRID = (500000.0, 10.0, 0.0, 4600000.0, 0.0, -10.0)


def pixel(values, valid=None, **method):
    """Reference of one pixel."""
    stack = np.array(values, float)[:, None, None]
    valid = np.ones(stack.shape, bool) if valid is None else np.array(valid)[:, None, None]
    made = TemporalReference(**method)(stack, valid)
    return tuple(array[0, 0] for array in made)


def test_equation_nine_and_ten_by_hand():
    # Mean 0.2; deviations -0.05, 0, 0.05: Z = sqrt(0.005 / 2) = 0.05.
    label, valid, dates, spread, stable = pixel([0.15, 0.2, 0.25])
    assert label == pytest.approx(0.2) and spread == pytest.approx(0.05)
    assert valid and stable and dates == 3
    # Deviations -0.2, 0, 0.2: Z = 0.2 > 0.1, masked.
    label, valid, dates, spread, stable = pixel([0.1, 0.3, 0.5])
    assert (label, spread) == (0, pytest.approx(0.2))
    assert not valid and not stable and dates == 3


def test_threshold_itself_is_stable():
    # Two dates d apart: Z = d / sqrt(2).
    values = [1.0, 1.0 + 0.25 * np.sqrt(2)]
    assert pixel(values, threshold=0.25001)[1]
    assert pixel([1.0, 1.0], threshold=0)[1]
    assert not pixel(values, threshold=0.2499)[1]
    assert pixel(values, threshold=None)[1]


def test_variation_is_the_deviation_over_the_mean():
    label, valid, _, spread, _ = pixel([100.0, 300.0, 200.0], spread="variation", threshold=0.5)
    assert (label, spread) == (200, pytest.approx(0.5)) and valid
    assert not pixel([100.0, 300.0, 200.0], spread="variation", threshold=0.49)[1]
    assert pixel([0.0, 0.0], spread="variation")[3] == 0


def test_median_of_odd_and_even_counts_and_of_valid_dates_alone():
    many = {"statistic": "median", "threshold": None}
    assert pixel([1.0, 9.0, 2.0], **many)[0] == 2
    assert pixel([1.0, 9.0, 2.0, 4.0], **many)[0] == 3
    assert pixel([1.0, 9.0, 2.0, 4.0], [True, False, True, True], **many)[0] == 2
    assert pixel([1.0, 9.0, 2.0, 4.0], [True, False, True, False], **many)[0] == 1.5
    assert pixel([5.0], **many, least=1)[0] == 5


def test_invalid_dates_count_for_nothing():
    label, valid, dates, spread, _ = pixel([0.1, np.nan, 0.2, 1e9], [True, False, True, False])
    assert (label, spread) == (pytest.approx(0.15), pytest.approx(0.1 / np.sqrt(2)))
    assert valid and dates == 2
    label, valid, dates, spread, stable = pixel([0.1, 0.2], [False, True])
    assert (label, dates) == (0, 1) and not valid and not stable and np.isnan(spread)
    assert pixel([0.1, 0.2], [False, False])[2] == 0


def test_least_number_of_dates():
    assert not pixel([0.1, 0.1, 0.1], least=4)[1]
    assert pixel([0.1, 0.1, 0.1, 0.1], least=4)[1]
    # One date has no spread: it is not stable, but may be wanted where nothing is masked.
    assert not pixel([0.1], least=1)[1]
    assert pixel([0.1], least=1, threshold=None)[1]


def test_multilooking_averages_stable_pixels_alone():
    values = np.arange(1.0, 10.0).reshape(3, 3)
    stack = np.stack([values, values])
    stack[1, 1, 2] += 100  # changes, so that it is masked
    made = TemporalReference(threshold=0.1, side=3)(stack, np.ones(stack.shape, bool))
    assert made.intensity[0, 0] == pytest.approx((1 + 2 + 4 + 5) / 4)
    assert made.intensity[1, 1] == pytest.approx((1 + 2 + 3 + 4 + 5 + 7 + 8 + 9) / 8)
    assert made.intensity[1, 2] == 0 and not made.valid[1, 2]


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"threshold": -1.0}, "THRESHOLD"), ({"statistic": "mode"}, "STATISTIC"),
     ({"spread": "range"}, "SPREAD"), ({"least": 0}, "MIN_DATES"), ({"side": 4}, "MULTILOOK")],
)  # fmt: skip
def test_wrong_settings_are_refused(changes, word):
    with pytest.raises(InvalidInput, match=word):
        TemporalReference(**changes)


def dates(count=4, shape=(50, 70), seed=0):
    rng = np.random.default_rng(seed)
    scene = np.linspace(0.05, 0.4, shape[1])[None] * np.ones((shape[0], 1))
    stack = scene * rng.gamma(20.0, 1 / 20.0, (count, *shape))
    stack[1, :10, :10] = np.nan
    stack[:, 20, 20] = np.nan
    return stack.astype(np.float32)


def run(inputs, folder, progress=lambda part, text: None, cancelled=lambda: False, **changes):
    outputs = {name: str(folder / f"{name}.tif") for name in ("OUTPUT", "COUNT", "SPREAD", "MASK")}
    job = TemporalReferenceJob(inputs, changes.pop("outputs", outputs), **changes)
    return job.run(progress, cancelled)


def read(path):
    dataset = gdal.Open(str(path))
    band = dataset.GetRasterBand(1)
    values = dataset.ReadAsArray().astype(float)
    if band.GetNoDataValue() is not None:
        values[values == band.GetNoDataValue()] = np.nan
    return values


def test_bands_and_layers_in_any_tiles_give_what_the_whole_gives(tmp_path):
    stack = dates()
    method = TemporalReference(threshold=0.07, side=3)
    expected = method(np.nan_to_num(stack), np.isfinite(stack))
    bands = make_raster(tmp_path / "stack.tif", stack, nodata=float("nan"), geotransform=GRID)
    layers = [
        make_raster(tmp_path / f"d{n}.tif", date, nodata=float("nan"), geotransform=GRID)
        for n, date in enumerate(stack)
    ]
    for name, inputs, size in (("b", [bands], 0), ("l", layers, 32), ("t", [bands], 16)):
        folder = tmp_path / name
        folder.mkdir()
        result = run(inputs, folder, method=method, tile_size=size)
        found = read(folder / "OUTPUT.tif")
        np.testing.assert_array_equal(np.isfinite(found), expected.valid)
        np.testing.assert_allclose(
            found[expected.valid], expected.intensity[expected.valid], rtol=1e-6
        )
        np.testing.assert_array_equal(read(folder / "COUNT.tif"), expected.dates)
        known = np.isfinite(expected.spread)
        np.testing.assert_allclose(
            read(folder / "SPREAD.tif")[known], expected.spread[known], rtol=1e-6
        )
        np.testing.assert_array_equal(read(folder / "MASK.tif")[known], expected.stable[known])
        assert np.isnan(read(folder / "MASK.tif")[20, 20])
        assert result.dates == 4
        assert result.stable_share == pytest.approx(expected.stable.sum() / known.sum())


def test_decibels_are_averaged_as_intensity(tmp_path):
    stack = np.stack([np.full((8, 8), 0.1), np.full((8, 8), 0.3)])
    path = make_raster(tmp_path / "db.tif", (10 * np.log10(stack)).astype("float32"), units="dB")
    run([path], tmp_path, method=TemporalReference(threshold=None))
    np.testing.assert_allclose(read(tmp_path / "OUTPUT.tif"), 10 * np.log10(0.2), rtol=1e-5)


def test_each_band_of_the_dates_has_a_reference_of_its_own(tmp_path):
    layers = [
        make_raster(
            tmp_path / f"d{n}.tif", np.stack([np.full((6, 5), v), np.full((6, 5), 10 * v)]),
            geotransform=GRID, descriptions=["VV", "VH"],
        )
        for n, v in enumerate((1.0, 3.0))
    ]  # fmt: skip
    run(layers, tmp_path, method=TemporalReference(threshold=None))
    found = gdal.Open(str(tmp_path / "OUTPUT.tif"))
    np.testing.assert_allclose(found.ReadAsArray()[:, 0, 0], [2, 20])
    names = [found.GetRasterBand(n).GetDescription() for n in (1, 2)]
    assert names == ["VV temporal mean", "VH temporal mean"]
    second = tmp_path / "second"
    second.mkdir()
    run(layers, second, method=TemporalReference(threshold=None), bands=[2])
    assert read(second / "OUTPUT.tif")[0, 0] == pytest.approx(20)


def test_shifted_dates_meet_where_they_overlap(tmp_path):
    moved = (GRID[0] + 20, *GRID[1:])
    layers = [
        make_raster(tmp_path / "a.tif", np.full((4, 6), 1.0, "float32"), geotransform=GRID),
        make_raster(tmp_path / "b.tif", np.full((4, 6), 3.0, "float32"), geotransform=moved),
    ]
    run(layers, tmp_path, method=TemporalReference(threshold=None))
    found = read(tmp_path / "OUTPUT.tif")
    assert np.isnan(found[:, :2]).all() and (found[:, 2:] == 2).all()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"geotransform": (GRID[0] + 3, *GRID[1:])}, "do not coincide"),
        ({"bands": 2}, "has 2 bands"),
        ({"single": True}, "two dates"),
        ({"nodata": True}, "No pixel is valid"),
    ],
)
def test_stacks_that_do_not_fit_are_refused_and_leave_nothing(tmp_path, change, word):
    array = np.full((6, 6), 0.2, "float32")
    other = np.stack([array, array]) if "bands" in change else array
    if "nodata" in change:
        array = other = np.full((6, 6), np.nan, "float32")
    first = make_raster(tmp_path / "a.tif", array, geotransform=GRID, nodata=float("nan"))
    second = make_raster(
        tmp_path / "b.tif", other, geotransform=change.get("geotransform", GRID),
        nodata=float("nan"),
    )  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises((InvalidInput, RasterError), match=word):
        run([first] if "single" in change else [first, second], out)
    assert digests(out) == {}


def test_cancelled_run_leaves_nothing_and_the_old_file(tmp_path):
    path = make_raster(tmp_path / "stack.tif", dates(), nodata=float("nan"))
    (tmp_path / "OUTPUT.tif").write_bytes(b"old")
    before = digests(tmp_path)
    with pytest.raises(Cancelled):
        run([path], tmp_path, cancelled=lambda: True)
    assert digests(tmp_path) == before


def test_outputs_must_differ_from_inputs_and_each_other(tmp_path):
    path = make_raster(tmp_path / "stack.tif", dates())
    with pytest.raises(RasterError):
        TemporalReferenceJob([path], {"OUTPUT": path}).check()
    with pytest.raises(InvalidInput, match="same file"):
        same = str(tmp_path / "o.tif")
        TemporalReferenceJob([path], {"OUTPUT": same, "MASK": same}).check()
    with pytest.raises(InvalidInput, match="Give a stack"):
        TemporalReferenceJob([], {"OUTPUT": str(tmp_path / "o.tif")}).check()


def test_threshold_that_masks_all_is_told(tmp_path):
    path = make_raster(tmp_path / "stack.tif", dates() * 1e4, nodata=float("nan"))
    result = run([path], tmp_path)
    assert result.stable_share == 0
    assert any("No pixel is stable" in warning for warning in result.warnings)

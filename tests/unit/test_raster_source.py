"""Reading rasters as intensity: bands, types, nodata of every kind, broken files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from raster_files import digests, edit, make_raster

from speckless.plugin.core.errors import InvalidInput, RasterError
from speckless.plugin.core.tiling import Window
from speckless.plugin.raster.source import RasterSource
from speckless.plugin.raster.validity import equals_nodata, zeros_of_fill

ROOT = Path(__file__).resolve().parents[2]
WHOLE = Window(0, 0, 6, 4)
NORTH_UP = (3, 1, 0, 9, 0, -1)
RAMP = np.arange(1, 25, dtype=np.float32).reshape(4, 6)


def read(path, band=1, window=WHOLE, domain="intensity", bands=None):
    with RasterSource(path, bands, domain) as source:
        return source.read(band, window)


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
def test_every_real_type_is_read(tmp_path, dtype):
    path = make_raster(tmp_path / "a.tif", RAMP.astype(dtype))
    intensity, valid = read(path)
    assert intensity.dtype == np.float32
    assert valid.dtype == bool and valid.all()
    np.testing.assert_array_equal(intensity, RAMP)
    np.testing.assert_allclose(read(path, domain="amplitude")[0], RAMP**2)


@pytest.mark.parametrize(
    "kind", [gdal.GDT_CInt16, gdal.GDT_CInt32, gdal.GDT_CFloat32, gdal.GDT_CFloat64]
)
def test_complex_becomes_squared_modulus(tmp_path, kind):
    values = (RAMP + 1j * (RAMP - 30)).astype(np.complex64)
    path = make_raster(tmp_path / "a.tif", values, data_type=kind)
    with RasterSource(path) as source:
        assert source.domain == "complex"
        assert source.dtype_names[0] in source.domain_reason
        intensity, valid = source.read(1, WHOLE)
    assert valid.all()
    np.testing.assert_allclose(intensity, np.abs(values) ** 2, rtol=1e-6)


def test_decibels_become_linear(tmp_path):
    path = make_raster(tmp_path / "a.tif", np.array([[-10, 0, -np.inf], [3, -25, np.nan]], "f4"))
    intensity, valid = read(path, window=Window(0, 0, 3, 2), domain="db")
    np.testing.assert_array_equal(valid, [[True, True, False], [True, True, False]])
    np.testing.assert_allclose(intensity[valid], 10 ** np.array([-1, 0, 0.3, -2.5]), rtol=1e-5)
    assert (intensity[~valid] == 0).all()


@pytest.mark.parametrize("path_nodata", [(-9999, -9999), (-3.4028234663852886e38, -3.4e38),
                                         (0.1, 0.1), (-99, -99)])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nodata_survives_rounding(tmp_path, dtype, path_nodata):
    stored, declared = path_nodata
    values = RAMP.astype(dtype)
    values[1, 2] = np.float32(stored)
    path = make_raster(tmp_path / "a.tif", values, nodata=declared)
    intensity, valid = read(path)
    expected = np.ones((4, 6), bool)
    expected[1, 2] = False
    np.testing.assert_array_equal(valid, expected)
    assert intensity[1, 2] == 0 and np.isfinite(intensity).all()


def test_nan_and_infinity_are_invalid_with_and_without_nan_nodata(tmp_path):
    values = RAMP.copy()
    values[0, :3] = np.nan, np.inf, -np.inf
    for nodata in (None, np.nan):
        _, valid = read(make_raster(tmp_path / "a.tif", values, nodata=nodata))
        np.testing.assert_array_equal(valid, np.isfinite(values))


def test_nodata_of_each_band_counts_for_that_band(tmp_path):
    path = make_raster(tmp_path / "a.bin", [RAMP, RAMP], driver="ENVI", geotransform=NORTH_UP)
    dataset = gdal.BuildVRT(str(tmp_path / "a.vrt"), path)
    dataset.GetRasterBand(1).SetNoDataValue(3)
    dataset.GetRasterBand(2).SetNoDataValue(7)
    dataset = None
    with RasterSource(str(tmp_path / "a.vrt"), domain="intensity") as source:
        assert [np.argwhere(~source.read(b, WHOLE)[1]).tolist() for b in (1, 2)] == [
            [[0, 2]],
            [[1, 0]],
        ]
        assert any("different nodata" in note for note in source.notes)
        assert source.nodata == 3


def test_integer_nodata_out_of_range_marks_nothing():
    values = np.array([0, 255], np.uint8)
    for nodata in (-9999, 0.5, np.inf):
        assert not equals_nodata(values, nodata).any()
    assert equals_nodata(values, 255.0).tolist() == [False, True]
    # Real part alone zero is a value; SLC has plenty of them.
    slc = np.array([0, 3j, -9999, -9999 - 9999j], np.complex64)
    assert equals_nodata(slc, 0).tolist() == [True, False, False, False]
    assert equals_nodata(slc, -9999).tolist() == [False, False, True, True]


@pytest.mark.parametrize("internal", ["YES", "NO"])
def test_dataset_mask_is_honoured(tmp_path, internal):
    path = make_raster(tmp_path / "a.tif", [RAMP, RAMP])
    with_internal = gdal.GetConfigOption("GDAL_TIFF_INTERNAL_MASK")
    gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", internal)
    try:
        dataset = edit(path)
        dataset.CreateMaskBand(gdal.GMF_PER_DATASET)
        mask = np.full((4, 6), 255, np.uint8)
        mask[2, 3] = 0
        dataset.GetRasterBand(1).GetMaskBand().WriteArray(mask)
        dataset = None
    finally:
        gdal.SetConfigOption("GDAL_TIFF_INTERNAL_MASK", with_internal)
    for band in (1, 2):
        np.testing.assert_array_equal(read(path, band)[1], mask > 0)


@pytest.mark.parametrize("nodata", [None, 24.0])
def test_alpha_is_no_band_to_despeckle_but_a_mask(tmp_path, nodata):
    alpha = np.full((4, 6), 255, np.float32)
    alpha[0, 0] = 0
    path = make_raster(tmp_path / "a.tif", [RAMP, alpha], nodata=nodata, options=["ALPHA=YES"])
    dataset = edit(path)
    dataset.GetRasterBand(2).SetColorInterpretation(gdal.GCI_AlphaBand)
    dataset = None
    with RasterSource(path, domain="intensity") as source:
        assert source.bands == (1,)
        assert any("band 2" in note for note in source.notes)
        _, valid = source.read(1, WHOLE)
    assert not valid[0, 0]
    assert valid[3, 5] == (nodata is None)  # GDAL's own mask lets nodata hide alpha
    assert valid.sum() == (23 if nodata is None else 22)


def test_nodata_values_of_all_bands_together(tmp_path):
    path = make_raster(tmp_path / "a.tif", [RAMP, RAMP[::-1]], metadata={"NODATA_VALUES": "1 19"})
    _, valid = read(path)
    assert not valid[0, 0] and valid.sum() == 23


def test_scale_and_offset_apply_and_are_noted(tmp_path):
    path = make_raster(tmp_path / "a.tif", np.array([[-1250, -32768]], "i2"), nodata=-32768)
    dataset = edit(path)
    dataset.GetRasterBand(1).SetScale(0.01)
    dataset.GetRasterBand(1).SetOffset(0.5)
    dataset = None
    with RasterSource(path) as source:
        assert source.domain == "db"
        assert any("0.01" in note for note in source.notes)
        intensity, valid = source.read(1, Window(0, 0, 2, 1))
    assert valid.tolist() == [[True, False]]
    assert intensity[0, 0] == pytest.approx(10**-1.2, rel=1e-5)


def test_zero_border_of_integer_rasters_is_fill_but_lone_zeros_are_dark(tmp_path):
    values = np.full((40, 40), 50, np.uint16)
    values[:, :7] = 0
    values[20, 30] = 0
    path = make_raster(tmp_path / "a.tif", values)
    with RasterSource(path) as source:
        assert source.zeros_are_fill and any("fill" in note for note in source.notes)
        whole = source.read(1, Window(0, 0, 40, 40))[1]
        # The rule looks at neighbours: windows must not change it.
        for x in (0, 5, 6, 7, 29, 30, 31):
            part = source.read(1, Window(x, 19, 2, 3))[1]
            np.testing.assert_array_equal(part, whole[19:22, x : x + 2])
    assert not whole[:, :7].any() and whole[:, 7:].all()
    # A declared nodata value, or floats: zeros are values.
    assert read(make_raster(tmp_path / "b.tif", values, nodata=65535))[1].all()
    assert read(make_raster(tmp_path / "c.tif", values.astype("f4")))[1].all()


def test_staircase_edges_of_fill_leave_no_zero_behind():
    rows, columns = np.mgrid[:60, :60]
    for slope in (0.1, 0.5, 1.0, 3.0):
        zeros = columns < 10 + slope * rows
        np.testing.assert_array_equal(zeros_of_fill(zeros), zeros)


def test_negative_linear_values_are_clipped_and_noted(tmp_path):
    values = np.full((4, 6), 0.2, np.float32)
    values[0, 0] = -0.003
    path = make_raster(tmp_path / "a.tif", values)
    with RasterSource(path) as source:
        assert source.domain == "intensity"
        assert any("negative" in note for note in source.notes)
        intensity, valid = source.read(1, WHOLE)
    assert valid.all() and intensity[0, 0] == 0


def test_bands_chosen_in_the_order_given(tmp_path):
    path = make_raster(
        tmp_path / "a.tif", [RAMP, RAMP * 2, RAMP * 3], descriptions=["a", "b", "layover mask"]
    )
    with RasterSource(path, domain="intensity") as source:
        assert source.bands == (1, 2)
    with RasterSource(path, [3, 1], "intensity") as source:
        assert source.bands == (3, 1)
        np.testing.assert_array_equal(source.read(3, WHOLE)[0], RAMP * 3)
        with pytest.raises(RasterError, match="not among the chosen"):
            source.read(2, WHOLE)


@pytest.mark.parametrize("bands", [[0], [4], [1, -1]])
def test_bands_out_of_range(tmp_path, bands):
    path = make_raster(tmp_path / "a.tif", [RAMP, RAMP, RAMP])
    with pytest.raises(RasterError, match="numbered 1 to 3"):
        RasterSource(path, bands)


@pytest.mark.parametrize(
    "window", [Window(-1, 0, 2, 2), Window(5, 0, 2, 2), Window(0, 4, 1, 1), Window(0, 0, 7, 1)]
)
def test_windows_outside_are_refused(tmp_path, window):
    path = make_raster(tmp_path / "a.tif", RAMP)
    with pytest.raises(RasterError, match="beyond the raster"):
        read(path, window=window)


def test_not_a_raster(tmp_path):
    text = tmp_path / "a.tif"
    text.write_text("no raster")
    with pytest.raises(RasterError, match="as a raster"):
        RasterSource(str(text))
    with pytest.raises(RasterError, match="no file"):
        RasterSource(str(tmp_path / "missing.tif"))
    with pytest.raises(RasterError, match="No raster is given"):
        RasterSource("")


def test_container_without_bands_names_what_is_inside(tmp_path):
    # Two rasters in one file: GDAL then offers them as subdatasets.
    path = tmp_path / "a.gpkg"
    for name in ("one", "two"):
        gdal.Translate(
            str(path),
            make_raster(tmp_path / "a.tif", RAMP.astype("u1"), geotransform=NORTH_UP),
            format="GPKG",
            creationOptions=[f"RASTER_TABLE={name}", "APPEND_SUBDATASET=YES"],
        )  # fmt: skip
    with pytest.raises(RasterError, match=r"container.*one"):
        RasterSource(str(path))


@pytest.mark.parametrize("exceptions", [False, True])
def test_damaged_file_is_an_error_whatever_the_mode_of_gdal(tmp_path, exceptions, capfd):
    noise = np.random.default_rng(0).random((300, 300), np.float32)
    path = make_raster(tmp_path / "a.tif", noise, options=["TILED=YES", "COMPRESS=DEFLATE"])
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])  # a broken download
    was = gdal.GetUseExceptions()
    (gdal.UseExceptions if exceptions else gdal.DontUseExceptions)()
    try:
        with pytest.raises(RasterError, match="damaged"), RasterSource(path, domain="db") as source:
            source.read(1, Window(0, 0, 300, 300))
        assert bool(gdal.GetUseExceptions()) == exceptions
    finally:
        (gdal.UseExceptions if was else gdal.DontUseExceptions)()
    assert capfd.readouterr().err == ""  # GDAL's words are in the error, not on the console


@pytest.mark.skipif(not hasattr(gdal, "ExceptionMgr"), reason="GDAL before 3.7 does not warn")
def test_gdal_does_not_warn_of_its_exceptions(tmp_path):
    # Only the first opening in a process makes it warn.
    path = make_raster(tmp_path / "a.tif", RAMP, geotransform=NORTH_UP)
    code = (
        f"import runpy; runpy.run_path({str(ROOT / 'tests' / 'conftest.py')!r})\n"
        "from speckless.plugin.raster.source import RasterSource\n"
        f"with RasterSource({path!r}) as source: print(source.width)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", code],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(RAMP.shape[1])]


def test_domain_that_does_not_fit(tmp_path):
    path = make_raster(tmp_path / "a.tif", RAMP, geotransform=NORTH_UP)
    slc = make_raster(tmp_path / "b.tif", RAMP.astype("c8"), geotransform=NORTH_UP)
    both = str(tmp_path / "c.vrt")
    gdal.BuildVRT(both, [path, slc], separate=True).FlushCache()
    with pytest.raises(RasterError, match="real"):
        RasterSource(path, domain="complex")
    with pytest.raises(RasterError, match="complex"):
        RasterSource(slc, domain="db")
    with pytest.raises(RasterError, match="one kind"):
        RasterSource(both)
    with pytest.raises(InvalidInput, match="Unknown domain"):
        RasterSource(path, domain="sigma0")


def test_reading_writes_nothing_and_closing_is_final(tmp_path):
    path = make_raster(tmp_path / "a.tif", RAMP)
    before = digests(tmp_path)
    with RasterSource(path) as source:
        source.read(1, WHOLE)
    assert digests(tmp_path) == before
    with pytest.raises(RasterError, match="closed"):
        source.read(1, WHOLE)


def test_memory_does_not_grow_with_what_was_read(tmp_path, monkeypatch):
    monkeypatch.setattr("speckless.plugin.raster.source._CACHE_BYTES", 512 * 512 * 4)
    path = str(tmp_path / "a.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(
        path, 512, 4096, 1, gdal.GDT_Float32, ["TILED=YES"]
    )
    dataset.GetRasterBand(1).Fill(1)
    dataset = None
    with RasterSource(path, domain="intensity") as source:
        start, most = gdal.GetCacheUsed(), 0
        for y in range(0, 4096, 128):
            for x in range(0, 512, 128):
                source.read(1, Window(x, y, 128, 128))
            most = max(most, gdal.GetCacheUsed() - start)
    assert most <= 3 * 512 * 512 * 4  # of 8
    assert gdal.GetCacheUsed() <= start


@pytest.mark.parametrize("options", [[], ["TILED=YES"], ["COMPRESS=DEFLATE"], ["ENDIANNESS=BIG"]])
def test_plain_files_are_read_past_the_cache(tmp_path, options) -> None:
    values = np.random.default_rng(0).gamma(1.0, 1.0, (300, 700)).astype(np.float32)
    path = str(tmp_path / "scene.tif")
    kept = gdal.GetDriverByName("GTiff").Create(path, 700, 300, 1, gdal.GDT_Float32, options)
    kept.GetRasterBand(1).WriteArray(values)
    kept = None
    before = gdal.GetCacheUsed()
    with RasterSource(path) as source:
        for window in (Window(0, 0, 700, 300), Window(13, 250, 600, 50), Window(699, 0, 1, 9)):
            found, _ = source.read(1, window)
            place = np.s_[window.y : window.bottom, window.x : window.right]
            np.testing.assert_array_equal(found, values[place])
        assert (gdal.GetCacheUsed() > before) == (options == ["COMPRESS=DEFLATE"])
    assert gdal.GetConfigOption("GTIFF_DIRECT_IO") is None


@pytest.mark.parametrize("nodata", [3.0, 0.1, -9999.0, 1e30, -3.4e38, np.nan, None])
def test_pixels_that_do_not_count_are_found_whatever_the_range(tmp_path, nodata) -> None:
    values = np.random.default_rng(0).uniform(0.2, 2.9, (40, 50)).astype(np.float32)
    for holes in (0, 1, 50):
        stored = values.copy()
        if nodata is not None:
            stored.flat[:holes] = nodata
        else:
            stored.flat[:holes] = np.inf
        path = make_raster(tmp_path / f"{holes}.tif", stored, nodata=nodata)
        with RasterSource(path) as source:
            found, valid = source.read(1, Window(0, 0, 50, 40))
        expected = np.arange(2000).reshape(40, 50) >= holes
        np.testing.assert_array_equal(valid, expected)
        np.testing.assert_array_equal(found, np.where(expected, values, 0))

"""What an output holds: values in each domain, nodata, place, metadata."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal
from raster_files import edit, make_raster

from speckless.plugin.core.errors import InvalidInput, RasterError
from speckless.plugin.core.tiling import Window, plan_tiles
from speckless.plugin.raster.source import RasterSource
from speckless.plugin.raster.writer import PLAIN, RasterWriter

RNG = np.random.default_rng(5)
SIGMA = (0.1 * RNG.gamma(4, 0.25, (70, 90))).astype(np.float32)
WHOLE = Window(0, 0, 90, 70)
PART = Window(10, 20, 40, 30)


def copy(path, out, window=WHOLE, *, bands=None, read_as="auto", domain=None, size=32, **keywords):
    """Read, and write as read, tile by tile."""
    with RasterSource(path, bands, read_as) as source:
        writer = RasterWriter(
            str(out), source, window, source.bands, domain=domain or source.domain, **keywords
        )
        with writer:
            for index, band in enumerate(source.bands):
                for tile in plan_tiles(WHOLE, window, size, 0):
                    values, valid = source.read(band, tile.core)
                    place = tile.core.shifted(-window.x, -window.y)
                    writer.write(index, place, values, valid)
            writer.commit()
    return gdal.OpenEx(str(out)), writer


@pytest.mark.parametrize("size", [7, 32, 512])
@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        (SIGMA, "intensity"),
        (SIGMA, "amplitude"),
        (10 * np.log10(SIGMA), "db"),
        (np.round(1000 * SIGMA).astype("u2") + 1, "amplitude"),
    ],
)
def test_each_domain_comes_back(tmp_path, values, read_as, size):
    dataset, _ = copy(make_raster(tmp_path / "a.tif", values), tmp_path / "b.tif",
                      read_as=read_as, size=size)  # fmt: skip
    band = dataset.GetRasterBand(1)
    assert gdal.GetDataTypeName(band.DataType) == "Float32"
    np.testing.assert_allclose(band.ReadAsArray(), values, rtol=2e-5)
    assert band.GetNoDataValue() is None  # none before, none needed


def test_complex_becomes_intensity(tmp_path):
    values = (np.sqrt(SIGMA) * np.exp(2j)).astype("c8")
    dataset, _ = copy(make_raster(tmp_path / "a.tif", values), tmp_path / "b.tif")
    np.testing.assert_allclose(dataset.ReadAsArray(), SIGMA, rtol=1e-5)


@pytest.mark.parametrize("domain", ["intensity", "amplitude", "db"])
def test_another_domain_can_be_chosen_and_is_recognised_later(tmp_path, domain):
    path = make_raster(tmp_path / "a.tif", 10 * np.log10(SIGMA), units="dB")
    dataset, _ = copy(path, tmp_path / "b.tif", domain=domain)
    expected = {"intensity": SIGMA, "amplitude": np.sqrt(SIGMA), "db": 10 * np.log10(SIGMA)}[domain]
    np.testing.assert_allclose(dataset.ReadAsArray(), expected, rtol=1e-4, atol=1e-4)
    assert dataset.GetRasterBand(1).GetUnitType() == ("dB" if domain == "db" else "")
    with RasterSource(str(tmp_path / "b.tif")) as source:
        assert source.domain == domain


@pytest.mark.parametrize("nodata", [-9999.0, -3.4028234663852886e38, -3.4e38, 0.0, np.nan])
@pytest.mark.parametrize("read_as", ["intensity", "db"])
def test_nodata_is_kept(tmp_path, nodata, read_as):
    values = SIGMA.copy()
    values[10:20, 30:50] = nodata
    path = make_raster(tmp_path / "a.tif", values, nodata=nodata)
    dataset, _ = copy(path, tmp_path / "b.tif", read_as=read_as)
    band = dataset.GetRasterBand(1)
    assert band.GetNoDataValue() == pytest.approx(nodata, rel=1e-6, nan_ok=True)
    hole = np.zeros(values.shape, bool)
    hole[10:20, 30:50] = True
    np.testing.assert_array_equal(band.GetMaskBand().ReadAsArray() == 0, hole)
    np.testing.assert_allclose(band.ReadAsArray()[~hole], values[~hole], rtol=1e-4)


def test_without_declared_nodata_invalid_pixels_become_nan(tmp_path):
    values = SIGMA.copy()
    values[0, 0] = np.inf
    dataset, writer = copy(make_raster(tmp_path / "a.tif", values), tmp_path / "b.tif")
    band = dataset.GetRasterBand(1)
    assert np.isnan(band.GetNoDataValue()) and np.isnan(writer.nodata)
    assert np.argwhere(np.isnan(band.ReadAsArray())).tolist() == [[0, 0]]


@pytest.mark.parametrize(("domain", "nodata"), [("amplitude", 0), ("intensity", 0), ("db", np.nan)])
def test_zero_border_of_integers(tmp_path, domain, nodata):
    values = np.full((70, 90), 50, np.uint16)
    values[:, :9] = 0
    dataset, _ = copy(make_raster(tmp_path / "a.tif", values), tmp_path / "b.tif", domain=domain)
    band = dataset.GetRasterBand(1)
    np.testing.assert_equal(band.GetNoDataValue(), nodata)
    np.testing.assert_array_equal(band.GetMaskBand().ReadAsArray() == 0, values == 0)
    if domain == "amplitude":
        np.testing.assert_allclose(band.ReadAsArray(), values)


def test_integer_nodata_is_kept_as_value(tmp_path):
    values = np.full((70, 90), 50, np.uint8)
    values[3, 4] = 255
    path = make_raster(tmp_path / "a.tif", values, nodata=255)
    dataset, _ = copy(path, tmp_path / "b.tif")
    assert dataset.GetRasterBand(1).GetNoDataValue() == 255
    np.testing.assert_allclose(dataset.ReadAsArray(), values)


def test_nodata_no_float32_holds_becomes_nan(tmp_path):
    values = SIGMA.astype("f8")
    values[0] = -1.7976931348623157e308
    path = make_raster(tmp_path / "a.tif", values, nodata=-1.7976931348623157e308)
    dataset, _ = copy(path, tmp_path / "b.tif")
    assert np.isnan(dataset.GetRasterBand(1).GetNoDataValue())
    assert np.isnan(dataset.ReadAsArray()[0]).all()


def test_a_valid_pixel_never_holds_the_nodata_value(tmp_path):
    path = make_raster(tmp_path / "a.tif", np.full((70, 90), 5, "u1"), nodata=7)
    for domain, values in (("intensity", 7.0), ("amplitude", 49.0)):
        with RasterSource(path) as source:
            out = tmp_path / f"{domain}.tif"
            with RasterWriter(str(out), source, WHOLE, [1], domain=domain) as writer:
                writer.write(0, WHOLE, np.full((70, 90), values, "f4"), np.ones((70, 90), bool))
                writer.commit()
        dataset = gdal.Open(str(out))
        assert dataset.GetRasterBand(1).GetMaskBand().ReadAsArray().all()
        np.testing.assert_allclose(dataset.ReadAsArray(), 7, rtol=2e-6)


def test_plain_values_are_written_as_they_are(tmp_path):
    path = make_raster(tmp_path / "a.tif", 10 * np.log10(SIGMA), nodata=-99, units="dB")
    values = np.linspace(-2, 3, 6300, dtype=np.float32).reshape(70, 90)
    values[0, 0] = np.nan
    with RasterSource(path) as source:
        out = str(tmp_path / "b.tif")
        with RasterWriter(out, source, WHOLE, [1], domain=PLAIN, description=" a") as writer:
            writer.write(0, WHOLE, values, np.ones((70, 90), bool))
            writer.commit()
    band = (dataset := gdal.Open(out)).GetRasterBand(1)
    np.testing.assert_array_equal(dataset.ReadAsArray(), values)
    assert np.isnan(band.GetNoDataValue())
    assert (band.GetUnitType(), band.GetDescription()) == ("", "Band 1 a")


@pytest.mark.parametrize("geotransform", [(500000, 10, 0, 4.8e6, 0, -10), (3, 2, 0.5, 9, -0.4, -2)])
@pytest.mark.parametrize("registration", ["Area", "Point"])
def test_place_of_a_window(tmp_path, geotransform, registration):
    path = make_raster(
        tmp_path / "a.tif", SIGMA, geotransform=geotransform, epsg=32631,
        metadata={"AREA_OR_POINT": registration},
    )  # fmt: skip
    dataset, _ = copy(path, tmp_path / "b.tif", PART)
    assert (dataset.RasterXSize, dataset.RasterYSize) == (40, 30)
    for pixel, line in ((0, 0), (40, 30), (7, 3)):
        expected = gdal.ApplyGeoTransform(geotransform, pixel + PART.x, line + PART.y)
        found = gdal.ApplyGeoTransform(dataset.GetGeoTransform(), pixel, line)
        assert found == pytest.approx(expected)
    assert dataset.GetSpatialRef().GetAuthorityCode(None) == "32631"
    assert dataset.GetMetadataItem("AREA_OR_POINT") == registration
    np.testing.assert_array_equal(dataset.ReadAsArray(), SIGMA[20:50, 10:50])


def test_ground_control_points_move_with_the_window(tmp_path):
    path = make_raster(tmp_path / "a.tif", SIGMA)
    reference = gdal.osr.SpatialReference()
    reference.ImportFromEPSG(4326)
    points = [
        gdal.GCP(4 + 0.1 * i, 43 + 0.2 * i, i, 9.5 * i, 7.25 * i, "", str(i)) for i in range(9)
    ]
    dataset = edit(path)
    dataset.SetGCPs(points, reference.ExportToWkt())
    dataset = None
    dataset, _ = copy(path, tmp_path / "b.tif", PART)
    assert dataset.GetGeoTransform(can_return_null=True) is None
    assert dataset.GetGCPSpatialRef().GetAuthorityCode(None) == "4326"
    for old, new in zip(points, dataset.GetGCPs()):
        assert pytest.approx((old.GCPX, old.GCPY, old.GCPZ)) == (new.GCPX, new.GCPY, new.GCPZ)
        assert (new.GCPPixel, new.GCPLine) == (old.GCPPixel - 10, old.GCPLine - 20)


def rpc():
    terms = " ".join(str(i / 100) for i in range(20))
    one = "1 " + " ".join(["0"] * 19)
    return {
        "LINE_OFF": "35.5", "SAMP_OFF": "44.25", "LAT_OFF": "43.5", "LONG_OFF": "4.5",
        "HEIGHT_OFF": "10", "LINE_SCALE": "35", "SAMP_SCALE": "45", "LAT_SCALE": "0.1",
        "LONG_SCALE": "0.1", "HEIGHT_SCALE": "500", "LINE_NUM_COEFF": terms,
        "LINE_DEN_COEFF": one, "SAMP_NUM_COEFF": terms, "SAMP_DEN_COEFF": one,
    }  # fmt: skip


def test_rational_polynomials_move_with_the_window(tmp_path):
    path = make_raster(tmp_path / "a.tif", SIGMA)
    dataset = edit(path)
    dataset.SetMetadata(rpc(), "RPC")
    dataset = None
    dataset, _ = copy(path, tmp_path / "b.tif", PART)
    found = dataset.GetMetadata("RPC")
    assert (float(found["LINE_OFF"]), float(found["SAMP_OFF"])) == (15.5, 34.25)
    assert float(found["LINE_SCALE"]) == 35
    assert found["LINE_NUM_COEFF"].split()[3] == "0.03"


def test_metadata_stays_but_what_is_stale(tmp_path):
    path = make_raster(
        tmp_path / "a.tif", [SIGMA, SIGMA * 2, SIGMA * 3],
        descriptions=["VV", "VH", "HH"], units="m2/m2",
        metadata={"ORBIT": "59", "TIFFTAG_SOFTWARE": "IPF", "SPECKLESS_LOOKS": "9"},
    )  # fmt: skip
    dataset = edit(path)
    dataset.SetMetadata({"SENSOR": "S1A"}, "MISSION")
    dataset.SetMetadata(["<x><y>1</y></x>"], "xml:PRODUCT")
    band = dataset.GetRasterBand(3)
    band.SetMetadataItem("POLARISATION", "HH")
    band.ComputeStatistics(False)
    dataset.BuildOverviews("AVERAGE", [2])
    dataset = band = None
    dataset, writer = copy(
        path, tmp_path / "b.tif", bands=[3, 1], read_as="intensity",
        tags={"SPECKLESS_MODEL": "x", "TIFFTAG_SOFTWARE": "Speckless"},
    )  # fmt: skip
    assert writer.warnings == []
    assert dataset.GetMetadataItem("ORBIT") == "59"
    assert dataset.GetMetadataItem("TIFFTAG_SOFTWARE") == "Speckless"
    assert dataset.GetMetadataItem("SPECKLESS_MODEL") == "x"
    assert dataset.GetMetadataItem("SPECKLESS_LOOKS") is None
    assert dataset.GetMetadata("MISSION") == {"SENSOR": "S1A"}
    assert "<y>1</y>" in dataset.GetMetadata_List("xml:PRODUCT")[0]
    first, second = dataset.GetRasterBand(1), dataset.GetRasterBand(2)
    assert (first.GetDescription(), second.GetDescription()) == ("HH", "VV")
    assert first.GetUnitType() == "m2/m2"
    assert first.GetMetadata()["POLARISATION"] == "HH"
    assert not any("STATISTICS" in key for key in first.GetMetadata())
    assert first.GetOverviewCount() == 0
    np.testing.assert_array_equal(first.ReadAsArray(), SIGMA * 3)
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["a.tif", "b.tif"]


def test_descriptions_by_suffix_or_function(tmp_path):
    path = make_raster(tmp_path / "a.tif", SIGMA, descriptions=["VV"])
    dataset, _ = copy(path, tmp_path / "b.tif", description=" ratio")
    assert dataset.GetRasterBand(1).GetDescription() == "VV ratio"
    dataset, _ = copy(path, tmp_path / "c.tif", description=lambda n, name: f"{n}:{name}")
    assert dataset.GetRasterBand(1).GetDescription() == "1:VV"


def test_scale_of_the_input_is_not_copied(tmp_path):
    path = make_raster(tmp_path / "a.tif", np.full((70, 90), 20, "u1"), nodata=0)
    dataset = edit(path)
    dataset.GetRasterBand(1).SetScale(0.5)
    dataset = None
    dataset, _ = copy(path, tmp_path / "b.tif", read_as="amplitude")
    assert dataset.GetRasterBand(1).GetScale() in (None, 1)
    np.testing.assert_allclose(dataset.ReadAsArray(), 10)


def test_pixels_nobody_writes_are_nodata(tmp_path):
    path = make_raster(tmp_path / "a.tif", SIGMA)
    with RasterSource(path) as source:
        out = str(tmp_path / "b.tif")
        with RasterWriter(out, source, WHOLE, [1], domain="intensity") as writer:
            ones = np.ones((5, 5), np.float32)
            for x, y in ((50, 60), (0, 0), (0, 0)):  # in any order, and twice
                writer.write(0, Window(x, y, 5, 5), ones, ones > 0)
            writer.commit()
    values = gdal.Open(out).ReadAsArray()
    assert np.nansum(values) == 50 and np.isnan(values).sum() == 70 * 90 - 50


def test_strips_that_wait_too_long_are_written_and_completed_later(tmp_path, monkeypatch):
    monkeypatch.setattr("speckless.plugin.raster.writer._MAX_WAITING", 0)
    path = make_raster(tmp_path / "a.tif", SIGMA)
    dataset, _ = copy(path, tmp_path / "b.tif")
    np.testing.assert_array_equal(dataset.ReadAsArray(), SIGMA)
    assert dataset.GetRasterBand(1).GetNoDataValue() is None


def test_wrong_calls_are_refused(tmp_path):
    path = make_raster(tmp_path / "a.tif", SIGMA)
    ones = np.ones((5, 5), np.float32)
    with RasterSource(path) as source:
        out = str(tmp_path / "b.tif")
        with pytest.raises(InvalidInput, match="domain"):
            RasterWriter(out, source, WHOLE, [1], domain="sigma0")
        with pytest.raises(InvalidInput, match="Int16"):
            RasterWriter(out, source, WHOLE, [1], domain="db", dtype="Int16")
        with RasterWriter(out, source, WHOLE, [1], domain="db") as writer:
            with pytest.raises(RasterError, match="beyond the output"):
                writer.write(0, Window(88, 0, 5, 5), ones, ones > 0)
            writer.commit()
            with pytest.raises(RasterError, match="finished"):
                writer.write(0, Window(0, 0, 5, 5), ones, ones > 0)
            with pytest.raises(RasterError, match="finished"):
                writer.commit()

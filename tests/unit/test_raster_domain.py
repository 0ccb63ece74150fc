"""Telling the domain of a band."""

from __future__ import annotations

import numpy as np
import pytest
from raster_files import make_raster

from speckless.plugin.core.errors import RasterError
from speckless.plugin.raster.source import RasterSource

RNG = np.random.default_rng(3)
SIGMA = (0.1 * RNG.gamma(4, 0.25, (64, 64))).astype(np.float32)
DB = 10 * np.log10(SIGMA)


def resolved(tmp_path, values, name="scene.tif", **keywords):
    with RasterSource(make_raster(tmp_path / name, values, **keywords)) as source:
        assert source.domain_reason
        return source.domain, source.domain_reason, " ".join(source.notes)


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        (SIGMA, "intensity"),
        (SIGMA.astype("f8"), "intensity"),
        (DB, "db"),
        (DB + 11, "db"),  # half of it positive
        ((1000 * np.sqrt(SIGMA)).astype("u2"), "amplitude"),
        ((100 * np.sqrt(SIGMA)).astype("u1"), "amplitude"),
        ((1000 * np.sqrt(SIGMA)).astype("i2"), "amplitude"),
        (DB.astype("i2"), "db"),
        (SIGMA.astype("c8"), "complex"),
    ],
)
def test_from_the_values_alone(tmp_path, values, domain):
    assert resolved(tmp_path, values)[0] == domain


def test_noise_subtracted_linear_values_are_not_decibels(tmp_path):
    noisy = SIGMA - 0.08  # a third negative
    domain, _, notes = resolved(tmp_path, noisy)
    assert (domain, "negative" in notes) == ("intensity", True)
    # Uncalibrated ones too, whose negative values are large.
    assert resolved(tmp_path, noisy * 1e6)[0] == "intensity"


@pytest.mark.parametrize(
    ("keywords", "domain", "reason"),
    [
        ({"units": "dB"}, "db", "unit"),
        ({"descriptions": ["Sigma0_VV_db"]}, "db", "band description"),
        ({"descriptions": ["VV dB"]}, "db", "band description"),
        ({"metadata": {"DATA_UNITS": "decibel"}}, "db", "DATA_UNITS"),
        ({"name": "S1_VV_db.tif"}, "db", "file name"),
        ({"descriptions": ["Amplitude_VH"]}, "amplitude", "band description"),
        ({"metadata": {"band_name": "amplitude"}}, "amplitude", "band_name"),
        ({"descriptions": ["Sigma0_VV"]}, "intensity", "Sigma0_VV"),
        ({"metadata": {"noise_units": "dB"}}, "intensity", "no label"),
        ({"metadata": {"COMMENT": "see Adb, handbook"}}, "intensity", "no label"),
    ],
)
def test_from_labels_where_values_do_not_tell(tmp_path, keywords, domain, reason):
    # All positive: decibels of digital numbers, amplitudes, or bright intensities.
    found = resolved(tmp_path, SIGMA * 100 + 5, **keywords)
    assert found[0] == domain
    assert reason in found[1]


def test_labels_do_not_stand_against_values(tmp_path):
    assert resolved(tmp_path, SIGMA, units="dB")[0] == "intensity"
    assert resolved(tmp_path, SIGMA * 1e5, units="dB")[0] == "intensity"
    assert resolved(tmp_path, DB, descriptions=["Intensity_VV"])[0] == "db"


def test_nodata_takes_no_part(tmp_path):
    values = SIGMA.copy()
    values[:40] = -9999
    assert resolved(tmp_path, values, nodata=-9999)[0] == "intensity"
    assert resolved(tmp_path, np.full((8, 8), np.nan, "f4"))[0] == "intensity"


def test_decibels_times_hundred_are_asked_about(tmp_path):
    path = make_raster(tmp_path / "a.tif", (100 * DB).astype("i2"))
    with pytest.raises(RasterError, match="scale"):
        RasterSource(path)
    with RasterSource(path, domain="db") as source:
        assert source.domain_reason == "as given"


def test_a_band_of_another_kind_is_pointed_out(tmp_path):
    angle = np.full((64, 64), 38, np.float32)
    domain, _, notes = resolved(tmp_path, [DB, DB, angle])
    assert domain == "db"
    assert "Band 3 looks like intensity" in notes
    assert "Band 2" not in notes


def test_many_zeros_among_floats_are_pointed_out(tmp_path):
    values = SIGMA.copy()
    values[:, :10] = 0
    assert "declare 0 as nodata" in resolved(tmp_path, values)[2]
    assert "declare" not in resolved(tmp_path, SIGMA)[2]

"""Outputs appear complete or not at all, in the format asked for, and never over an input."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from raster_files import digests, make_raster

from speckless.plugin.core.errors import Cancelled, RasterError
from speckless.plugin.core.tiling import Window, plan_tiles
from speckless.plugin.raster.creation import choose_format, parse_options
from speckless.plugin.raster.source import RasterSource
from speckless.plugin.raster.strips import StripBuffer
from speckless.plugin.raster.writer import RasterWriter, check_output

SIZE = 300
WHOLE = Window(0, 0, SIZE, SIZE)
NOISE = np.random.default_rng(2).gamma(4, 0.25, (SIZE, SIZE)).astype(np.float32)
NORTH_UP = (500000, 10, 0, 4800000, 0, -10)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def path(tmp_path):
    return make_raster(tmp_path / "in.tif", NOISE, geotransform=NORTH_UP, epsg=32631)


def fill(writer, count=1, values=NOISE):
    for index in range(count):
        for tile in plan_tiles(WHOLE, None, 100, 0):
            core = tile.core
            part = values[core.y : core.bottom, core.x : core.right]
            writer.write(index, core, part, np.ones(part.shape, bool))


def write(path, out, bands=(1,), **keywords):
    keywords = {"domain": "intensity", **keywords}
    with (
        RasterSource(path) as source,
        RasterWriter(str(out), source, WHOLE, bands, **keywords) as writer,
    ):
        fill(writer, len(bands))
        writer.commit()
    return gdal.Open(str(out)), writer


def test_default_is_tiled_compressed_geotiff(path, folder):
    dataset, writer = write(path, folder / "b.tif")
    assert dataset.GetDriver().ShortName == "GTiff"
    structure = dataset.GetMetadata("IMAGE_STRUCTURE")
    assert (structure["COMPRESSION"], structure.get("PREDICTOR")) == ("DEFLATE", "3")
    assert dataset.GetRasterBand(1).GetBlockSize() == [256, 256]
    assert os.listdir(folder) == ["b.tif"] and writer.warnings == []
    np.testing.assert_array_equal(dataset.ReadAsArray(), NOISE)


@pytest.mark.parametrize("options", ["COMPRESS=LZW|TILED=NO", ["COMPRESS=LZW", "TILED=NO"]])
def test_options_of_the_user_win(path, folder, options):
    dataset, _ = write(path, folder / "b.tif", creation_options=options)
    assert dataset.GetMetadataItem("COMPRESSION", "IMAGE_STRUCTURE") == "LZW"
    assert dataset.GetRasterBand(1).GetBlockSize()[0] == SIZE
    np.testing.assert_array_equal(dataset.ReadAsArray(), NOISE)


def test_bad_options(path, folder):
    with pytest.raises(RasterError, match="NAME=VALUE"):
        parse_options("COMPRESS")
    for options in ("BLOCKXSIZE=17", "DRIVER=NoSuch"):
        with pytest.raises(RasterError):
            write(path, folder / "b.tif", creation_options=options)
    for options in ("NO_SUCH_OPTION=1", "COMPRESS=NO_SUCH_CODEC"):  # GDAL goes on without
        _, writer = write(path, folder / "b.tif", creation_options=options)
        assert any("NO_SUCH" in warning for warning in writer.warnings)
    assert os.listdir(folder) == ["b.tif"]


def test_predictor_only_where_the_codec_has_one():
    assert "PREDICTOR=3" in choose_format("a.tif", "COMPRESS=LZW", 1).options
    assert not any("PREDICTOR" in o for o in choose_format("a.tif", "COMPRESS=PACKBITS", 1).options)
    assert choose_format("a.tif", "PREDICTOR=1", 1).options.count("PREDICTOR=1") == 1
    assert "INTERLEAVE=BAND" in choose_format("a.tif", (), 2).options


@pytest.mark.parametrize("options", ["COG", "DRIVER=COG|BLOCKSIZE=128", ["COG=YES"]])
def test_cloud_optimised_geotiff(path, folder, options):
    dataset, _ = write(path, folder / "b.tif", creation_options=options, tags={"A": "1"})
    assert dataset.GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE") == "COG"
    assert dataset.GetGeoTransform() == NORTH_UP
    assert dataset.GetMetadataItem("A") == "1"
    assert os.listdir(folder) == ["b.tif"]
    np.testing.assert_array_equal(dataset.ReadAsArray(), NOISE)


@pytest.mark.parametrize("name", ["b.img", "b.bil", "b.tif"])
def test_several_bands_in_other_layouts(tmp_path, folder, name):
    path = make_raster(tmp_path / "two.tif", [NOISE, NOISE], geotransform=NORTH_UP)
    options = "INTERLEAVE=PIXEL" if name == "b.tif" else ""
    dataset, _ = write(path, folder / name, (1, 2), creation_options=options)
    assert dataset.GetGeoTransform() == NORTH_UP
    for band in (1, 2):
        np.testing.assert_array_equal(dataset.GetRasterBand(band).ReadAsArray(), NOISE)
    assert all(entry.split(".")[0] == "b" for entry in os.listdir(folder))
    if name == "b.tif":
        assert dataset.GetMetadataItem("INTERLEAVE", "IMAGE_STRUCTURE") == "PIXEL"


@pytest.mark.parametrize("name", ["b.vrt", "b.png", "b.nosuch", "b"])
def test_extensions_nothing_can_be_written_under(path, folder, name):
    with pytest.raises(RasterError, match=r"\.tif"):
        write(path, folder / name)
    with pytest.raises(RasterError, match=r"\.tif"):
        check_output(str(folder / name), [path])
    assert os.listdir(folder) == []


def test_blocks_are_compressed_once_whatever_the_tiles(path, folder):
    sizes = []
    for step in (300, 100, 37):
        with RasterSource(path) as source:
            out = str(folder / f"{step}.tif")
            with RasterWriter(out, source, WHOLE, [1], domain="intensity") as writer:
                for tile in plan_tiles(WHOLE, None, step, 0):
                    core = tile.core
                    part = NOISE[core.y : core.bottom, core.x : core.right]
                    writer.write(0, core, part, np.ones(part.shape, bool))
                writer.commit()
        sizes.append(os.path.getsize(out))
    assert len(set(sizes)) == 1


def test_strips_come_complete_and_in_order():
    buffer = StripBuffer(10, 300, 1, np.nan, np.float32)
    assert buffer.rows == 128
    got = []
    for tile in plan_tiles(Window(0, 0, 10, 300), None, 100, 0):
        got += buffer.add(tile.core, np.zeros((tile.core.height, tile.core.width)))
    assert [(window.y, len(values)) for window, values in got] == [(0, 128), (128, 128), (256, 44)]
    assert buffer.nbytes == 0 and list(buffer.rest()) == []


def test_nothing_appears_before_commit_and_the_old_file_stays(path, folder):
    out = folder / "b.tif"
    out.write_text("precious")
    (folder / "b.tif.aux.xml").write_text("stale statistics")
    (folder / "b.tif.ovr").write_text("stale overviews")
    (folder / "b.qml").write_text("style")
    with (
        RasterSource(path) as source,
        RasterWriter(str(out), source, WHOLE, [1], domain="intensity") as writer,
    ):
        fill(writer)
        assert out.read_text() == "precious"
        writer.commit()
    assert sorted(os.listdir(folder)) == ["b.qml", "b.tif"]
    np.testing.assert_array_equal(gdal.Open(str(out)).ReadAsArray(), NOISE)


@pytest.mark.parametrize("options", ["", "COG"])
def test_any_other_end_leaves_the_folder_as_it_was(path, folder, options):
    (folder / "b.tif").write_text("precious")
    (folder / "b.tif.aux.xml").write_text("its statistics")
    before, inputs = digests(folder), digests(Path(path).parent)
    with RasterSource(path) as source:

        def new_writer():
            return RasterWriter(
                str(folder / "b.tif"), source, WHOLE, [1],
                domain="intensity", creation_options=options,
            )  # fmt: skip

        with pytest.raises(ZeroDivisionError), new_writer() as writer:
            fill(writer)
            raise ZeroDivisionError
        with new_writer() as writer:
            fill(writer)
            writer.abort()
            writer.abort()
        with pytest.raises(Cancelled), new_writer() as writer:
            writer.commit(is_cancelled=lambda: True)
    assert digests(folder) == before
    assert digests(Path(path).parent) == inputs


def test_output_equal_to_input_however_spelled(path, folder, monkeypatch):
    link, hard, virtual = folder / "link.tif", folder / "hard.tif", str(folder / "v.vrt")
    link.symlink_to(path)
    os.link(path, hard)
    gdal.BuildVRT(virtual, path).FlushCache()
    monkeypatch.chdir(folder)
    for output in (path, str(link), str(hard), "../in.tif", f"{folder}/../out/../in.tif"):
        with pytest.raises(RasterError, match="the input itself"):
            check_output(output, [path])
        with pytest.raises(RasterError, match="file it reads"):
            check_output(output, [virtual])
        with pytest.raises(RasterError, match="input itself"), RasterSource(path) as source:
            RasterWriter(output, source, WHOLE, [1], domain="intensity")
    check_output("new.tif", [path, virtual])
    with pytest.raises(RasterError, match="input itself"):
        check_output("new.tif", [str(folder / "new.tif")])  # two outputs of one run
    np.testing.assert_array_equal(gdal.Open(path).ReadAsArray(), NOISE)


def test_places_that_cannot_be_written(path, folder, tmp_path):
    for output, words in (
        (str(tmp_path / "none" / "b.tif"), "no folder"),
        ("", "No output"),
        ("/proc/b.tif", "cannot be written"),  # read-only for root too
    ):
        if output.startswith("/proc") and not os.path.isdir("/proc/self"):
            continue
        with pytest.raises(RasterError, match=words):
            check_output(output, [path])
    (folder / "sub.tif").mkdir()
    with pytest.raises(RasterError, match="is a folder"):
        check_output(str(folder / "sub.tif"), [path])
    assert os.listdir(folder) == ["sub.tif"]


def test_folder_without_write_permission(path, folder):
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.raises(RasterError, match="cannot be written"):
            write(path, folder / "b.tif")
    finally:
        folder.chmod(0o755)


def test_a_link_as_output_is_followed(path, folder, tmp_path):
    (folder / "link.tif").symlink_to(tmp_path / "real.tif")
    write(path, folder / "link.tif")
    assert (folder / "link.tif").is_symlink()
    np.testing.assert_array_equal(gdal.Open(str(tmp_path / "real.tif")).ReadAsArray(), NOISE)


FULL_DISK = """
    import importlib.util, resource, signal, sys
    sys.path.insert(0, {tests!r})
    import conftest
    import numpy as np
    from osgeo import gdal
    from speckless.plugin.core.errors import RasterError
    from speckless.plugin.core.tiling import Window, plan_tiles
    from speckless.plugin.raster.source import RasterSource
    from speckless.plugin.raster.writer import RasterWriter
    if {exceptions}:
        gdal.UseExceptions()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    whole = Window(0, 0, 300, 300)
    with RasterSource({path!r}) as source:
        values, valid = source.read(1, whole)
        for limit in {limits}:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                with RasterWriter({out!r}, source, whole, [1], domain="intensity",
                                  creation_options={options!r}) as writer:
                    writer.write(0, whole, values, valid)
                    writer.commit()
                print(limit, "written")
            except RasterError as error:
                print(limit, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
@pytest.mark.parametrize("exceptions", [False, True])
@pytest.mark.parametrize("options", ["", "COMPRESS=NONE", "COG"])
def test_full_disk_is_an_error_and_leaves_nothing(path, folder, tmp_path, options, exceptions):
    write(path, tmp_path / "whole.tif", creation_options=options)
    size = os.path.getsize(tmp_path / "whole.tif")
    limits = [0, 100, size // 2, size - 5000, size - 1]
    script = tmp_path / "full.py"
    script.write_text(
        textwrap.dedent(FULL_DISK).format(
            tests=str(Path(__file__).parents[1]), path=path, out=str(folder / "b.tif"),
            options=options, exceptions=exceptions, limits=limits,
        )
    )  # fmt: skip
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(limits)
    assert all("Cannot" in line or "incomplete" in line for line in lines), done.stdout
    assert os.listdir(folder) == []

"""The preview shows the pixels of the full run, keeps its tiles, and stops when superseded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import save_network

from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.tiling import Window
from speckless.plugin.engine.shared import close_shared_engine, shared_engine
from speckless.plugin.jobs.despeckling import DespeckleJob
from speckless.plugin.jobs.preview import PreviewMaker, PreviewRequest
from speckless.plugin.jobs.preview_image import Preview
from speckless.plugin.jobs.scene_cache import SceneCache

gdal = pytest.importorskip("osgeo.gdal")

HEIGHT, WIDTH = 300, 560
ARGUMENTS: dict[str, dict[str, Any]] = {
    "boxcar": {"radius": 1},
    "dopamine": {"layers": 4, "channels": 8, "blocks": 1, "inputs": "log", "head": "moments"},
    "ffdnet": {"layers": 3, "channels": 8},
}
LEVELS = {"looks": [1.0, 4.0], "turns": [0.25, 1.0], "factors": [[0.5, 1.0], [0.9, 1.0]]}


@pytest.fixture(scope="module", autouse=True)
def engine_is_closed() -> Any:
    yield
    close_shared_engine()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights files by architecture."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for name, arguments in ARGUMENTS.items():
        more = {"knob_level": LEVELS} if name == "ffdnet" else {}
        path = save_network(folder / f"{name}.safetensors", arguments, name, "none", **more)
        paths[name] = str(path)
    return paths


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A single-look scene with a hole of nodata."""
    rng = np.random.default_rng(0)
    z = np.linspace(1, 50, WIDTH) * rng.gamma(1.0, 1.0, (HEIGHT, WIDTH))
    z[40:60, 100:140] = -9999
    path = str(tmp_path_factory.mktemp("scene") / "scene.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, WIDTH, HEIGHT, 1, gdal.GDT_Float32)
    dataset.SetGeoTransform((500000.0, 10.0, 0.0, 4800000.0, 0.0, -10.0))
    dataset.GetRasterBand(1).SetNoDataValue(-9999)
    dataset.GetRasterBand(1).WriteArray(z.astype(np.float32))
    dataset = None
    return path


@pytest.fixture
def make(scene: str, weights: dict[str, str]) -> Callable[..., Preview]:
    maker = PreviewMaker(SceneCache())

    def make(
        name: str = "boxcar",
        report: Any = lambda *_: None,
        stop: Any = lambda: False,
        **options: Any,
    ) -> Preview:
        options = {"window": Window(0, 0, WIDTH, HEIGHT), "looks": 1.0, "device": "cpu", **options}
        request = PreviewRequest(scene, 1, model_file=weights[name], precision="fp32", **options)
        return maker.make(request, report, stop)

    return make


def full_run(scene: str, output: Path, model: str, knob: float | None = None) -> np.ndarray:
    job = DespeckleJob(
        scene, str(output), model_file=model, looks=1.0, knob=knob, device="cpu", precision="fp32"
    )
    job.run(lambda *_: None, lambda: False)
    values = gdal.Open(str(output)).ReadAsArray()
    values[values == -9999] = np.nan
    return values


@pytest.mark.parametrize(
    ("name", "knob"), [("dopamine", 0.3), ("ffdnet", 2.5), ("ffdnet", 0.4), ("ffdnet", None)]
)
def test_preview_has_the_pixels_of_the_full_run(
    make: Any, scene: str, weights: dict[str, str], tmp_path: Path, name: str, knob: float | None
) -> None:
    preview = make(name, window=Window(270, 10, 200, 150), knob=knob)
    assert preview.window == Window(256, 0, 256, 256)
    whole = full_run(scene, tmp_path / "out.tif", weights[name], knob)
    turned = preview.turned(knob or 1.0)
    np.testing.assert_allclose(turned, whole[:256, 256:512], rtol=2e-5)


def test_nodata_stays_empty(make: Any) -> None:
    preview = make()
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[40:60, 100:140] = True
    for values in (preview.intensity, preview.estimate, preview.view("ratio", 1.0)):
        assert (np.isnan(values) == hole).all()


def test_tiles_come_in_from_the_middle_and_are_told(make: Any) -> None:
    parts, filled = [], []

    def report(preview: Preview, part: float) -> None:
        parts.append(part)
        filled.append(np.isfinite(preview.estimate).mean())

    preview = make(report=report, window=Window(280, 20, 100, 100))
    assert parts == [0.0, 1.0]
    make(report=report)
    assert preview.window.width == 256
    assert parts[2] == pytest.approx(1 / 6)  # the tile of before is known already
    assert parts[2:] == sorted(parts[2:])
    assert parts[-1] == 1.0
    assert filled[2:] == sorted(filled[2:])


def test_known_tiles_need_no_engine(make: Any) -> None:
    assert make("dopamine").device == "cpu"
    again = make("dopamine")
    assert again.device == ""
    assert np.isfinite(again.estimate).mean() > 0.99


def test_affine_models_need_no_new_run_for_another_knob(make: Any) -> None:
    assert make("dopamine", knob=1.0).device == "cpu"
    assert make("dopamine", knob=0.2).device == ""
    assert make("ffdnet", knob=1.0).device == "cpu"
    assert make("ffdnet", knob=0.2).device == "cpu"
    assert make("ffdnet", knob=0.2).device == ""
    # The level it keeps is that of the looks.
    assert make("ffdnet", knob=0.2, looks=4.0).device == "cpu"


def test_network_told_looks_turns_at_once_when_it_was_run_at_anchors(
    scene: str, weights: dict[str, str]
) -> None:
    maker = PreviewMaker(SceneCache())
    here = Window(0, 0, 200, 150)

    def request(knob: float, window: Window = here) -> PreviewRequest:
        return PreviewRequest(
            scene, 1, window, model_file=weights["ffdnet"], looks=1.0, knob=knob, device="cpu",
            precision="fp32",
        )  # fmt: skip

    def nothing(*_: object) -> None:
        pass

    preview = maker.make(request(1.0), nothing, lambda: False)
    assert preview.turns_to(1.0)
    assert not preview.turns_to(2.0)
    parts: list[float] = []
    # Stopped in the middle, it goes on where it was.
    with pytest.raises(Cancelled):
        maker.fill(request(1.0), preview, parts.append, lambda: len(parts) > 8)
    assert not preview.turns_at_once
    resumed: list[float] = []
    maker.fill(request(1.0), preview, resumed.append, lambda: False)
    assert parts == sorted(parts)
    assert resumed == sorted(resumed)
    assert resumed[0] >= parts[-1] - 0.1
    assert resumed[-1] == 1.0
    assert max(resumed[:-1]) < 1.0
    assert preview.turns_to(8.0)
    assert preview.turns_to(1 / 8)
    assert not preview.turns_to(8.1)
    assert preview.is_exact(1.0)
    assert not preview.is_exact(2.0)

    # The network's own estimate has the stack from the start.
    stacks = []
    exact = maker.make(request(2.0), lambda p, _: stacks.append(p.stack), lambda: False)
    assert stacks[0] is preview.stack is not None
    np.testing.assert_allclose(
        np.log(preview.turned(2.0)), np.log(exact.turned(2.0)), atol=0.02, equal_nan=True
    )
    assert np.isnan(preview.turned(2.0)).any()  # nodata
    np.testing.assert_array_equal(exact.turned(2.0), exact.estimate)
    told: list[float] = []
    maker.fill(request(2.0), exact, told.append, lambda: False)
    assert told == [1.0]
    # Elsewhere the stack is another.
    other = maker.make(request(1.0, Window(300, 0, 100, 100)), nothing, lambda: False)
    assert other.stack is None


def test_anchors_give_way_to_other_jobs(scene: str, weights: dict[str, str]) -> None:
    maker = PreviewMaker(SceneCache())
    request = PreviewRequest(
        scene, 1, Window(0, 0, WIDTH, HEIGHT), model_file=weights["ffdnet"], looks=1.0,
        device="cpu", precision="fp32",
    )  # fmt: skip
    preview = maker.make(request, lambda *_: None, lambda: False)
    parts: list[float] = []
    under_way = threading.Event()

    def slow(part: float) -> None:
        parts.append(part)
        if part > 0.2 and not under_way.is_set():
            under_way.set()
            time.sleep(0.3)

    filling = threading.Thread(target=maker.fill, args=(request, preview, slow, lambda: False))
    filling.start()
    assert under_way.wait(60)
    told = len(parts)
    with shared_engine():
        done = len(parts)
        time.sleep(0.3)
        assert len(parts) == done
        assert not preview.turns_at_once
    filling.join(60)
    assert done <= told + 1  # not at the end of the six tiles
    assert preview.turns_at_once
    assert parts == sorted(parts)


def test_other_models_need_no_anchors(make: Any, scene: str, weights: dict[str, str]) -> None:
    for name in ("dopamine", "boxcar"):
        preview = make(name)
        request = PreviewRequest(
            scene, 1, Window(0, 0, WIDTH, HEIGHT), model_file=weights[name], looks=1.0
        )
        told: list[float] = []
        PreviewMaker(SceneCache()).fill(request, preview, told.append, lambda: False)
        assert told == []
        assert preview.turns_at_once == (name == "dopamine")


def test_maps_make_the_estimate(make: Any) -> None:
    preview = make("dopamine")
    for knob in (0.2, 1.0, 6.0):
        a, b = preview.maps(knob)
        np.testing.assert_allclose(preview.turned(knob), a * preview.intensity + b, rtol=1e-5)
    smooth, sharp = preview.view("a", 0.2), preview.view("a", 6.0)
    assert np.nanmean(smooth) < np.nanmean(sharp)


def test_views_are_those_the_model_has(make: Any) -> None:
    assert make("dopamine").views == ("despeckled", "ratio", "difference", "a", "b")
    preview = make("ffdnet")
    assert preview.views == ("despeckled", "ratio", "difference")
    with pytest.raises(InvalidInput):
        preview.view("a", 1.0)
    with pytest.raises(InvalidInput, match="run again"):
        preview.turned(3.0)
    expected = preview.intensity - preview.estimate
    np.testing.assert_array_equal(preview.view("difference", 1.0), expected)


def test_thinned_preview_takes_every_nth_pixel(make: Any, scene: str) -> None:
    preview = make(step=3)
    assert preview.window == Window(0, 0, -(-WIDTH // 3), -(-HEIGHT // 3))
    pixels = gdal.Open(scene).ReadAsArray()[::3, ::3]
    np.testing.assert_array_equal(preview.intensity, np.where(pixels < 0, np.nan, pixels))
    assert np.isfinite(preview.estimate).sum() == (pixels >= 0).sum()


def test_stopped_preview_raises(make: Any) -> None:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        make("dopamine", stop=stop, looks=1.5)


def test_window_outside_is_refused(make: Any) -> None:
    with pytest.raises(InvalidInput, match="not in view"):
        make(window=Window(5000, 0, 10, 10))
    with pytest.raises(InvalidInput, match="zoom in"):
        make(step=9)


def test_scene_is_measured_once_until_the_file_changes(tmp_path: Path) -> None:
    def write(level: float) -> None:
        dataset = gdal.GetDriverByName("GTiff").Create(
            str(tmp_path / "flat.tif"), 64, 64, 1, gdal.GDT_Float32
        )
        z = np.random.default_rng(0).gamma(4, level / 4, (64, 64))
        dataset.GetRasterBand(1).WriteArray(z.astype(np.float32))
        dataset.SetMetadataItem("LEVEL", "x" * int(level))
        dataset = None

    cache = SceneCache()
    write(2)
    first = cache.get(str(tmp_path / "flat.tif"), 1, "auto", lambda: False)
    assert cache.get(str(tmp_path / "flat.tif"), 1, "auto", lambda: True) is first
    assert first.domain == "intensity"
    assert first.statistics.mean == pytest.approx(2, rel=0.05)
    assert first.looks_or(None) == first.looks
    assert first.looks_or(7.0) == 7.0
    write(20)
    again = cache.get(str(tmp_path / "flat.tif"), 1, "auto", lambda: False)
    assert again.statistics.mean == pytest.approx(20, rel=0.05)

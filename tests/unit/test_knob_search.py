"""The risk curve of the dock is that of KNOB_AUTO, and stops for what matters more."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import TINY, save_network

pytest.importorskip("osgeo.gdal")

from raster_files import make_raster

from speckless.plugin.core.errors import Cancelled, InvalidInput
from speckless.plugin.core.risk import KnobRisk, RiskEstimate
from speckless.plugin.core.speckle import simulate_speckle
from speckless.plugin.core.tiling import Window
from speckless.plugin.engine.shared import close_shared_engine, shared_engine
from speckless.plugin.jobs import knob
from speckless.plugin.jobs.despeckling import DespeckleJob
from speckless.plugin.jobs.knob_search import RiskCurve, RiskPoint, RiskSearch, curve_points
from speckless.plugin.jobs.preview import PreviewRequest
from speckless.plugin.jobs.scene_cache import Scene, SceneCache

LOOKS = 2.0


@pytest.fixture(scope="module", autouse=True)
def engine_is_closed() -> Any:
    yield
    close_shared_engine()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("weights")
    affine = {**TINY, "channels": 6}
    return {
        name: str(save_network(folder / f"{name}.safetensors", arguments, name, "none"))
        for name, arguments in (("boxcar", {"radius": 1}), ("dopamine", affine))
    }


def scene_of(path: str) -> Scene:
    return SceneCache().get(path, 1, "auto", lambda: False)


def request_for(path: str, weights: str) -> PreviewRequest:
    return PreviewRequest(
        path, 1, Window(0, 0, 1, 1), model_file=weights, looks=LOOKS, device="cpu", precision="fp32"
    )


def image(side: int = 300, psf: float = 0.0) -> np.ndarray:
    clean = np.linspace(1, 9, side)
    return (clean * simulate_speckle((side, side), LOOKS, np.random.default_rng(0), psf)).astype(
        np.float32
    )


def test_curve_is_that_of_the_run(tmp_path: Path, weights: dict[str, str]) -> None:
    path = make_raster(tmp_path / "scene.tif", image())
    request = request_for(path, weights["dopamine"])
    search, scene = RiskSearch(), scene_of(path)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 1

    with pytest.raises(Cancelled):
        search.run(request, scene, stop)
    curve = search.run(request, scene, lambda: False)
    job = DespeckleJob(
        path, str(tmp_path / "out.tif"), model_file=weights["dopamine"], looks=LOOKS,
        knob_auto=True, device="cpu", precision="fp32",
    )  # fmt: skip
    result = job.run(lambda *_: None, lambda: False)
    assert curve.best == result.knob_used
    assert curve == RiskSearch().run(request, scene, lambda: False)
    assert [point.knob for point in curve.points] == pytest.approx(
        LOOKS * np.geomspace(1 / 16, 16, 17)
    )
    assert curve.least == min(point.risk for point in curve.points)
    assert curve.at(LOOKS) == pytest.approx(curve.points[8].risk)
    assert curve.at(LOOKS * 16.5) is None
    assert curve.caution == ""
    assert curve.pixels > 40_000  # a part of the 300 x 300, without bright targets


def test_whoever_wants_the_engine_gets_it_between_pieces(
    tmp_path: Path, weights: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_raster(tmp_path / "scene.tif", image(600))
    request, scene = request_for(path, weights["dopamine"]), scene_of(path)
    expected = RiskSearch().run(request, scene, lambda: False)
    began, ends, curves = threading.Event(), [], []

    def slow(*args: Any) -> Any:
        began.set()
        time.sleep(0.4)
        found = part(*args)
        ends.append(time.monotonic())
        return found

    part = knob._part
    monkeypatch.setattr(knob, "_part", slow)
    searching = threading.Thread(
        target=lambda: curves.append(RiskSearch().run(request, scene, lambda: False))
    )
    searching.start()
    assert began.wait(60)
    with shared_engine() as engine:
        taken, done = time.monotonic(), len(ends)
        engine.load(Path(weights["boxcar"]), "cpu", "fp32")
        time.sleep(0.5)
        assert len(ends) == done  # it leaves the engine to who has it
        assert curves == []
    searching.join(60)
    assert done < 4
    assert taken - ends[done - 1] < 0.5
    assert curves == [expected]
    assert len(ends) >= 4


def test_search_that_gave_way_still_stops(tmp_path: Path, weights: dict[str, str]) -> None:
    path = make_raster(tmp_path / "scene.tif", image(300))
    request, scene = request_for(path, weights["dopamine"]), scene_of(path)
    stop, outcome = threading.Event(), []

    def search() -> None:
        try:
            outcome.append(RiskSearch().run(request, scene, stop.is_set))
        except Cancelled as error:
            outcome.append(error)

    with shared_engine():
        searching = threading.Thread(target=search)
        searching.start()
        searching.join(0.3)
        assert outcome == []  # waits
        stop.set()
        searching.join(2)
        assert [type(found) for found in outcome] == [Cancelled]


def test_correlated_speckle_is_told(tmp_path: Path, weights: dict[str, str]) -> None:
    path = make_raster(tmp_path / "scene.tif", image(psf=0.8))
    curve = RiskSearch().run(request_for(path, weights["dopamine"]), scene_of(path), lambda: False)
    assert "cannot be trusted" in curve.caution


def test_other_models_have_no_curve(tmp_path: Path, weights: dict[str, str]) -> None:
    path = make_raster(tmp_path / "scene.tif", image(64))
    with pytest.raises(InvalidInput, match="not affine"):
        RiskSearch().run(request_for(path, weights["boxcar"]), scene_of(path), lambda: False)


def test_band_is_the_error_of_the_difference() -> None:
    risk = [RiskEstimate(value, 1.0, 100) for value in (3.0, 1.0, 2.0)]
    difference = [RiskEstimate(value, value / 10, 100) for value in (2.0, 0.0, 1.0)]
    points = curve_points(KnobRisk(np.array([1.0, 2.0, 4.0]), risk, difference, 1))
    assert points == (
        RiskPoint(1, 3, 2.8, 3.2), RiskPoint(2, 1, 1, 1), RiskPoint(4, 2, 1.9, 2.1),
    )  # fmt: skip


def test_the_valley_fills_the_plot() -> None:
    knobs = 2.0 ** np.arange(-4, 5)
    points = tuple(
        RiskPoint(float(knob), value, value - 0.1, value + 0.1)
        for knob, value in zip(knobs, np.log2(knobs) ** 2 + 1)
    )
    curve = RiskCurve(points, 1.0, 1.0, 0.1, False, 1000, 1.0, "")
    assert curve.bounds == pytest.approx((0.9, 5.1))

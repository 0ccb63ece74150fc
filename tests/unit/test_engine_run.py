"""The living engine: hello, models, tiles, cancel, errors that are not the end."""

from __future__ import annotations

import shutil
import threading
import time

import numpy as np
import pytest
from engine_models import big_request, box_mean, request, save_boxcar, save_slow

from speckless.plugin.core.errors import Cancelled, EngineError, InvalidInput, ModelError
from speckless.plugin.core.tiling import Window, plan_tiles
from speckless.plugin.engine.client import Engine, TileRequest
from speckless.plugin.engine.shared import shared_engine


@pytest.fixture(scope="module")
def engine():
    with Engine() as living:
        living.start()
        yield living


@pytest.fixture(scope="module")
def boxcar(tmp_path_factory):
    return save_boxcar(tmp_path_factory.mktemp("boxcar") / "boxcar.safetensors")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    return save_slow(tmp_path_factory.mktemp("slow") / "slow.safetensors")


def test_hello_says_what_was_found(engine):
    hello = engine.hello
    assert hello.torch and hello.numpy and hello.safetensors and not hello.problem
    cpu = next(device for device in hello.devices if device.name == "cpu")
    assert cpu.usable and cpu.title
    assert all(device.reason for device in hello.devices if not device.usable)
    assert any(device.name == hello.default_device for device in hello.devices)
    assert hello.threads >= 1 and hello.pid == engine.pid


def test_a_tile_is_computed(engine, boxcar):
    loaded = engine.load(boxcar, "cpu", "fp32")
    assert (loaded.card.id, loaded.device, loaded.precision) == ("boxcar", "cpu", "fp32")
    assert "as asked" in loaded.reason
    tile = request(33, 20)
    result = engine.result(engine.submit(tile))
    np.testing.assert_allclose(result.arrays["x"], box_mean(tile.intensity), rtol=1e-5)
    assert result.seconds > 0 and result.warnings == []


def test_only_the_inner_window_comes_back_and_holes_stay_holes(engine, boxcar):
    engine.load(boxcar, "cpu")
    whole = request(40)
    valid = whole.valid.copy()
    valid[15, 17] = False
    inner = Window(5, 10, 30, 20)
    tile = TileRequest(whole.intensity, valid, inner, outputs=("x", "a", "b"))
    arrays = engine.result(engine.submit(tile)).arrays
    assert set(arrays) == {"x"}, "a moving average has no slope and bias"
    assert arrays["x"].shape == (20, 30)
    assert np.isnan(arrays["x"][5, 12]) and np.isnan(arrays["x"]).sum() == 1


def test_many_tiles_in_flight_keep_their_places(engine, boxcar):
    engine.load(boxcar, "cpu")
    tiles = [request(8 + index, 60 - index) for index in range(12)]
    tickets = [engine.submit(tile) for tile in tiles]
    for tile, ticket in reversed(list(zip(tiles, tickets))):
        x = engine.result(ticket).arrays["x"]
        np.testing.assert_allclose(x, box_mean(tile.intensity), rtol=1e-5)
    with pytest.raises(InvalidInput, match="was fetched"):
        engine.result(tickets[0])


def test_tiles_give_the_pixels_of_the_whole(engine, slow):
    engine.load(slow, "cpu", "fp32")
    whole = request(96, 80)
    expected = engine.result(engine.submit(whole)).arrays["x"]
    height, width = whole.intensity.shape
    card = engine.load(slow, "cpu", "fp32").card
    got = np.empty_like(expected)
    for tile in plan_tiles(Window(0, 0, width, height), None, 48, card.halo, card.divisor):
        rows = slice(tile.source.y, tile.source.bottom)
        columns = slice(tile.source.x, tile.source.right)
        part = TileRequest(whole.intensity[rows, columns], whole.valid[rows, columns], tile.inner)
        core = (slice(tile.core.y, tile.core.bottom), slice(tile.core.x, tile.core.right))
        got[core] = engine.result(engine.submit(part)).arrays["x"]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_loading_again_is_immediate_and_changed_weights_are_seen(engine, tmp_path):
    path = save_boxcar(tmp_path / "model.safetensors", radius=1)
    first = engine.load(path, "cpu", "fp32")
    assert engine.load(path, "cpu", "fp32").handle == first.handle
    save_boxcar(path, radius=2)
    engine.load(path, "cpu", "fp32")
    tile = request(12)
    x = engine.result(engine.submit(tile)).arrays["x"]
    np.testing.assert_allclose(x, box_mean(tile.intensity, 2), rtol=1e-5)


def test_a_model_that_gave_way_to_others_still_answers(engine, tmp_path):
    loaded = [
        engine.load(save_boxcar(tmp_path / f"{radius}.safetensors", radius), "cpu")
        for radius in range(1, 7)
    ]
    tile = request(14, model=loaded[0])
    x = engine.result(engine.submit(tile)).arrays["x"]
    np.testing.assert_allclose(x, box_mean(tile.intensity, 1), rtol=1e-5)


def test_errors_leave_the_engine_usable(engine, boxcar, tmp_path):
    pid = engine.pid
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(boxcar.read_bytes()[:-5])
    altered = tmp_path / "altered.safetensors"
    data = bytearray(boxcar.read_bytes())
    data[-2] ^= 0x40
    altered.write_bytes(data)
    for model, words in (
        ("no-such-model", "no model 'no-such-model'"),
        (tmp_path / "absent.safetensors", "cannot be read"),
        (cut, "damaged"),
        (altered, "corrupted"),
    ):
        with pytest.raises(ModelError, match=words):
            engine.load(model, "cpu")
    for device, words in (
        ("gpu0", "Unknown device 'gpu0'. Usable here: auto,.*cpu"),
        ("cuda:77", "Usable here"),
        ("mps:3", "Unknown device"),
    ):
        with pytest.raises(InvalidInput, match=words):
            engine.load(boxcar, device)
    with pytest.raises(InvalidInput, match="fp16 needs a GPU"):
        engine.load(boxcar, "cpu", "fp16")
    with pytest.raises(InvalidInput, match="Unknown precision"):
        engine.load(boxcar, "cpu", "int8")
    engine.load(boxcar, "cpu")
    assert engine.result(engine.submit(request(9))).arrays["x"].shape == (9, 9)
    assert engine.pid == pid


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.0},
        {"looks": float("nan")},
        {"knob": -1.0},
        {"outputs": ("y",)},
        {"outputs": ()},
        {"valid": np.ones((3, 4), bool)},
        {"inner": Window(0, 0, 9, 8)},
    ],
)
def test_malformed_tiles_are_refused(engine, boxcar, change):
    engine.load(boxcar, "cpu")
    good = request(8)
    with pytest.raises(InvalidInput):
        engine.submit(TileRequest(**{**vars(good), **change}))


def test_auto_precision_needs_a_card_that_allows_it(engine, boxcar, tmp_path):
    assert engine.load(boxcar, "cpu").precision == "fp32"
    path = save_boxcar(tmp_path / "measured.safetensors", quality={"bf16_ok": True})
    loaded = engine.load(path, "cpu")
    native = any(device.reason == "bf16 in hardware" for device in engine.hello.devices)
    assert loaded.precision == ("bf16" if native else "fp32"), loaded.reason


def test_cancel_stops_a_long_tile_within_its_promise(engine, slow):
    engine.load(slow, "cpu", "fp32")
    pid = engine.pid
    tickets = [engine.submit(big_request()) for _ in range(3)]
    time.sleep(1.0)
    assert engine.progress(tickets[0]) < 1.0
    started = time.monotonic()
    with pytest.raises(Cancelled):
        engine.result(tickets[0], is_cancelled=lambda: True)
    assert time.monotonic() - started < 1.5
    for ticket in tickets[1:]:
        with pytest.raises(Cancelled):
            engine.result(ticket)
    assert engine.result(engine.submit(request(16))).arrays["x"].shape == (16, 16)
    assert engine.pid == pid, "a tile that heeds the cancel does not cost the process"


def test_cancel_from_another_thread(engine, slow):
    engine.load(slow, "cpu", "fp32")
    ticket = engine.submit(big_request())
    threading.Timer(0.5, engine.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        engine.result(ticket)
    assert time.monotonic() - started < 2.0


def test_an_operation_deaf_to_cancel_costs_the_process_but_not_the_time(engine, tmp_path):
    """One huge convolution offers no moment to stop at: the process is ended, then renewed."""
    path = save_boxcar(tmp_path / "huge.safetensors", radius=40)
    engine.load(path, "cpu", "fp32")
    pid = engine.pid
    ticket = engine.submit(request(2500))
    time.sleep(0.5)
    started = time.monotonic()
    with pytest.raises(Cancelled):
        engine.result(ticket, is_cancelled=lambda: True)
    assert time.monotonic() - started < 1.6
    assert engine.pid is None
    assert engine.result(engine.submit(request(6))).arrays["x"].shape == (6, 6)
    assert engine.pid != pid


def test_progress_of_a_long_tile_grows(engine, slow):
    engine.load(slow, "cpu", "fp32")
    tile = request(640)
    engine.result(engine.submit(tile))
    ticket = engine.submit(tile)
    seen = set()
    try:
        engine.result(ticket, is_cancelled=lambda: seen.add(engine.progress(ticket)) or False)
    finally:
        assert seen <= {fraction for fraction in seen if 0.0 <= fraction <= 1.0}
    assert len(seen) >= 2


def test_one_job_at_a_time_holds_the_shared_engine(boxcar):
    order = []

    def job(name):
        with shared_engine() as held:
            order.append(name)
            held.load(boxcar, "cpu")
            held.result(held.submit(request(10)))
            order.append(name)

    threads = [threading.Thread(target=job, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
    with shared_engine() as held:
        first = held.pid
        waiting = threading.Event()

        def impatient():
            with pytest.raises(Cancelled), shared_engine(is_cancelled=lambda: True):
                pass
            waiting.set()

        threading.Thread(target=impatient).start()
        assert waiting.wait(5)
    with shared_engine() as held:
        assert held.pid == first, "models stay hot between jobs"
        held.close()


def test_leaving_a_job_early_stops_its_tiles(engine, slow):
    started = time.monotonic()
    with pytest.raises(KeyError), engine.reserve():
        engine.load(slow, "cpu", "fp32")
        ticket = engine.submit(big_request())
        raise KeyError("the job failed")
    assert time.monotonic() - started < 3.0
    with pytest.raises(Cancelled):
        engine.result(ticket)


def test_an_unusable_python_is_named(tmp_path):
    false = shutil.which("false")
    with pytest.raises(EngineError, match="exit code 1"), Engine(python=false) as engine:
        engine.start()
    text = tmp_path / "python"
    text.write_text("no program")
    text.chmod(0o755)
    with pytest.raises(EngineError, match="cannot be started"), Engine(python=str(text)) as engine:
        engine.start()

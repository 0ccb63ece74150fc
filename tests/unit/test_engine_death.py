"""Ends of the engine: killed, orphaned, idle, without torch, noisy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from engine_models import big_request, request, save_boxcar, save_slow

from speckless.plugin.core.errors import Cancelled, EngineError
from speckless.plugin.engine.client import Engine

ROOT = Path(__file__).resolve().parents[2]

posix = pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")


@pytest.fixture(scope="module")
def boxcar(tmp_path_factory):
    return save_boxcar(tmp_path_factory.mktemp("boxcar") / "boxcar.safetensors")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    return save_slow(tmp_path_factory.mktemp("slow") / "slow.safetensors")


def is_running(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until(condition, seconds: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


@posix
def test_a_killed_worker_is_an_error_and_the_next_run_works(slow):
    with Engine() as engine:
        engine.load(slow, "cpu", "fp32")
        tickets = [engine.submit(big_request()) for _ in range(2)]
        pid = engine.pid
        time.sleep(0.7)
        os.kill(pid, signal.SIGKILL)
        for ticket in tickets:
            with pytest.raises(EngineError, match=r"killed, probably .*ran out of memory"):
                engine.result(ticket)
        with pytest.raises(EngineError, match="killed"):
            engine.submit(request(8))
        engine.load(slow, "cpu", "fp32")
        assert engine.result(engine.submit(request(8))).arrays["x"].shape == (8, 8)
        assert engine.pid != pid


@posix
def test_the_last_words_of_a_crash_are_shown(boxcar):
    with Engine() as engine:
        engine.load(boxcar, "cpu")
        os.kill(engine.pid, signal.SIGSEGV)
        assert wait_until(lambda: engine.pid is None, 5)
        with pytest.raises(EngineError, match="SIGSEGV") as caught:
            engine.submit(request(8))
        assert "Fatal Python error: Segmentation fault" in str(caught.value)


def _shared_files() -> set[str]:
    """What engines may have left behind; those of other programs come and go."""
    folders = [folder for folder in ("/dev/shm", "/tmp") if os.path.isdir(folder)]
    names = {f"{folder}/{name}" for folder in folders for name in os.listdir(folder)}
    return {name for name in names if os.path.basename(name).startswith("speckless-")}


@posix
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks into /proc")
def test_no_orphan_and_no_file_when_the_client_is_killed(slow, tmp_path):
    """As when QGIS crashes in the middle of a run."""
    code = f"""
        import importlib.util, sys, time
        sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "tests" / "unit")!r}]
        import conftest
        from engine_models import big_request
        from speckless.plugin.engine.client import Engine
        engine = Engine()
        engine.load({str(slow)!r}, "cpu", "fp32")
        engine.submit(big_request())
        time.sleep(0.5)
        print(engine.pid, flush=True)
        time.sleep(60)
    """
    environ = dict(os.environ, TMPDIR=str(tmp_path))
    before = _shared_files()
    client = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, env=environ
    )
    worker = int(client.stdout.readline())
    assert is_running(worker)
    client.kill()
    client.wait()
    assert wait_until(lambda: not is_running(worker), 2.0), "the worker outlived its client"
    client.stdout.close()
    assert list(tmp_path.iterdir()) == []
    assert _shared_files() <= before


def test_the_idle_worker_leaves_and_comes_back(boxcar):
    with Engine(idle_seconds=0.3) as engine:
        loaded = engine.load(boxcar, "cpu")
        first = engine.pid
        with engine.reserve():
            time.sleep(1.0)
            assert engine.pid == first, "a job that holds the engine keeps it"
        assert wait_until(lambda: engine.pid is None, 5)
        if os.path.isdir("/proc"):
            assert wait_until(lambda: not is_running(first), 5)
        x = engine.result(engine.submit(request(8, model=loaded))).arrays["x"]
        assert x.shape == (8, 8)


def test_close_ends_the_worker_and_fails_what_is_under_way(slow):
    engine = Engine()
    engine.load(slow, "cpu", "fp32")
    ticket = engine.submit(big_request())
    pid = engine.pid
    started = time.monotonic()
    engine.close()
    assert time.monotonic() - started < 1.5
    if os.path.isdir("/proc"):
        assert not is_running(pid)
    with pytest.raises(EngineError, match="closed"):
        engine.result(ticket)


def test_a_start_can_be_cancelled(boxcar):
    with Engine() as engine:
        pids = []

        def is_cancelled() -> bool:
            pids.append(engine.pid)
            return len(pids) > 1

        started = time.monotonic()
        with pytest.raises(Cancelled):
            engine.load(boxcar, is_cancelled=is_cancelled)
        assert time.monotonic() - started < 1.0
        assert pids[0] is None
        assert pids[1] is not None
        assert engine.load(boxcar, "cpu").device == "cpu"


def test_who_was_told_to_stop_starts_nothing(boxcar):
    with Engine() as engine:
        with pytest.raises(Cancelled):
            engine.load(boxcar, is_cancelled=lambda: True)
        assert engine.pid is None
        assert engine._conversation.generation == 0


@pytest.fixture()
def bare_python(tmp_path):
    """Make a Python that has nothing but its standard library and what the test adds."""
    base = os.path.realpath(sys.executable)
    folder = tmp_path / "bare"
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = next(folder.glob("lib/python*/site-packages"), folder / "Lib" / "site-packages")
    return python, site


def test_missing_torch_is_explained_with_the_cure(boxcar, bare_python, monkeypatch):
    python, _ = bare_python
    monkeypatch.setenv("SPECKLESS_PYTHON", str(python))
    with Engine() as engine:
        hello = engine.start()
        assert hello.torch is None and "No module named 'torch'" in hello.problem
        assert os.path.samefile(hello.python, python)
        with pytest.raises(EngineError) as caught:
            engine.load(boxcar)
        assert f"{hello.python} -m pip install torch safetensors" in str(caught.value)
        monkeypatch.delenv("SPECKLESS_PYTHON")
        assert engine.load(boxcar, "cpu").device == "cpu", "curing it needs no restart of QGIS"


def test_broken_torch_is_explained(boxcar, bare_python):
    python, site = bare_python
    (site / "torch.py").write_text("raise OSError('[WinError 1114] DLL initialisation failed')")
    words = r"torch is installed but does not start.*1114"
    with Engine(python=str(python)) as engine, pytest.raises(EngineError, match=words):
        engine.load(boxcar)


def test_noise_of_libraries_does_not_break_the_protocol(boxcar, tmp_path, monkeypatch):
    """Wrappers and libraries greet, warn and print to the standard output, even in C."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, threading, time\n"
        "def shout():\n"
        "    while True:\n"
        "        os.write(1, b'Welcome!')\n"
        "        time.sleep(0.002)\n"
        "threading.Thread(target=shout, daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    end = time.monotonic() + 30

    def too_late() -> bool:
        return time.monotonic() > end

    with Engine() as engine:
        engine.load(boxcar, "cpu", is_cancelled=too_late)
        for _ in range(20):
            ticket = engine.submit(request(30))
            assert engine.result(ticket, too_late).arrays["x"].shape == (30, 30)


def test_the_worker_is_polite(boxcar):
    with Engine(threads=1) as engine:
        hello = engine.start()
        assert hello.threads == 1
        if hasattr(os, "getpriority"):
            nice = os.getpriority(os.PRIO_PROCESS, hello.pid)
            assert nice == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)

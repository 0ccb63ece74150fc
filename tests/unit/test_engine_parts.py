"""The engine's parts that need no worker: protocol, memory, interpreter, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from speckless.plugin.core.errors import Cancelled, EngineError, InvalidInput, ModelError
from speckless.plugin.engine import interpreter, protocol
from speckless.plugin.engine.process import describe_exit
from speckless.plugin.engine.shared_memory import Slot, SlotReader, TileLayout


def test_a_message_survives_the_way():
    message = {"op": "tile", "id": 3, "knob": None, "scale": 0.1, "path": "/tmp/é 中"}
    line = protocol.encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert protocol.decode(line) == message


@pytest.mark.parametrize("line", [b"Welcome to conda!\n", b"", b"[1]\n", b"\xff\xfe\n", b"3\n"])
def test_garbage_is_no_message(line):
    assert protocol.decode(line) is None


def test_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError):
        protocol.encode({"scale": float("nan")})


@pytest.mark.parametrize("kind", [InvalidInput, ModelError, EngineError, Cancelled])
def test_errors_keep_their_kind(kind):
    error = protocol.error_from(protocol.error_message(7, kind("what and how to cure")))
    assert type(error) is kind and str(error) == "what and how to cure"


def test_unforeseen_errors_become_engine_errors():
    error = protocol.error_from(protocol.error_message(7, ZeroDivisionError("oh")))
    assert type(error) is EngineError and "ZeroDivisionError: oh" in str(error)


def test_hello_survives_the_way_and_checks_the_version():
    hello = protocol.Hello(
        "/usr/bin/python3", "3.9", devices=[protocol.DeviceInfo("cpu", "x", True, "fine")]
    )
    assert protocol.Hello.from_message(hello.to_message()) == hello
    with pytest.raises(EngineError, match="Restart QGIS"):
        protocol.Hello.from_message(dict(hello.to_message(), version=99))


def test_both_ends_of_a_slot_see_the_same_pixels():
    slot, reader = Slot(0), SlotReader()
    layout = TileLayout((5, 7), (3, 4), ("x", "b"))
    intensity = np.arange(35, dtype=np.float32).reshape(5, 7)
    layout.view(slot.reserve(layout.size), "intensity")[...] = intensity
    memory = reader.map(slot.describe())
    np.testing.assert_array_equal(layout.view(memory, "intensity"), intensity)
    layout.view(memory, "b")[...] = 4.0
    assert layout.view(slot.reserve(1), "b").sum() == 48.0
    larger = TileLayout((900, 900), (900, 900), ("x",))
    layout_view = larger.view(slot.reserve(larger.size), "x")
    larger.view(reader.map(slot.describe()), "x")[899, 899] = 2.0
    assert layout_view[899, 899] == 2.0
    slot.close()


def test_a_slot_works_on_disk_too(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    before = set(os.listdir(tempfile.gettempdir()))
    slot, layout = Slot(0), TileLayout((40, 50), (40, 50), ("x",))
    layout.view(slot.reserve(layout.size), "x")[...] = 3.0
    assert layout.view(SlotReader().map(slot.describe()), "x").sum() == 6000.0
    left = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in left if name.startswith("speckless-")]
    slot.close()


def test_memory_that_does_not_exist_is_an_error_with_advice():
    slot = Slot(0)
    with pytest.raises(EngineError, match="smaller tile size"):
        slot.reserve(1 << 55)
    assert slot.reserve(100) is not None, "the slot can be used after all"
    slot.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "ran out of memory"), (-11, "SIGSEGV"), (-4, "install a torch"), (3, "exit code 3")],
)
@pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")
def test_exit_codes_are_explained(code, words):
    assert words in describe_exit(code)


def test_the_variable_goes_before_the_setting(tmp_path):
    environ = {"SPECKLESS_PYTHON": sys.executable}
    assert interpreter.find_python("/no/such/python", environ) == os.path.abspath(sys.executable)
    assert os.path.samefile(interpreter.find_python(None, {}), sys.executable)
    for setting, environ in (("/no/such", {}), (None, {"SPECKLESS_PYTHON": str(tmp_path)})):
        with pytest.raises(EngineError, match="There is no program"):
            interpreter.find_python(setting, environ)


def test_qgis_is_never_taken_for_a_python(tmp_path):
    qgis = tmp_path / "qgis-bin"
    qgis.write_text("#!/bin/sh\n")
    qgis.chmod(0o755)
    with pytest.raises(EngineError, match="is QGIS itself"):
        interpreter.find_python(str(qgis), {})


@pytest.mark.parametrize("name", ["QGIS", "python3"])
def test_inside_qgis_the_prefix_says_which_python_it_is(name, tmp_path, monkeypatch):
    """There sys.executable is QGIS, or any python3 that comes first in the path."""
    embedding = tmp_path / "elsewhere" / name
    python = tmp_path / "bin" / "python3"
    for link in (embedding, python):
        link.parent.mkdir()
        link.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(embedding))
    for prefix in ("prefix", "exec_prefix", "base_exec_prefix"):
        monkeypatch.setattr(sys, prefix, str(tmp_path))
    assert interpreter.own_python() == str(python)


def test_only_another_python_gets_a_cleaned_environment(tmp_path):
    other = tmp_path / "bin" / "python"
    other.parent.mkdir()
    other.symlink_to(sys.executable)
    (tmp_path / "pyvenv.cfg").write_text("home = elsewhere\n")
    given = {"PYTHONPATH": "/a", "PYTHONHOME": "/b", "PROJ_LIB": "/c", "GDAL_DATA": "/d", "X": "y"}
    own = interpreter.child_environment(sys.executable, given)
    assert own["PYTHONPATH"].split(os.pathsep)[0] == "/a" and own["PROJ_LIB"] == "/c"
    foreign = interpreter.child_environment(str(other), given)
    assert not {"PYTHONPATH", "PYTHONHOME", "PROJ_LIB", "GDAL_DATA"} & set(foreign)
    assert foreign["X"] == "y"


def test_the_folder_of_torch_is_passed_on():
    """QGIS may know torch by a path it added itself; its child does not."""
    child = interpreter.child_environment(sys.executable, {})
    code = "import importlib.util as u; print(bool(u.find_spec('torch')))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=child, capture_output=True, check=True
    )
    assert done.stdout.strip() == b"True"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_the_allocator_is_tuned_but_not_against_the_user():
    tuned = interpreter.child_environment(sys.executable, {})["GLIBC_TUNABLES"]
    assert "glibc.malloc.mmap_threshold=" in tuned and "glibc.malloc.hugetlb=1" in tuned
    given = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2", "MALLOC_TRIM_THRESHOLD_": "1"}
    mixed = interpreter.child_environment(sys.executable, given)["GLIBC_TUNABLES"]
    assert mixed.startswith("glibc.malloc.hugetlb=2:") and mixed.count("hugetlb") == 1
    assert "trim_threshold" not in mixed


def test_the_cure_names_the_python_and_commands():
    hello = protocol.Hello("/opt/p y/python", "3.9", numpy="1", problem="No module named 'torch'.")
    text = interpreter.cure(hello)
    assert '"/opt/p y/python" -m pip install torch safetensors\n' in text
    assert "conda create" in text and "SPECKLESS_PYTHON" in text and "No module named" in text
    managed = interpreter.cure(protocol.Hello("/usr/bin/python3", "3.11", managed=True))
    assert "/usr/bin/python3 -m venv" in managed and "python3 -m pip" not in managed

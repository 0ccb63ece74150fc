"""Fine-tuning, runs, projects and endings in a real QGIS window, as tuning_scenario.py saw them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import save_network
from osgeo import gdal
from scenarios import OUTPUT, ROOT, SAMPLE, SLOW, SMALL, play


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small affine network, and one that keeps the engine busy."""
    folder = tmp_path_factory.mktemp("models")
    save_network(folder / "tiny-affine.safetensors", SMALL)
    save_network(folder / "tiny-slow.safetensors", SLOW)
    return folder


@pytest.fixture(scope="module")
def seen(models: Path) -> dict[str, Any]:
    """What the scenario saw."""
    return play("tuning", {"SAMPLE": SAMPLE, "MODELS": models}, seconds=1200)


def pixels(name: str, where: dict[str, Any]) -> np.ndarray:
    _, _, width, height = where["window"]
    return np.fromfile(OUTPUT / f"tuning_{name}.bin", np.float32).reshape(height, width)


def test_nothing_was_raised(seen: dict[str, Any]) -> None:
    assert seen["exceptions"] == []


def test_other_networks_say_why_not(seen: dict[str, Any]) -> None:
    enabled, reason, tip = seen["why not"]
    assert not enabled
    assert "cannot learn from a noisy image alone" in reason
    assert tip == reason
    enabled, text, reason_shown = seen["can"]
    assert enabled
    assert text == f"&Fine-tune at L = {seen['knob']:.3g}"
    assert not reason_shown


def test_risk_is_seen_to_fall_while_it_runs(seen: dict[str, Any]) -> None:
    assert seen["tuning shown"]
    assert "Fine-tuning on sample" in seen["in task manager"]
    # Not all at once at the end.
    assert len([count for count in seen["points seen"] if count]) > 2
    epochs, risks, errors = zip(*seen["points"])
    assert list(epochs) == list(range(len(epochs)))
    assert min(risks) < risks[0]
    assert errors[0] == 0
    assert all(error > 0 for error in errors[1:])
    assert f"Risk {risks[0]:.3g} → {min(risks):.3g}" in seen["outcome"]
    assert any("fine-tuned" in text for text in seen["bar after tuning"])


def test_tuned_network_is_compared(seen: dict[str, Any]) -> None:
    assert seen["tuned is shown"]
    looks, knob = seen["knob when tuned"]
    assert knob == looks  # its maps are those of the knob it was tuned at
    assert seen["untuned"]["knob"] == pytest.approx(looks / 2, abs=0.006)
    before, tuned = pixels("untuned", seen["untuned"]), pixels("tuned", seen["tuned"])
    again = pixels("untuned_again", seen["untuned again"])
    assert seen["untuned again"] == seen["untuned"]
    np.testing.assert_array_equal(again, before)
    assert np.nanmedian(np.abs(tuned / before - 1)) > 1e-3


def test_tuned_network_is_kept_by_name(seen: dict[str, Any]) -> None:
    assert seen["kept"] == ["kept-one", "Kept one", True]
    assert seen["kept files"] == [
        "kept-one.safetensors", "tiny-affine.safetensors", "tiny-slow.safetensors",
    ]  # fmt: skip
    assert seen["trial is gone"]
    kept = pixels("kept", seen["kept estimate"])
    np.testing.assert_array_equal(kept, pixels("tuned", seen["tuned"]))


def test_areas_are_learnt_from_and_the_result_dropped(seen: dict[str, Any]) -> None:
    assert seen["areas trial"], seen["areas outcome"]
    gone, model_file, is_shown, can_be_shown, knob = seen["dropped"]
    assert gone
    assert (model_file, is_shown, can_be_shown) == ("", False, False)
    assert knob == pytest.approx(seen["looks"] / 2, abs=0.006)


def test_tuning_stops_from_dock_and_task_manager(seen: dict[str, Any]) -> None:
    assert seen["stopped tunings"] == [[True, True, "Cancelled; nothing was left."]] * 2


def test_run_is_shown_like_its_input(seen: dict[str, Any]) -> None:
    assert seen["run"]
    assert "Ratio: mean" in seen["run outcome"]
    assert seen["tree"].index("sample despeckled") == seen["tree"].index("sample") - 1
    assert seen["styles"][0] == seen["styles"][1]


def test_history_has_the_call(seen: dict[str, Any]) -> None:
    command = seen["history"][-1]
    assert command.startswith('processing.run("speckless:despeckle"')
    assert "'MODEL':'tiny-affine'" in command
    assert str(OUTPUT / "tuning_run.tif") in command


def test_history_has_the_tuning(seen: dict[str, Any]) -> None:
    command = seen["history of tuning"][-1]
    assert command.startswith('processing.run("speckless:finetune"')
    assert "'MODEL':'tiny-affine'" in command
    assert "'DEPTH':'head'" in command


def test_dialog_is_filled_in(seen: dict[str, Any]) -> None:
    title, is_visible = seen["dialogs"]
    # Newer QGIS puts the group before it.
    assert title.endswith("Despeckle SAR image")
    assert is_visible
    for name, value in seen["asked"].items():
        if name in ("LOOKS", "KNOB"):
            assert float(seen["dialog"][name]) == pytest.approx(float(value), abs=1e-6)
        elif name != "OUTPUT":
            assert seen["dialog"][name] == value


def test_copied_command_gives_the_same_pixels(
    seen: dict[str, Any], models: Path, tmp_path: Path
) -> None:
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if program is None:
        pytest.skip("qgis_process is not installed")
    profile = tmp_path / "profiles" / "default"
    (profile / "python" / "plugins").mkdir(parents=True)
    (profile / "python" / "plugins" / "speckless").symlink_to(ROOT)
    (profile / "QGIS").mkdir()
    (profile / "QGIS" / "QGIS3.ini").write_text(
        "[PythonPlugins]\nspeckless=true\n\n[qgis]\ncheckVersion=false\n\n"
        f"[speckless]\nmodel_folder={models}\ndevice=cpu\n"
    )
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    arguments = shlex.split(seen["command"])
    assert arguments[:3] == ["qgis_process", "run", "speckless:despeckle"]
    done = subprocess.run(
        [program, *arguments[1:]],
        cwd=tmp_path,
        env={
            "SPECKLESS_PYTHON": sys.executable,
            **os.environ,
            "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path),
            "QT_QPA_PLATFORM": "offscreen",
            "XDG_RUNTIME_DIR": str(runtime),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = gdal.Open(str(tmp_path / "despeckled.tif")).ReadAsArray()
    ours = gdal.Open(str(OUTPUT / "tuning_run.tif")).ReadAsArray()
    np.testing.assert_array_equal(theirs, ours)


def test_project_keeps_the_dock(seen: dict[str, Any]) -> None:
    assert seen["saved"]
    assert seen["cleared"]["layer"] is None
    assert seen["read"]
    before, after = seen["settings"]
    assert after == before
    assert before["given"] == 3.25
    assert before["knob"] == pytest.approx(6.5)
    assert before["model"] == "kept-one"
    drawn, found, listed = seen["areas"]
    assert len(drawn) == 1
    assert found == drawn
    assert listed == 1


def test_death_of_the_engine_is_a_message(seen: dict[str, Any]) -> None:
    for was_there, ended, bar, logged in seen["killed"]:
        assert was_there
        assert ended
        assert any("engine" in text.lower() for text in bar), bar
        assert any("engine" in text.lower() for text in logged), logged
    assert seen["left by the killed"] == []
    assert seen["after the killed"]


def test_closing_the_project_ends_the_work(seen: dict[str, Any]) -> None:
    assert seen["closed"] == [[True, True, "", 0]] * 2
    assert seen["left by the closed"] == []


def test_reloading_leaves_nothing(seen: dict[str, Any]) -> None:
    # Less is fine: a message of QGIS's own may have timed out meanwhile.
    grown = {
        name: (before, seen["after reloads"][name])
        for name, before in seen["before reloads"].items()
        if seen["after reloads"][name] > before
    }
    assert grown == {}
    assert seen["processes in mid-reload"] > seen["before reloads"]["processes"]


def test_unloading_in_mid_tuning_is_clean(seen: dict[str, Any]) -> None:
    assert seen["was tuning"]
    assert seen["left after unload"] == []
    assert seen["tasks after unload"] == 0
    assert seen["threads after unload"] == []
    assert seen["processes after unload"] == []


def test_fits_a_narrow_panel(seen: dict[str, Any]) -> None:
    assert seen["narrow trial"] == seen["narrow run"] == 300


def test_main_thread_is_never_kept(seen: dict[str, Any]) -> None:
    worst = seen["main thread"]
    phases = {"open", "load", "preview", "draw", "knob", "compare", "keep", "run", "cancel", "tune"}
    assert set(worst) == phases
    for phase, milliseconds in sorted(worst.items()):
        sys.stdout.write(f"{phase}: {milliseconds['busy']:.0f} ms computed at a stretch, "
                         f"{milliseconds['wall']:.0f} ms by the clock\n")  # fmt: skip
    # What it computed itself; by the clock a busy machine keeps it for any time.
    assert {phase for phase, ms in worst.items() if ms["busy"] >= 100} == set()
    if seen["load"] < 0.7:
        assert {phase for phase, ms in worst.items() if ms["wall"] >= 100} == set()


@pytest.mark.parametrize("name", ["running", "compare", "dialog", "narrow_trial", "narrow_run"])
def test_window_was_drawn(seen: dict[str, Any], name: str) -> None:
    picture = gdal.Open(str(OUTPUT / f"tuning_{name}.png")).ReadAsArray()
    assert len(np.unique(picture[0])) > 50

"""What the provider offers stays as scripts and models expect it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qgis import utils
from qgis.core import QgsApplication
from toolbox import declared, made_by_default

ROOT = Path(__file__).resolve().parents[2]

# Name, type, default, optional, advanced.
PARAMETERS = [
    ("INPUT", "raster", None, False, False),
    ("BANDS", "band", None, True, False),
    ("MODEL", "enum", "ffdnet-sar", False, False),
    ("MODEL_FILE", "file", None, True, False),
    ("DOMAIN", "enum", "auto", False, False),
    ("LOOKS", "number", None, True, False),
    ("KNOB", "number", None, True, False),
    ("EXTENT", "extent", None, True, False),
    ("DEVICE", "string", "auto", False, True),
    ("PRECISION", "enum", "auto", False, True),
    ("KNOB_AUTO", "boolean", False, False, True),
    ("SELF_ENSEMBLE", "boolean", False, False, True),
    ("LOOKS_MAP", "raster", None, True, True),
    ("CLASS_MAP", "raster", None, True, True),
    ("TILE_SIZE", "number", 0, False, True),
    ("STAGES", "number", 0, False, True),
    ("CREATION_OPTIONS", "string", "", True, True),
    ("OUTPUT", "rasterDestination", None, False, False),
    ("RATIO", "rasterDestination", None, True, False),
    ("SLOPE", "rasterDestination", None, True, False),
    ("BIAS", "rasterDestination", None, True, False),
    ("NOISE", "rasterDestination", None, True, False),
    ("NOISE_LEVEL", "rasterDestination", None, True, False),
]
FIGURES = [
    "LOOKS_USED",
    "KNOB_USED",
    "CORRELATION",
    "MEAN_RATIO",
    "VARIANCE_RATIO",
    "DOMAIN_USED",
    "DEVICE_USED",
    "MODEL_USED",
]


def test_parameters_are_stable(algorithm: Any) -> None:
    assert declared(algorithm) == PARAMETERS


def test_outputs_are_stable(algorithm: Any) -> None:
    names = [output.name() for output in algorithm.outputDefinitions()]
    assert names == ["OUTPUT", "RATIO", "SLOPE", "BIAS", "NOISE", "NOISE_LEVEL", *FIGURES]


def test_only_the_main_output_is_made_by_default(algorithm: Any) -> None:
    assert made_by_default(algorithm) == ["OUTPUT"]


def test_choices_are_names_not_numbers(algorithm: Any) -> None:
    for name, options in (
        ("DOMAIN", ["auto", "intensity", "amplitude", "db", "complex"]),
        ("PRECISION", ["auto", "fp32", "bf16", "fp16"]),
    ):
        definition = algorithm.parameterDefinition(name)
        assert definition.usesStaticStrings()
        assert definition.options() == options
    assert algorithm.parameterDefinition("MODEL").usesStaticStrings()
    assert "ffdnet-sar" in algorithm.parameterDefinition("MODEL").options()


def test_models_of_the_user_appear_in_the_list(
    plugin: Any, boxcar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speckless.plugin.toolbelt.settings import Settings

    settings = Settings(model_folder=str(Path(boxcar).parent))
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: settings))
    algorithm = plugin.provider.algorithm("despeckle").create()
    assert "boxcar-3" in algorithm.parameterDefinition("MODEL").options()


def test_help_explains_every_parameter(algorithm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "iface", object())
    text = algorithm.shortHelpString()
    for definition in algorithm.parameterDefinitions():
        assert definition.help()
        assert definition.description() in text
    assert "doi:10.1609/aaai.v33i01.33014031" in text
    assert "\n" not in text  # QGIS would break paragraphs there


def test_help_in_a_terminal_is_plain(algorithm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "iface", None)
    text = algorithm.shortHelpString()
    assert "MEAN_RATIO" in text
    assert not {"<", "&"} & set(text)


def test_algorithm_is_found_by_its_words(algorithm: Any) -> None:
    assert {"SAR", "speckle", "Sentinel-1", "DoPAMINE", "Lee"} <= set(algorithm.tags())
    assert algorithm.id() == "speckless:despeckle"


def test_provider_has_an_icon_and_a_version(plugin: Any) -> None:
    assert Path(plugin.provider.svgIconPath()).is_file()
    assert not plugin.provider.icon().isNull()
    assert plugin.provider.versionInfo().count(".") == 2


def test_shipped_model_knows_its_steps(plugin: Any) -> None:
    model = plugin.provider.algorithm("despeckle_and_ratio")
    assert model.canExecute()[0]
    destinations = {d.name() for d in model.parameterDefinitions() if d.isDestination()}
    assert destinations == {"despeckle:Despeckled", "decibels:Ratio in decibels"}


def test_settings_come_back_as_saved(qgis_app: Any) -> None:
    from speckless.plugin.toolbelt.settings import Settings

    before = Settings.load()
    try:
        Settings("/opt/python", "cuda:1", "/data/models").save()
        assert Settings.load() == Settings("/opt/python", "cuda:1", "/data/models")
        assert Settings.load().model_folders() == [Path("/data/models")]
    finally:
        before.save()


def test_unloading_leaves_nothing(plugin: Any) -> None:
    registry = QgsApplication.processingRegistry()
    plugin.unload()
    assert registry.providerById("speckless") is None
    plugin.initProcessing()
    assert registry.algorithmById("speckless:despeckle") is not None


def test_loads_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    (tmp_path / "safetensors.py").write_text("raise ImportError('no safetensors here')\n")
    script = f"""
import runpy
from qgis.core import QgsApplication
app = QgsApplication([], False)
app.initQgis()
runpy.run_path({str(ROOT / "tests" / "conftest.py")!r})
from speckless.plugin.main import SpecklessPlugin
import speckless.plugin.gui.dock
plugin = SpecklessPlugin(None)
plugin.initProcessing()
found = QgsApplication.processingRegistry().algorithmById("speckless:despeckle")
print("parameters", len(found.create().parameterDefinitions()))
plugin.unload()
app.exitQgis()
"""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        "QT_QPA_PLATFORM": "offscreen",
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"parameters {len(PARAMETERS)}" in done.stdout

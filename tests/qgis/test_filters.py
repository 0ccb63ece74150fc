"""The classical filters as Processing algorithms."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from despeckle_scenes import Recorder, mean_3x3, read
from osgeo import gdal
from qgis import utils
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
)
from toolbox import Run, in_toolbox

BEFORE, AFTER = ["INPUT", "BANDS", "DOMAIN"], ["EXTENT", "CREATION_OPTIONS", "OUTPUT"]
RATIO = ["MEAN_RATIO", "VARIANCE_RATIO", "DOMAIN_USED"]

# What each asks for between the raster and the extent: scripts and models rely on it.
OWN = {
    "boxcar": ["RADIUS"],
    "median": ["RADIUS", "LOOKS", "VARIANT"],
    "lee": ["RADIUS", "LOOKS"],
    "enhancedlee": ["RADIUS", "LOOKS", "DAMPING"],
    "refinedlee": ["LOOKS", "VARIANT"],
    "leesigma": ["RADIUS", "LOOKS", "VARIANT", "SIGMA"],
    "kuan": ["RADIUS", "LOOKS"],
    "gammamap": ["RADIUS", "LOOKS"],
    "frost": ["RADIUS", "VARIANT", "DAMPING"],
    "enhancedfrost": ["RADIUS", "LOOKS", "DAMPING"],
    "idan": ["RADIUS", "LOOKS", "SIZE"],
    "nlmeans": ["RADIUS", "LOOKS", "PATCH", "STRENGTH"],
    "sarbm3d": ["RADIUS", "LOOKS"],
    "wavelet": ["LOOKS", "SCALES"],
    "totalvariation": ["LOOKS", "STRENGTH", "ITERATIONS"],
    "mulog": ["LOOKS", "ITERATIONS"],
    "multitemporal": ["RADIUS"],
}


@pytest.fixture
def filtered(plugin: Any) -> Iterator[Run]:
    yield lambda name, *given, **parameters: in_toolbox(plugin, name)(*given, **parameters)
    # What was raised holds contexts and layers in cycles; they must not outlive QGIS.
    gc.collect()


def all_filters(plugin: Any) -> dict[str, QgsProcessingAlgorithm]:
    group = [a for a in plugin.provider.algorithms() if a.groupId() == "classicalfilters"]
    return {algorithm.name(): algorithm for algorithm in group}


def test_every_filter_is_there_with_stable_parameters(plugin: Any) -> None:
    found = {
        name: [parameter.name() for parameter in algorithm.parameterDefinitions()]
        for name, algorithm in all_filters(plugin).items()
    }
    assert found == {name: [*BEFORE, *own, *AFTER] for name, own in OWN.items()}


def test_outputs_and_options_are_stable(plugin: Any) -> None:
    flag = QgsProcessingParameterDefinition.Flag.FlagOptional
    for name, algorithm in all_filters(plugin).items():
        looks = ["LOOKS_USED"] if "LOOKS" in OWN[name] else []
        assert [o.name() for o in algorithm.outputDefinitions()] == ["OUTPUT", *looks, *RATIO]
        for parameter in algorithm.parameterDefinitions():
            if parameter.type() == "enum":
                assert parameter.usesStaticStrings()
            assert bool(parameter.flags() & flag) == (
                parameter.name() in ("BANDS", "LOOKS", "DAMPING", "EXTENT", "CREATION_OPTIONS")
            )


def test_help_holds_formula_parameters_and_papers(
    plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utils, "iface", object())
    for algorithm in all_filters(plugin).values():
        text = algorithm.shortHelpString()
        assert algorithm.shortDescription()
        assert algorithm.formula()[0] in text
        assert algorithm.references()
        assert "\n" not in text
        for parameter in algorithm.parameterDefinitions():
            assert parameter.help(), (algorithm.name(), parameter.name())
        for variant in algorithm.filter_class.variants:
            assert len(algorithm.filter_class.variants) == 1 or f"{variant}:" in text


@pytest.mark.parametrize("name", [name for name in OWN if name != "multitemporal"])
def test_every_filter_runs(
    filtered: Callable[..., Any], name: str, scene: str, intensity: np.ndarray, tmp_path: Path
) -> None:
    output = str(tmp_path / "out.tif")
    feedback = Recorder()
    looks = {"LOOKS": 4} if "LOOKS" in OWN[name] else {}
    results = filtered(name, feedback, INPUT=scene, OUTPUT=output, **looks)
    found = read(output)
    assert found.shape == intensity.shape
    assert found.std() < 0.8 * intensity.std()
    assert found.mean() == pytest.approx(intensity.mean(), rel=0.12)
    assert results["OUTPUT"] == output
    assert results["DOMAIN_USED"] == "intensity"
    assert results["MEAN_RATIO"] == pytest.approx(np.mean(intensity / found), rel=1e-4)
    assert results.get("LOOKS_USED") == looks.get("LOOKS")
    dataset = gdal.Open(output)
    assert dataset.GetMetadataItem("SPECKLESS_FILTER") == name
    assert any("Domain: intensity" in line for line in feedback.infos)


def test_parameters_reach_the_filter(
    filtered: Callable[..., Any], scene: str, intensity: np.ndarray, tmp_path: Path
) -> None:
    output = str(tmp_path / "out.tif")
    filtered("boxcar", INPUT=scene, OUTPUT=output, RADIUS=1)
    np.testing.assert_allclose(read(output), mean_3x3(intensity), rtol=1e-5)
    filtered("frost", INPUT=scene, OUTPUT=output, RADIUS=1, DAMPING=0.5, VARIANT="snap")
    tags = gdal.Open(output).GetMetadata()
    assert tags["SPECKLESS_DAMPING"] == "0.5"
    assert tags["SPECKLESS_VARIANT"] == "snap"
    assert tags["SPECKLESS_RADIUS"] == "1"


def test_part_and_band_of_a_stack(
    filtered: Callable[..., Any], write_raster: Any, intensity: np.ndarray, tmp_path: Path
) -> None:
    source = write_raster(np.stack([intensity, 2 * intensity]))
    output = str(tmp_path / "out.tif")
    filtered(
        "boxcar", INPUT=source, OUTPUT=output, RADIUS=1, BANDS=[2],
        EXTENT="500100,500300,4599700,4599900 [EPSG:32631]",
    )  # fmt: skip
    np.testing.assert_allclose(read(output), 2 * mean_3x3(intensity)[10:30, 10:30], rtol=1e-5)


def test_stack_is_filtered_together(
    filtered: Callable[..., Any], write_raster: Any, tmp_path: Path
) -> None:
    speckle = np.random.default_rng(0).gamma(1.0, 1.0, (6, 50, 60)).astype(np.float32)
    levels = np.arange(1, 7)[:, None, None]
    source, output = write_raster(levels * speckle), str(tmp_path / "out.tif")
    filtered("multitemporal", INPUT=source, OUTPUT=output)
    assert gdal.Open(output).RasterCount == 6
    for band in range(1, 7):
        found = read(output, band)
        assert found.mean() == pytest.approx(band, rel=0.05)
        assert found.mean() ** 2 / found.var() > 4
    with pytest.raises(QgsProcessingException, match="at least two bands"):
        filtered("multitemporal", INPUT=source, OUTPUT=output, BANDS=[2])


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("lee", {"LOOKS": 0}, "LOOKS must be a positive number"),
        ("lee", {"RADIUS": 0}, "radius must be 1 to 50"),
        ("lee", {"DOMAIN": "power"}, "DOMAIN must be one of auto, intensity"),
        ("frost", {"VARIANT": "envi"}, "VARIANT must be one of speckless, snap, otb"),
        ("idan", {"RADIUS": 9}, "radius must be 1 to 7"),
        ("leesigma", {"SIGMA": 0.99}, "sigma range must be 0.5 to 0.95"),
        ("frost", {"DAMPING": -1}, "damping factor must be a positive number"),
        ("lee", {"INPUT": "/no/such.tif"}, "There is no file /no/such.tif"),
        ("lee", {"BANDS": [7]}, "has no band 7"),
        ("lee", {"EXTENT": "0,10,0,10 [EPSG:32631]"}, "lies outside the raster"),
        ("lee", {"OUTPUT": "/no/such/folder/out.tif"}, "There is no folder /no/such/folder"),
    ],
    ids=str,
)
def test_refused(
    filtered: Callable[..., Any], scene: str, tmp_path: Path, name: str,
    parameters: dict[str, Any], message: str,
) -> None:  # fmt: skip
    wanted = {"INPUT": scene, "OUTPUT": str(tmp_path / "out.tif"), **parameters}
    with pytest.raises((ValueError, QgsProcessingException)) as refused:
        filtered(name, **wanted)
    assert message in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]

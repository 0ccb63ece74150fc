"""Writes resources/models/*.model3; run by hand when a shipped model changes.

QT_QPA_PLATFORM=offscreen .run/venv/bin/python tests/qgis/build_models.py
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsProcessing,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QPointF

ROOT = Path(__file__).resolve().parents[2]
runpy.run_path(str(ROOT / "tests" / "conftest.py"))

from speckless.plugin.core.models.registry import DEFAULT_MODEL  # noqa: E402


def despeckle_and_ratio() -> QgsProcessingModelAlgorithm:
    """Despeckle, then turn the ratio into decibels, where speckle taken away is even noise."""
    model = QgsProcessingModelAlgorithm("despeckle_and_ratio", "Despeckling", "despeckling")
    model.setName("Despeckle and ratio in decibels")
    model.setHelpContent(
        {
            "ALG_DESC": "Despeckles a SAR image and writes what was taken away, input/estimate, "
            "in decibels: 0 dB on average, and without any trace of the scene if all was well. "
            "An example of Speckless in a model; open it in the model designer and change it.",
            "ALG_CREATOR": "Speckless",
        }
    )
    parameters = [
        QgsProcessingParameterRasterLayer("INPUT", "SAR image"),
        QgsProcessingParameterString("MODEL", "Model", DEFAULT_MODEL),
        QgsProcessingParameterFile(
            "MODEL_FILE", "Model file (instead of a model by name)", optional=True
        ),
        QgsProcessingParameterNumber(
            "LOOKS",
            "Equivalent number of looks (estimated if empty)",
            QgsProcessingParameterNumber.Type.Double,
            None,
            optional=True,
            minValue=0.01,
        ),
    ]
    for row, parameter in enumerate(parameters):
        component = QgsProcessingModelParameter(parameter.name())
        component.setPosition(QPointF(150, 80 + 90 * row))
        model.addModelParameter(parameter, component)
    _add_despeckling(model, [parameter.name() for parameter in parameters])
    _add_decibels(model)
    return model


def finetune_despeckle_and_ratio() -> QgsProcessingModelAlgorithm:
    """Fine-tune on the image, despeckle it with the tuned model, then the ratio in decibels."""
    from speckless.processing_provider.models import affine_models

    model = QgsProcessingModelAlgorithm(
        "finetune_despeckle_and_ratio", "Despeckling", "despeckling"
    )
    model.setName("Fine-tune, despeckle and ratio in decibels")
    model.setHelpContent(
        {
            "ALG_DESC": "Adapts a DoPAMINE network to a SAR image, despeckles that with it and "
            "writes what was taken away, input/estimate, in decibels: 0 dB on average, and "
            "without any trace of the scene if all was well. The steps can be changed in the "
            "model designer.",
            "ALG_CREATOR": "Speckless",
        }
    )
    number = QgsProcessingParameterNumber
    parameters = [
        QgsProcessingParameterRasterLayer("INPUT", "SAR image"),
        QgsProcessingParameterString("MODEL", "Model to start from", affine_models()[1]),
        QgsProcessingParameterFile(
            "MODEL_FILE", "Model file (instead of a model by name)", optional=True
        ),
        number(
            "LOOKS", "Equivalent number of looks (estimated if empty)", number.Type.Double, None,
            optional=True, minValue=0.01,
        ),
        QgsProcessingParameterFeatureSource(
            "TRAINING_AREA", "Training area (polygons)",
            [QgsProcessing.TypeVectorPolygon], optional=True,
        ),
        QgsProcessingParameterString("DEPTH", "Depth: full, head or scale", "head"),
        number("EPOCHS", "Epochs", number.Type.Integer, 10, minValue=1),
    ]  # fmt: skip
    for row, parameter in enumerate(parameters):
        component = QgsProcessingModelParameter(parameter.name())
        component.setPosition(QPointF(150, 80 + 90 * row))
        model.addModelParameter(parameter, component)
    _add_finetuning(model, [parameter.name() for parameter in parameters])
    _add_despeckling(model, ["INPUT"], after_finetuning=True)
    _add_decibels(model)
    return model


def _add_finetuning(model: QgsProcessingModelAlgorithm, inputs: list[str]) -> None:
    source = QgsProcessingModelChildParameterSource
    child = QgsProcessingModelChildAlgorithm("speckless:finetune")
    child.setChildId("finetune")
    child.setDescription("Fine-tune")
    child.setPosition(QPointF(450, 80))
    for name in inputs:
        child.addParameterSources(name, [source.fromModelParameter(name)])
    for name, value in (
        ("DOMAIN", "auto"), ("AUGMENT", "AFT"), ("SEED", 0), ("STRIDE", 0), ("PIXELS", 262144),
        ("ADD_TO_MODELS", False), ("DEVICE", "auto"), ("PRECISION", "auto"),
    ):  # fmt: skip
        child.addParameterSources(name, [source.fromStaticValue(value)])
    _add_output(child, "Tuned model", "MODEL_OUTPUT", QPointF(750, 20))
    model.addChildAlgorithm(child)


def _add_despeckling(
    model: QgsProcessingModelAlgorithm, inputs: list[str], after_finetuning: bool = False
) -> None:
    source = QgsProcessingModelChildParameterSource
    child = QgsProcessingModelChildAlgorithm("speckless:despeckle")
    child.setChildId("despeckle")
    child.setDescription("Despeckle")
    child.setPosition(QPointF(450, 170))
    for name in inputs:
        child.addParameterSources(name, [source.fromModelParameter(name)])
    if after_finetuning:
        for name, output in (("MODEL_FILE", "MODEL_OUTPUT"), ("LOOKS", "LOOKS_USED")):
            child.addParameterSources(name, [source.fromChildOutput("finetune", output)])
        child.addParameterSources("MODEL", [source.fromStaticValue(DEFAULT_MODEL)])
    # QGIS wants a source for every mandatory parameter, even one with a default.
    for name, value in (
        ("DOMAIN", "auto"), ("DEVICE", "auto"), ("PRECISION", "auto"), ("TILE_SIZE", 0),
    ):  # fmt: skip
        child.addParameterSources(name, [source.fromStaticValue(value)])
    _add_output(child, "Despeckled", "OUTPUT", QPointF(750, 100))
    model.addChildAlgorithm(child)


def _add_decibels(model: QgsProcessingModelAlgorithm) -> None:
    source = QgsProcessingModelChildParameterSource
    child = QgsProcessingModelChildAlgorithm("gdal:rastercalculator")
    child.setChildId("decibels")
    child.setDescription("Ratio in decibels")
    child.setPosition(QPointF(450, 320))
    child.addParameterSources("INPUT_A", [source.fromChildOutput("despeckle", "RATIO")])
    for name, value in (("BAND_A", 1), ("FORMULA", "10*log10(A)"), ("RTYPE", 5)):
        child.addParameterSources(name, [source.fromStaticValue(value)])
    _add_output(child, "Ratio in decibels", "OUTPUT", QPointF(750, 320))
    model.addChildAlgorithm(child)


def _add_output(
    child: QgsProcessingModelChildAlgorithm, title: str, name: str, place: QPointF
) -> None:
    output = QgsProcessingModelOutput(title, title)
    output.setChildId(child.childId())
    output.setChildOutputName(name)
    output.setPosition(place)
    child.setModelOutputs({**child.modelOutputs(), title: output})


def main() -> int:
    """Write the models; exit code for the shell."""
    app = QgsApplication([], False)
    app.initQgis()
    sys.path.append(str(Path(app.pkgDataPath()) / "python" / "plugins"))
    from processing.core.Processing import Processing

    from speckless.plugin.main import SpecklessPlugin

    Processing.initialize()
    plugin = SpecklessPlugin(None)
    plugin.initProcessing()
    written = True
    for build in (despeckle_and_ratio, finetune_despeckle_and_ratio):
        path = ROOT / "resources" / "models" / f"{build.__name__}.model3"
        written = build().toFile(str(path)) and written
    plugin.unload()
    app.exitQgis()
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())

"""What is wrong with parameters before they make a job; the job's own checks are in the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.errors import InvalidInput
from ..plugin.engine.protocol import DEVICE_NAME

translate = QCoreApplication.translate


def check_choice(name: str, value: Any, options: list[str]) -> None:
    """Refuse what is not among the options; None stands for the default."""
    if value is not None and value not in options:
        raise InvalidInput(
            translate("Speckless", "{name} must be one of {options}, got '{value}'.").format(
                name=name, options=", ".join(options), value=value
            )
        )


def check_device(device: str) -> None:
    """Refuse what no device is called; whether it is there only the engine knows."""
    if not DEVICE_NAME.fullmatch(device.strip().lower()):
        raise InvalidInput(
            translate(
                "Speckless",
                "Unknown device '{device}'; give auto, cpu, cuda, cuda:N (N from 0) or mps.",
            ).format(device=device)
        )


def destination(value: Any) -> str:
    """File a user asked an output to be written to; "" for none or a temporary one."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    if not isinstance(value, str) or value == QgsProcessing.TEMPORARY_OUTPUT:
        return ""
    return value


def is_asked(value: Any) -> bool:
    """Tell whether an optional output is to be made."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    return bool(value)


def planned_file(name: str, value: Any) -> str:
    """File an output will go to, or one in the same folder if it is temporary; "" for none."""
    if not is_asked(value):
        return ""
    return destination(value) or str(Path(QgsProcessingUtils.tempFolder(), f"{name}.tif"))

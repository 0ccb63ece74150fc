"""The parameter DAMPING of the filters that have one."""

from __future__ import annotations

from qgis.core import QgsProcessingParameterNumber
from qgis.PyQt.QtCore import QCoreApplication

from ..base import SpecklessAlgorithm

translate = QCoreApplication.translate

DAMPING = "DAMPING"


def add_damping(algorithm: SpecklessAlgorithm, help: str) -> None:
    """Add the parameter, whose default the help tells."""
    algorithm.add(
        QgsProcessingParameterNumber(
            DAMPING,
            translate("Speckless", "Damping factor"),
            QgsProcessingParameterNumber.Type.Double,
            None,
            optional=True,
            minValue=0.001,
            maxValue=1000.0,
        ),
        help,
    )

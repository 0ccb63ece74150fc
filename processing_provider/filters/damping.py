"""The parameter DAMPING of the filters that have one."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ..base import SpecklessAlgorithm

translate = QCoreApplication.translate

DAMPING = "DAMPING"


def add_damping(algorithm: SpecklessAlgorithm, help: str) -> None:
    """Add the parameter, whose default the help tells."""
    title = translate("Speckless", "Damping factor")
    algorithm.add_number(DAMPING, title, None, help, least=0.001, most=1000.0)

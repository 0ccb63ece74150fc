"""The history of Processing, for runs that were not started from its dialogs."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsProcessingContext, QgsProject
from qgis.gui import QgsGui

from ..toolbelt import log


def record(algorithm_id: str, parameters: dict[str, Any]) -> bool:
    """Enter a call into the history, as the algorithm's own dialog does.

    Parameters
    ----------
    algorithm_id : str
    parameters : dict

    Returns
    -------
    bool
        False where there is no history: the plugin Processing is off.
    """
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(algorithm_id)
    if algorithm is None:
        return False
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    command = algorithm.asPythonCommand(parameters, context)
    if hasattr(QgsGui, "historyProviderRegistry"):  # since QGIS 3.24
        entry = {
            "python_command": command,
            "algorithm_id": algorithm.id(),
            "parameters": algorithm.asMap(parameters, context),
        }
        shell_command, is_complete = algorithm.asQgisProcessCommand(parameters, context)
        if is_complete:
            entry["process_command"] = shell_command
        QgsGui.historyProviderRegistry().addEntry("processing", entry)
    else:
        try:
            from processing.core.ProcessingLog import ProcessingLog
        except ImportError:
            log.info(f"Not in the history, for Processing is off: {command}")
            return False
        ProcessingLog.addToLog(command)
    QgsGui.instance().processingRecentAlgorithmLog().push(algorithm.id())
    return True

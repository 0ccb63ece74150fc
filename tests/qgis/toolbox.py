"""Algorithms run as the toolbox runs them: first checked, then run; and what the history says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from despeckle_scenes import Recorder
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProject,
)

Run = Callable[..., dict[str, Any]]


def in_toolbox(plugin: Any, name: str, **usual: Any) -> Run:
    """An algorithm of the plugin as a function of its parameters; ``usual`` are its defaults."""

    def run(
        feedback: Recorder | None = None,
        context: QgsProcessingContext | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Check the parameters and run; raise ValueError with what the user would read."""
        algorithm = plugin.provider.algorithm(name).create()
        if context is None:
            context = QgsProcessingContext()
            context.setProject(QgsProject.instance())
        parameters = {**usual, **parameters}
        accepted, problem = algorithm.checkParameterValues(parameters, context)
        if not accepted:
            raise ValueError(problem)
        feedback = feedback or Recorder()
        # Without catching, the QgsProcessingException of processAlgorithm reaches the test.
        results, succeeded = algorithm.run(parameters, context, feedback, {}, False)
        if not succeeded:
            raise ValueError("\n".join(feedback.errors))
        return results

    return run


def declared(algorithm: QgsProcessingAlgorithm) -> list[tuple[str, str, Any, bool, bool]]:
    """Name, type, default of the parameters; whether they are optional, and advanced."""
    flag = QgsProcessingParameterDefinition.Flag
    return [
        (
            definition.name(),
            definition.type(),
            definition.defaultValue(),
            bool(definition.flags() & flag.FlagOptional),
            bool(definition.flags() & flag.FlagAdvanced),
        )
        for definition in algorithm.parameterDefinitions()
    ]


def made_by_default(algorithm: QgsProcessingAlgorithm) -> list[str]:
    """Outputs that are written unless the user says no."""
    return [
        definition.name()
        for definition in algorithm.parameterDefinitions()
        if definition.isDestination() and definition.createByDefault()
    ]


def history() -> list[str]:
    """Calls in the history of Processing, in QGIS's order."""
    from qgis.gui import QgsGui

    if hasattr(QgsGui, "historyProviderRegistry"):  # since QGIS 3.24
        entries = QgsGui.historyProviderRegistry().queryEntries(providerId="processing")
        return [entry.entry["python_command"] for entry in entries]
    from processing.core.ProcessingLog import ProcessingLog

    return [entry.text for entry in ProcessingLog.getLogEntries()]

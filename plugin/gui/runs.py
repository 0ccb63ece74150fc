"""Starts the run on the whole layer and shows what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsMapLayer,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRasterRenderer,
)
from qgis.gui import QgisInterface
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication, QObject
from qgis.PyQt.QtWidgets import QWidget

from ...processing_provider.postprocess import renderer_for
from ..core.errors import RasterError
from ..jobs.despeckling import DespeckleJob, DespeckleResult
from ..raster.creation import check_output
from ..tasks.despeckling import DespeckleTask
from ..toolbelt import log
from . import history
from .choices import ALGORITHM, Choices
from .run_section import RunSection

translate = QCoreApplication.translate


class Runs(QObject):
    """One run at a time.

    Parameters
    ----------
    iface : QgisInterface
    section : RunSection
    choices : callable
        Gives the choices as they are.
    parent : QObject
    """

    def __init__(
        self,
        iface: QgisInterface,
        section: RunSection,
        choices: Callable[[], Choices],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._iface, self._section, self._choices = iface, section, choices
        self.task: DespeckleTask | None = None
        # Kept, or Python forgets what a dialog does when it is run.
        self.dialogs: list[QWidget] = []
        section.run_asked.connect(self.start)
        section.stop_asked.connect(self.stop)
        section.copy_asked.connect(self.copy_command)
        section.open_asked.connect(self.open_in_processing)

    def close(self) -> None:
        """End a run, leaving nothing."""
        task, self.task = self.task, None
        if task is not None:
            task.abandon()
        for dialog in self._open_dialogs():
            dialog.close()

    def start(self) -> None:
        """Despeckle the layer."""
        choices = self._choices()
        layer = QgsProject.instance().mapLayer(choices.layer_id)
        if self.task is not None or not isinstance(layer, QgsRasterLayer):
            return
        all_bands = self._section.all_bands.isChecked()
        name = translate("Speckless", "{layer} despeckled").format(layer=layer.name())
        wanted = self._section.output.filePath().strip()
        output = wanted or QgsProcessingUtils.generateTempFilename("despeckled.tif")
        try:
            check_output(output, [choices.path])
        except RasterError as error:
            self._section.outcome.setText(str(error))
            return
        job = choices.despeckle_job(output, all_bands)
        renderer = renderer_for(layer, job.bands or ())
        self._section.outcome.setText("")
        self._section.set_running(True)

        def outcome(result: DespeckleResult | None, problem: str) -> None:
            self._finish(job, result, problem, name, choices.layer_id, renderer)

        title = translate("Speckless", "Despeckling {layer}").format(layer=layer.name())
        self.task = DespeckleTask(job, title, outcome, [layer])
        self.task.progressChanged.connect(self._section.show_progress)
        QgsApplication.taskManager().addTask(self.task)
        history.record(ALGORITHM, choices.parameters(wanted, all_bands))

    def stop(self) -> None:
        """Cancel the run."""
        if self.task is not None:
            self._section.stop.setEnabled(False)
            self.task.cancel()

    def copy_command(self) -> None:
        """Put the run on the clipboard, as a command."""
        output, all_bands = self._output()
        QgsApplication.clipboard().setText(self._choices().command(output, all_bands))
        self._section.outcome.setText(translate("Speckless", "The command is on the clipboard."))

    def open_in_processing(self) -> None:
        """Open the algorithm's dialog, filled in."""
        import processing

        output, all_bands = self._output()
        dialog = processing.createAlgorithmDialog(
            ALGORITHM, self._choices().parameters(output, all_bands)
        )
        if dialog is None:
            self._section.outcome.setText(
                translate("Speckless", "Processing does not know {name}.").format(name=ALGORITHM)
            )
            return
        self.dialogs = [*self._open_dialogs(), dialog]
        dialog.show()

    def _open_dialogs(self) -> list[QWidget]:
        return [dialog for dialog in self.dialogs if not sip.isdeleted(dialog)]

    def _output(self) -> tuple[str, bool]:
        section = self._section
        return section.output.filePath().strip(), section.all_bands.isChecked()

    def _finish(
        self,
        job: DespeckleJob,
        result: DespeckleResult | None,
        problem: str,
        name: str,
        layer_id: str,
        renderer: QgsRasterRenderer | None,
    ) -> None:
        self.task = None
        self._section.set_running(False)
        if result is None:
            text = problem or translate("Speckless", "Cancelled; nothing was left.")
            self._section.outcome.setText(text)
            if problem:
                log.warning(problem)
                self._iface.messageBar().pushCritical("Speckless", problem.partition("\n")[0])
            return
        ratio = translate(
            "Speckless",
            "Ratio: mean {mean:.3f} (ideal 1), variance {variance:.3f} (speckle: {ideal:.3f}).",
        ).format(
            mean=result.mean_ratio, variance=result.variance_ratio, ideal=1 / result.looks_used
        )
        self._section.outcome.setText(
            ratio
            + " "
            + translate("Speckless", "{s:.1f} s on {device}.").format(
                s=result.seconds, device=result.device
            )
        )
        if QgsProject.instance().mapLayer(layer_id) is None:
            # The project was closed in the last moment: the result is not for the next one.
            self._iface.messageBar().pushInfo(
                "Speckless",
                translate("Speckless", "{name} is done, its layer gone: {path}.").format(
                    name=name, path=job.output
                ),
            )
            return
        # Without a style, where it gets one: QGIS's own reads pixels on the main thread.
        is_styled = renderer is not None and result.domain != "complex"
        options = QgsRasterLayer.LayerOptions(not is_styled)
        added = QgsRasterLayer(job.output, name, "gdal", options)
        if not added.isValid():
            self._iface.messageBar().pushCritical(
                "Speckless",
                translate("Speckless", "QGIS cannot open {path}.").format(path=job.output),
            )
            return
        if is_styled:
            added.setRenderer(renderer)
        _add_above(added, QgsProject.instance().mapLayer(layer_id))
        self._iface.messageBar().pushSuccess(
            "Speckless",
            translate("Speckless", "{name}: {file}. {ratio}").format(
                name=name, file=Path(job.output).name, ratio=ratio
            ),
        )


def _add_above(layer: QgsRasterLayer, other: QgsMapLayer | None) -> None:
    """Add a layer to the project, in the tree right above another."""
    project = QgsProject.instance()
    project.addMapLayer(layer, False)
    node = None if other is None else project.layerTreeRoot().findLayer(other.id())
    if node is None:
        project.layerTreeRoot().insertLayer(0, layer)
        return
    parent = node.parent()
    parent.insertLayer(parent.children().index(node), layer)

"""What all algorithms of Speckless have in common."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from qgis import utils
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QThread
from qgis.PyQt.QtGui import QIcon

from ..plugin.core.errors import Cancelled, SpecklessError
from ..plugin.jobs.messages import Caution
from ..plugin.toolbelt.paths import plugin_path
from .checks import is_asked
from .sources import gdal_source, raster_layer

translate = QCoreApplication.translate


@contextmanager
def told_to_qgis() -> Iterator[None]:
    """Turn the errors of a job into the one that QGIS shows without a traceback."""
    try:
        yield
    except Cancelled as error:
        # Returning would leave qgis_process with exit code 0 and no file.
        raise QgsProcessingException(translate("Speckless", "cancelled")) from error
    except SpecklessError as error:
        raise QgsProcessingException(str(error)) from error


class SpecklessAlgorithm(QgsProcessingAlgorithm):
    """An algorithm whose help is generated from its parameters.

    Attributes
    ----------
    GROUP : str
        Id of one of `_group_titles`.
    """

    GROUP: ClassVar[str]

    def group(self) -> str:
        return _group_titles()[self.GROUP]

    def groupId(self) -> str:
        return self.GROUP

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(plugin_path("resources", "icons", "speckless.svg"))

    def createInstance(self) -> SpecklessAlgorithm:
        return type(self)()

    def add(
        self, parameter: QgsProcessingParameterDefinition, help: str = "", advanced: bool = False
    ) -> None:
        """Add a parameter with its help, which appears as tool tip and in the help text."""
        parameter.setHelp(help)
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            parameter.setFlags(parameter.flags() | flag)
        self.addParameter(parameter)

    def add_choice(
        self,
        name: str,
        title: str,
        options: Sequence[str],
        help: str = "",
        default: str = "",
        advanced: bool = False,
    ) -> None:
        """Declare a choice of one word; the first of them unless there is a default."""
        choice = QgsProcessingParameterEnum(
            name,
            title,
            options=list(options),
            defaultValue=default or options[0],
            usesStaticStrings=True,
        )
        self.add(choice, help, advanced)

    def add_number(
        self,
        name: str,
        title: str,
        default: float | None,
        help: str,
        *,
        least: float | None = None,
        most: float | None = None,
        whole: bool = False,
        advanced: bool = False,
    ) -> None:
        """Declare a number, which may be left out where there is no default."""
        kinds = QgsProcessingParameterNumber.Type
        number = QgsProcessingParameterNumber(
            name, title, kinds.Integer if whole else kinds.Double, default, default is None
        )
        if least is not None:
            number.setMinimum(least)
        if most is not None:
            number.setMaximum(most)
        self.add(number, help, advanced)

    def add_extra_raster(self, name: str, title: str, help: str) -> None:
        """Declare a raster that is written only where it is asked for."""
        self.add(
            QgsProcessingParameterRasterDestination(
                name, title, optional=True, createByDefault=False
            ),
            help,
        )

    def add_report(self, help: str, by_default: bool = False) -> None:
        """Declare REPORT, a page."""
        self._add_file(
            "REPORT",
            translate("Speckless", "Report"),
            translate("Speckless", "HTML files (*.html)"),
            help,
            by_default,
        )

    def add_table(self, help: str) -> None:
        """Declare TABLE."""
        filter = "CSV (*.csv);;HTML (*.html)"
        self._add_file("TABLE", translate("Speckless", "Table"), filter, help, False)

    def _add_file(self, name: str, title: str, filter: str, help: str, by_default: bool) -> None:
        file = QgsProcessingParameterFileDestination(
            name, title, filter, optional=True, createByDefault=by_default
        )
        self.add(file, help)

    def add_figures(
        self, numbers: Sequence[tuple[str, str]], texts: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Declare outputs that are no layers or files, by name and title."""
        for name, title in numbers:
            self.addOutput(QgsProcessingOutputNumber(name, title))
        for name, title in texts:
            self.addOutput(QgsProcessingOutputString(name, title))

    def check(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """Find what is wrong with the parameters, before QGIS looks and before anything runs.

        Returns
        -------
        dict
            By name, the parameters that QGIS is to see otherwise than as given: layers of rasters
            that 3.22 does not find by itself.

        Raises
        ------
        SpecklessError
            Whose text the user reads.
        """
        return {}

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        # QGIS's own check says no more than "Incorrect parameter value", so ours goes first.
        try:
            seen = self.check(parameters, context)
        except SpecklessError as error:
            return False, str(error)
        return super().checkParameterValues({**parameters, **seen}, context)

    def raster(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> QgsRasterLayer | None:
        """Layer of a raster parameter, also where QGIS's own look-up finds none.

        Returns
        -------
        QgsRasterLayer or None
            None only of an optional parameter that was left out.

        Raises
        ------
        RasterError
            When there is no such raster.
        """
        flags, value = self.parameterDefinition(name).flags(), parameters.get(name)
        is_optional = bool(flags & QgsProcessingParameterDefinition.Flag.FlagOptional)
        if is_optional and value in (None, ""):
            return None
        return raster_layer(self.parameterAsRasterLayer(parameters, name, context), value)

    def raster_path(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> str | None:
        """Name that GDAL opens a raster parameter by; see `raster` and `gdal_source`."""
        layer = self.raster(parameters, name, context)
        return None if layer is None else gdal_source(layer)

    def rasters(
        self, parameters: dict[str, Any], names: Sequence[str], context: QgsProcessingContext
    ) -> dict[str, QgsRasterLayer]:
        """Layers of those raster parameters that are given, for `check`.

        Raises
        ------
        InvalidInput, RasterError
            When one is no raster, or none that GDAL reads.
        """
        found = {name: self.raster(parameters, name, context) for name in names}
        layers = {name: layer for name, layer in found.items() if layer is not None}
        for layer in layers.values():
            gdal_source(layer)
        return layers

    def asked_file(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> str:
        """File that an optional output goes to; "" where it is not asked for."""
        if not is_asked(parameters.get(name)):
            return ""
        return str(self.parameterAsFileOutput(parameters, name, context))

    def optional_number(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> float | None:
        """Number given for a parameter; None where it was left empty."""
        if parameters.get(name) in (None, ""):
            return None
        return self.parameterAsDouble(parameters, name, context)

    def introduction(self) -> list[str]:
        """Paragraphs (HTML) of the help after the short description."""
        return []

    def output_help(self) -> list[tuple[str, str]]:
        """Names and explanations of outputs that are no parameters."""
        return []

    def references(self) -> list[str]:
        """Papers to cite."""
        return []

    def academicReferences(self) -> list[str]:
        """Papers to cite, as QGIS 4 shows them; older versions never call this."""
        return self.references()

    def shortHelpString(self) -> str:
        """Help text: HTML for the window, plain for a terminal.

        QGIS makes a paragraph of every line, so the HTML is one line.
        """
        parts = [f"<p>{paragraph}</p>" for paragraph in self.introduction()]
        if not is_headless():  # qgis_process itself adds these
            parts.insert(0, f"<p>{self.shortDescription()}</p>")
            rows = [(p.description(), p.help()) for p in self.parameterDefinitions() if p.help()]
            parts += _section(translate("Speckless", "Parameters"), rows)
        parts += _section(translate("Speckless", "Results"), self.output_help())
        if self.references():
            parts.append(f"<h3>{translate('Speckless', 'References')}</h3>")
            parts += [f"<p>{html.escape(reference)}</p>" for reference in self.references()]
        text = "".join(parts)
        return _plain(text) if is_headless() else text


def _group_titles() -> dict[str, str]:
    return {
        "despeckling": translate("Speckless", "Despeckling"),
        "classicalfilters": translate("Speckless", "Classical filters"),
        "quality": translate("Speckless", "Quality"),
        "training": translate("Speckless", "Training"),
    }


def _section(title: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    items = [f"<p><b>{html.escape(name)}</b><br>{html.escape(text)}</p>" for name, text in rows]
    return [f"<h3>{title}</h3>", *items]


def _plain(text: str) -> str:
    text = re.sub(r"<br>", "\n  ", text)
    text = re.sub(r"</p>|</h3>", "\n", text)
    return html.unescape(re.sub(r"<[^>]+>", "", text)).strip()


def is_headless() -> bool:
    """Tell whether no QGIS window is there (qgis_process, scripts, servers)."""
    return utils.iface is None


class Progress:
    """Between a job, which knows no Qt, and the feedback of Processing.

    Parameters
    ----------
    feedback : QgsProcessingFeedback
    """

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        # In qgis_process an interrupt waits in the event loop that the algorithm keeps from
        # running. With a window, running it here would let the user's clicks in between.
        app = QCoreApplication.instance()
        on_main = app is not None and QThread.currentThread() == app.thread()
        self._let_events_in = on_main and is_headless()

    def __call__(self, done: float, message: str) -> None:
        """Show the part done (0 to 1) and a message, if there is one."""
        self._feedback.setProgress(100.0 * done)
        if isinstance(message, Caution):
            self._feedback.pushWarning(message)
        elif message:
            self._feedback.pushInfo(message)

    def is_cancelled(self) -> bool:
        """Tell whether the user asked to stop."""
        if self._let_events_in:
            QCoreApplication.processEvents()
        return bool(self._feedback.isCanceled())


def number_or_none(value: float) -> Any:
    """NaN is no number in JSON, which qgis_process writes."""
    return value if value == value else None

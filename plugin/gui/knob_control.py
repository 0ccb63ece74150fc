"""What joins the knob with the preview, the risk and the areas."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication, QObject

from ..core.area_statistics import AreaStatistics
from ..core.errors import SpecklessError
from ..core.knob_stack import ANCHORS, REACH
from ..core.models.card import ModelCard
from ..core.tiling import Window
from ..jobs.knob_search import RiskCurve, RiskSearch
from ..jobs.pictures import Picture
from ..jobs.preview import PreviewRequest
from ..jobs.scene_cache import Scene
from ..toolbelt import log
from .areas import Areas
from .background import Background
from .choices import Choices
from .knob_section import OCTAVES, KnobSection
from .numbers import number
from .previewer import Previewer

translate = QCoreApplication.translate

_STACK_OCTAVES = round(REACH).bit_length() - 1


class KnobControl(QObject):
    """Finds the risk over the knob in the background, and serves the knob's buttons.

    Parameters
    ----------
    section : KnobSection
    previewer : Previewer
        Goes first: the risk is estimated while it does not need the engine.
    areas : Areas
    parent : QObject
    """

    def __init__(
        self, section: KnobSection, previewer: Previewer, areas: Areas, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._section, self._previewer, self._areas = section, previewer, areas
        self._card: ModelCard | None = None
        self._scene: Scene | None = None
        self._request: PreviewRequest | None = None
        self._curve: RiskCurve | None = None
        self._given_up = self._is_wanted = self._is_running = False
        self._measured: dict[int, AreaStatistics] = {}
        self._search = RiskSearch()
        self._background = Background("risk", self)
        self._background.done.connect(self._take_curve)
        self._background.failed.connect(self._take_failure)
        section.auto_asked.connect(self._on_auto)
        section.area_asked.connect(self._on_area)
        section.original_toggled.connect(previewer.item.set_original)
        section.turn_changed.connect(self._say_risk)
        section.preview_toggled.connect(self._on_preview)
        previewer.began.connect(self._pause)
        previewer.rested.connect(self._go_on)
        previewer.drawn.connect(self._on_drawn)
        previewer.failed.connect(self._on_preview_failure)
        previewer.knob_progressed.connect(self._say_readiness)
        areas.measured.connect(self._take_area)

    @property
    def is_busy(self) -> bool:
        """Whether the risk is being estimated."""
        return self._is_running

    def close(self) -> None:
        """End the thread."""
        self._background.close()

    def follow(self, choices: Choices, scene: Scene | None, card: ModelCard | None) -> None:
        """Take over the layer, its looks and the model.

        Parameters
        ----------
        choices : Choices
        scene : Scene or None
            None as long as it is not measured.
        card : ModelCard or None
        """
        self._card, self._scene = card, scene
        if scene is None or card is None or choices.looks is None:
            self._forget(None)
            return
        self._follow_model(choices, card)
        request = choices.preview_request(Window(0, 0, 1, 1), 1)
        known = self._request
        if known is None or _without_knob(request) != _without_knob(known):
            self._forget(request)
        self._go_on()

    def _follow_model(self, choices: Choices, card: ModelCard) -> None:
        section = self._section
        section.set_views(
            ("despeckled", "ratio", "difference", *(("a", "b") if card.affine else ()))
        )
        has_knob = card.affine or not card.blind
        section.set_reach(OCTAVES if card.affine else _STACK_OCTAVES * has_knob)
        if not has_knob:
            section.show_readiness(
                translate("Speckless", "no knob"),
                translate("Speckless", "This model is not told a number of looks."),
            )
            if choices.turn != 1:
                section.set_looks(choices.looks, 1.0)
                section.turn_changed.emit(1.0)

    # ---- the risk -------------------------------------------------------------------------

    def _forget(self, request: PreviewRequest | None) -> None:
        self._pause()
        self._request, self._curve = request, None
        self._given_up = self._is_wanted = False
        self._section.show_curve(None)
        self._section.show_readiness("")
        card = self._card
        if request is None or card is None:
            self._section.set_auto(translate("Speckless", "Choose a raster first."))
            self._section.show_risk_note("")
        elif not card.affine:
            why = translate(
                "Speckless",
                "The error can be estimated of affine models only (DoPAMINE), which this is not.",
            )
            self._section.set_auto(why)
            self._section.show_risk_note(translate("Speckless", "No risk curve: not affine."), why)
        else:
            self._section.set_auto("")
            self._section.show_risk_note("")

    def _on_auto(self) -> None:
        if self._curve is not None:
            self._section.set_knob(self._curve.best)
            return
        self._is_wanted, self._given_up = True, False
        self._section.show_risk_note(translate("Speckless", "Estimating the risk …"))
        self._go_on()

    def _go_on(self) -> None:
        """Estimate the risk if it is of use, and the preview does not need the engine."""
        request, scene, card = self._request, self._scene, self._card
        if request is None or scene is None or card is None or not card.affine:
            return
        wanted = self._is_wanted or (self._previewer.is_active and not self._given_up)
        if self._curve is not None or self._is_running or not wanted:
            return
        if self._previewer.needs_engine:
            return
        self._section.show_risk_note(translate("Speckless", "Estimating the risk …"))
        search = self._search
        self._is_running = True
        self._background.submit(request, lambda stop: search.run(request, scene, stop))

    def _pause(self) -> None:
        """Leave the engine to the preview; `_go_on` goes on."""
        self._background.cancel()
        self._is_running = False

    def _take_curve(self, key: PreviewRequest, curve: RiskCurve) -> None:
        if key is not self._request:  # was on its way when things changed
            return
        self._is_running = False
        self._curve = curve
        self._section.show_curve(curve)
        self._say_risk()
        if self._is_wanted:
            self._is_wanted = False
            self._section.set_knob(curve.best)

    def _take_failure(self, key: PreviewRequest, error: Exception) -> None:
        if key is not self._request:
            return
        if not isinstance(error, SpecklessError):
            log.warning(f"{type(error).__name__}: {error}")
        self._given_up, self._is_wanted, self._is_running = True, False, False
        self._section.show_risk_note(str(error).partition("\n")[0], str(error))

    def _say_risk(self, *_: object) -> None:
        curve, section = self._curve, self._section
        if curve is None:
            return
        knob = curve.looks * section.turn
        here = curve.at(knob)
        best = translate("Speckless", "Least risk {least} ± {error} at L = {knob}").format(
            least=number(curve.least, 3), error=number(curve.error, 1), knob=number(curve.best, 3)
        )
        text = best + "."
        if here is not None:
            text = translate("Speckless", "{best}; here {risk}.").format(
                best=best, risk=number(here, 3)
            )
        tip = translate("Speckless", "From {pixels} pixels all over the scene.").format(
            pixels=f"{curve.pixels:,}"
        )
        if curve.at_edge:
            tip += " " + translate(
                "Speckless", "The risk still falls at the end: look at the result with care."
            )
            text += " " + translate("Speckless", "It still falls at the end.")
        if curve.caution:
            text = translate("Speckless", "Not to be trusted: the speckle is correlated.")
            text += " " + best + "."
            tip = curve.caution
        section.show_risk_note(text, tip)

    # ---- the areas --------------------------------------------------------------------------

    def _take_area(self, identifier: int, statistics: AreaStatistics | None, *_: object) -> None:
        if statistics is None:
            self._measured.pop(identifier, None)
        else:
            self._measured[identifier] = statistics

    def _on_area(self) -> None:
        there = [feature.id() for feature in self._areas.features()]
        chosen = self._areas.chosen
        if chosen not in there:
            chosen = there[0] if len(there) == 1 else None
        if chosen is None:
            text = (
                translate("Speckless", "Select one of the homogeneous areas in the list.")
                if there
                else translate("Speckless", "Draw a homogeneous area first.")
            )
            self._section.status.setText(text)
            return
        statistics = self._measured.get(chosen)
        enl = None if statistics is None else statistics.original.enl
        if enl is None or not enl > 0:
            self._section.status.setText(
                translate("Speckless", "This area has no ENL: too few pixels, or constant ones.")
            )
            return
        self._section.set_knob(enl)

    # ---- the preview ------------------------------------------------------------------------

    def _on_preview(self, active: bool) -> None:
        if not active:
            self._section.show_readiness("")

    def _on_preview_failure(self, error: Exception) -> None:
        # What is not ready will not be before the next preview; what is stays so.
        if not self._previewer.turns_at_once:
            self._section.show_readiness("")

    def _on_drawn(self, picture: Picture) -> None:
        legend, unit = self._section.legend, ""
        if picture.legend is None:
            legend.set_scale(None)
            return
        low, high = picture.legend
        middle = {"ratio": 1.0, "a": 0.5}.get(picture.view, 0.0)
        if picture.view == "difference" and picture.preview.scene.domain == "db":
            unit = "dB"
        legend.set_scale(picture.scale, (low, middle, high), unit)

    def _say_readiness(self, part: float) -> None:
        card = self._card
        if card is None or (card.blind and not card.affine):
            return
        if part >= 1:
            tip = (
                translate("Speckless", "The estimate at any knob follows from the maps a and b.")
                if card.affine
                else translate(
                    "Speckless",
                    "While it turns, pixels are interpolated between {count} values of L "
                    "(0.03 dB); when it rests, the network runs for this L.",
                ).format(count=ANCHORS)
            )
            self._section.show_readiness(translate("Speckless", "turns at once"), tip)
        else:
            self._section.show_readiness(
                translate("Speckless", "getting ready: {percent} %").format(
                    percent=round(100 * part)
                ),
                translate(
                    "Speckless",
                    "The network is run at {count} values of L, so that the knob will turn at "
                    "once. Until then it runs anew for each.",
                ).format(count=ANCHORS),
            )


def _without_knob(request: PreviewRequest) -> tuple[object, ...]:
    return (
        request.path, request.band, request.domain, request.model, request.model_file,
        request.looks, request.device, request.python,
    )  # fmt: skip

"""The dock's part about fine-tuning: what it may tune, and which network is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qgis.PyQt.QtCore import QCoreApplication, QObject

from ..core.tiling import Window
from .finetune_section import FineTuneSection
from .places import extent_text, visible_window
from .tunings import Tunings, why_not

translate = QCoreApplication.translate

if TYPE_CHECKING:
    from .dock import SpecklessDock


class TuningPart(QObject):
    """Joins the section and the tunings to the dock's choices.

    Parameters
    ----------
    dock : SpecklessDock
    section : FineTuneSection
    """

    def __init__(self, dock: SpecklessDock, section: FineTuneSection) -> None:
        super().__init__(dock)
        self._dock, self._section = dock, section
        # Each network has its own knob: by weights file, "" for the one chosen in the list.
        self._turns: dict[str, float] = {}
        self.tunings = Tunings(
            dock.iface, section, lambda: dock.choices, self._window, self._extent, self
        )
        self.tunings.switched.connect(self._on_switched)
        self.tunings.kept.connect(self._on_kept)
        dock.previewer.progressed.connect(self._on_preview_progress)

    def close(self) -> None:
        """End a tuning and forget the network on trial."""
        self.tunings.close()

    def refresh(self) -> None:
        """Say at which L it would tune, or why it cannot."""
        choices = self._dock.choices
        self._section.set_knob(choices.knob)
        card = self._dock.model_section.current()
        self._section.set_problem(why_not(card, bool(choices.path), choices.looks))
        if not choices.model_file:
            self._section.show_tuned(False)

    def untuned_turn(self) -> float:
        """Turn of the knob for a model chosen in the list; the others' are forgotten."""
        turn = self.lasting_turn()
        self._turns.clear()
        return turn

    def lasting_turn(self) -> float:
        """Turn of the knob to be saved: that of the model in the list."""
        choices = self._dock.choices
        return self._turns.get("", 1.0) if choices.model_file else choices.turn

    def _on_switched(self, path: str) -> None:
        choices = self._dock.choices
        if path == choices.model_file:
            return
        self._turns[choices.model_file] = choices.turn
        turn = self._turns.get(path, 1.0)
        self._dock.take_choices(replace(choices, model_file=path, turn=turn))

    def _on_kept(self, model: str) -> None:
        # What was on trial goes on being looked at, at its knob.
        turn = self._dock.choices.turn if self._dock.choices.model_file else 1.0
        self._turns.clear()
        self._dock.list_models(model)
        self._dock.take_choices(replace(self._dock.choices, model=model, model_file="", turn=turn))

    def _on_preview_progress(self, part: float) -> None:
        if part < 1 and self.tunings.task is not None:
            self._dock.knob_section.status.setText(
                translate("Speckless", "The preview waits until the fine-tuning is done.")
            )

    def _window(self) -> Window | None:
        layer, scene = self._dock.layer_section.current_layer(), self._dock.scene
        if layer is None or scene is None:
            return None
        return visible_window(self._dock.iface.mapCanvas(), layer, scene.placement)

    def _extent(self, window: Window) -> str | None:
        scene = self._dock.scene
        return None if scene is None else extent_text(scene.placement, window)

"""Which network, in short what it is, and on which device it runs."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QWidget

from ..core.models.card import ModelCard
from ..engine.client import Hello
from .widgets import Section, caption, keep_narrow, note

translate = QCoreApplication.translate


class _Models(QComboBox):
    """Tells when its list is about to be seen: files may have come and gone."""

    opening = pyqtSignal()

    def showPopup(self) -> None:
        self.opening.emit()
        super().showPopup()


class ModelSection(Section):
    """Chooses the model by its card."""

    model_changed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("model", translate("Speckless", "Model"), parent)
        grid = self.add_form()
        self.models = _Models()
        keep_narrow(self.models, 8)
        self.models.setToolTip(translate("Speckless", "Network that estimates the image"))
        grid.addWidget(caption(translate("Speckless", "&Network"), self.models), 0, 0)
        grid.addWidget(self.models, 0, 1)
        self.card = note()
        self.device = note()
        self.box.addWidget(self.card)
        self.box.addWidget(self.device)
        self._cards: dict[str, ModelCard] = {}
        self.models.currentIndexChanged.connect(self._on_index)

    def set_cards(self, cards: Sequence[ModelCard], chosen: str) -> None:
        """Fill the list; keeps the choice without telling of it if the model is there."""
        self._cards = {card.id: card for card in cards}
        self.models.blockSignals(True)
        self.models.clear()
        for card in cards:
            self.models.addItem(card.title, card.id)
            tip = translate("Speckless", "{id}: {parameters} parameters. {citation}").format(
                id=card.id, parameters=f"{card.parameters:,}", citation=card.citation
            )
            self.models.setItemData(self.models.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        index = self.models.findData(chosen)
        self.models.setCurrentIndex(max(index, 0))
        self.models.blockSignals(False)
        self._describe()

    def current(self) -> ModelCard | None:
        """Card of the model chosen."""
        return self._cards.get(self.models.currentData())

    def show_engine(self, hello: Hello) -> None:
        """Say which device computes, and honestly why it is not the GPU."""
        device = next((d for d in hello.devices if d.name == hello.default_device), None)
        title = device.title if device is not None and device.title else hello.default_device
        if hello.default_device == "cpu":
            text = translate("Speckless", "Runs on the CPU (threads: {threads}).").format(
                threads=hello.threads
            )
            why = hello.why_no_gpu()
            text += " " + (
                translate("Speckless", "No GPU: {why}.").format(why=why.rstrip("."))
                if why
                else translate("Speckless", "No GPU that torch can use was found.")
            )
        else:
            text = translate("Speckless", "Runs on {title}.").format(title=title)
        self.device.setText(text)
        self.device.setToolTip(
            f"torch {hello.torch}, Python {hello.python_version}\n{hello.python}"
        )

    def show_device(self, text: str) -> None:
        """Say something in place of the device."""
        self.device.setText(text)
        self.device.setToolTip("")

    def _on_index(self) -> None:
        self._describe()
        if self.models.currentData():
            self.model_changed.emit(self.models.currentData())

    def _describe(self) -> None:
        card = self.current()
        if card is None:
            self.card.setText(translate("Speckless", "No model is installed."))
            return
        low, high = card.looks_range
        looks = (
            translate("Speckless", "Trained for {low:g} to {high:g} looks.")
            if low < high
            else translate("Speckless", "Trained for {low:g} looks.")
        ).format(low=low, high=high)
        self.card.setText(" ".join(part for part in (card.description, looks) if part))

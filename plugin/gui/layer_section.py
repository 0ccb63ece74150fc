"""Which raster, which band, what it holds and how many looks it has."""

from __future__ import annotations

from qgis.core import QgsMapLayerProxyModel, QgsProviderRegistry, QgsRasterLayer
from qgis.gui import QgsMapLayerComboBox, QgsRasterBandComboBox
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import QAction, QComboBox, QDoubleSpinBox, QHBoxLayout, QWidget

from ..jobs.scene_cache import Scene
from .widgets import Section, caption, keep_narrow, note, theme_icon, tool_button

translate = QCoreApplication.translate


class LayerSection(Section):
    """Chooses the layer; shows what was found out about it."""

    layer_changed = pyqtSignal(object)  # QgsRasterLayer or None
    band_changed = pyqtSignal(int)
    domain_changed = pyqtSignal(str)
    looks_changed = pyqtSignal(object)  # float, or None for the estimate

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("layer", translate("Speckless", "Layer"), parent)
        self._grid = self.add_form()
        self._add_raster()
        self._add_domains()
        self._add_looks()
        self.found = note()
        self.box.addWidget(self.found)

        self._known = ""
        # Of a layer that is removed the combo itself tells only by its index.
        self.layers.layerChanged.connect(self._look)
        self.layers.currentIndexChanged.connect(self._look)
        self.bands.bandChanged.connect(self.band_changed)
        self.domains.activated.connect(self._on_domain)
        self.looks.valueChanged.connect(self._on_looks)
        self.estimate.triggered.connect(self._on_estimate)

    def _add_raster(self) -> None:
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        others = [p for p in QgsProviderRegistry.instance().providerList() if p != "gdal"]
        self.layers.setExcludedProviders(others)
        self.layers.setAllowEmptyLayer(False)
        keep_narrow(self.layers, 8)
        self.layers.setToolTip(translate("Speckless", "SAR image, with its speckle as it is"))
        self._grid.addWidget(caption(translate("Speckless", "&Raster"), self.layers), 0, 0)
        self._grid.addWidget(self.layers, 0, 1)

        self.bands = QgsRasterBandComboBox()
        keep_narrow(self.bands, 6)
        self.bands.setToolTip(translate("Speckless", "Band or polarisation to look at"))
        self._grid.addWidget(caption(translate("Speckless", "&Band"), self.bands), 1, 0)
        self._grid.addWidget(self.bands, 1, 1)

    def _add_domains(self) -> None:
        self.domains = QComboBox()
        for key, title in (
            ("auto", translate("Speckless", "Automatic")),
            ("intensity", translate("Speckless", "Intensity")),
            ("amplitude", translate("Speckless", "Amplitude")),
            ("db", translate("Speckless", "Decibels")),
            ("complex", translate("Speckless", "Complex")),
        ):
            self.domains.addItem(title, key)
        self.domains.setToolTip(
            translate("Speckless", "What the pixel values are; everything is computed in intensity")
        )
        self._grid.addWidget(caption(translate("Speckless", "&Values"), self.domains), 2, 0)
        self._grid.addWidget(self.domains, 2, 1)

    def _add_looks(self) -> None:
        self.looks = QDoubleSpinBox()
        self.looks.setRange(0.0, 10000.0)
        self.looks.setDecimals(2)
        self.looks.setSingleStep(0.1)
        self.looks.setKeyboardTracking(False)
        self.looks.setSpecialValueText(translate("Speckless", "unknown"))
        self.looks.setToolTip(
            translate(
                "Speckless",
                "Equivalent number of looks L of the speckle, estimated from the whole band "
                "unless you enter it. Speckle has variance 1/L.",
            )
        )
        self.estimate = QAction(
            theme_icon("mActionRefresh"), translate("Speckless", "Estimate from the scene"), self
        )
        self.estimate.setToolTip(translate("Speckless", "Go back to the looks the scene tells"))
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.looks, 1)
        row.addWidget(tool_button(self.estimate))
        self._grid.addWidget(caption(translate("Speckless", "L&ooks"), self.looks), 3, 0)
        self._grid.addLayout(row, 3, 1)

    def current_layer(self) -> QgsRasterLayer | None:
        """The raster chosen."""
        layer = self.layers.currentLayer()
        return layer if isinstance(layer, QgsRasterLayer) else None

    def sync(self) -> None:
        """Tell of the layer, whichever it is."""
        layer = self.current_layer()
        self._known = "" if layer is None else layer.id()
        self._on_layer(layer)

    def _look(self, _: object = None) -> None:
        layer = self.current_layer()
        if ("" if layer is None else layer.id()) != self._known:
            self.sync()

    def set_looks(self, looks: float | None) -> None:
        """Show a number of looks without telling of it."""
        self.looks.blockSignals(True)
        self.looks.setValue(0.0 if looks is None else looks)
        self.looks.blockSignals(False)

    def choose_domain(self, domain: str) -> None:
        """Take the values for something, and tell of it if that is new."""
        index = self.domains.findData(domain)
        if index >= 0 and index != self.domains.currentIndex():
            self.domains.setCurrentIndex(index)
            self._on_domain()

    def show_scene(self, scene: Scene, looks: float | None, given: bool) -> None:
        """Say what was found in the band."""
        names = {
            self.domains.itemData(index): self.domains.itemText(index)
            for index in range(self.domains.count())
        }
        text = translate("Speckless", "{domain}: {reason}.").format(
            domain=names[scene.domain], reason=scene.domain_reason
        )
        if looks is None:
            text += " " + translate(
                "Speckless", "The pixels do not tell the number of looks; enter it."
            )
        elif not given:
            text += " " + translate("Speckless", "Looks estimated from the scene.")
        self.found.setText(text)
        self.found.setToolTip("\n".join(scene.notes))
        self.set_looks(looks)

    def show_message(self, text: str) -> None:
        """Say something in place of what was found."""
        self.found.setText(text)
        self.found.setToolTip("")

    def _on_layer(self, raster: QgsRasterLayer | None) -> None:
        self.bands.blockSignals(True)
        self.bands.setLayer(raster)
        self.bands.blockSignals(False)
        self.domains.setCurrentIndex(0)
        for widget in (self.bands, self.domains, self.looks):
            widget.setEnabled(raster is not None)
        self.estimate.setEnabled(raster is not None)
        self.layer_changed.emit(raster)

    def _on_domain(self) -> None:
        self.domain_changed.emit(self.domains.currentData())

    def _on_looks(self, looks: float) -> None:
        self.looks_changed.emit(looks if looks > 0 else None)

    def _on_estimate(self) -> None:
        self.looks_changed.emit(None)

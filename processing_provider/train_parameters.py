"""What speckless:train asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.recipe import LOSSES
from ..plugin.jobs.training_settings import SPECKLES, TRAINABLE
from .models import installed_models
from .network_algorithm import PRECISIONS, NetworkAlgorithm

translate = QCoreApplication.translate

HALVES = ["auto", "no", "yes"]


class TrainParameters(NetworkAlgorithm):
    """The declaration of "Train model"."""

    CLEAN_FOLDER = "CLEAN_FOLDER"
    NOISY = "NOISY"
    REFERENCES = "REFERENCES"
    NOISY_FOLDER = "NOISY_FOLDER"
    REFERENCE_FOLDER = "REFERENCE_FOLDER"
    SPECKLE = "SPECKLE"
    LOOKS_FROM = "LOOKS_FROM"
    LOOKS_TO = "LOOKS_TO"
    STRETCH = "STRETCH"
    ARCHITECTURE = "ARCHITECTURE"
    ARGUMENTS = "ARGUMENTS"
    PARENT = "PARENT"
    LOSS = "LOSS"
    MINUTES = "MINUTES"
    STEPS = "STEPS"
    VALIDATION = "VALIDATION"
    PATCH = "PATCH"
    BATCH = "BATCH"
    LEARNING_RATE = "LEARNING_RATE"
    SEED = "SEED"
    HALF = "HALF"
    TITLE = "TITLE"
    ADD_TO_MODELS = "ADD_TO_MODELS"
    MODEL_OUTPUT = "MODEL_OUTPUT"
    REPORT = "REPORT"
    STEPS_DONE = "STEPS_DONE"
    HELD_OUT_LOSS = "HELD_OUT_LOSS"
    LOG_RMSE = "LOG_RMSE"
    PSNR = "PSNR"
    MODEL_ID = "MODEL_ID"

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "Two kinds of data: a folder of clean images, over which speckle is laid afresh at "
                "every step; or noisy rasters and a reference for each, such as <i>Temporal "
                "reference of a stack</i> makes. Give one of them.",
            ),
            translate(
                "Speckless",
                "The model is a file of its own for <i>Despeckle SAR image</i> (Own model file). "
                "While it runs, a checkpoint lies beside the model: a training that was "
                "stopped or killed goes on from there when it is run again with the same "
                "settings and data. Training on a CPU takes from half an hour; a GPU helps much.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        return [
            (self.STEPS_DONE, translate("Speckless", "Steps of the optimiser, in all.")),
            (
                f"{self.HELD_OUT_LOSS}, {self.LOG_RMSE}, {self.PSNR}",
                translate(
                    "Speckless",
                    "Of images that were not learnt from: the mean loss and the root mean square "
                    "of ln(estimate/reference) about its mean; for 8-bit pictures and the loss "
                    "mse, PSNR in dB, the mean over the ends of the range of looks, instead.",
                ),
            ),
            (
                f"{self.MODEL_ID}, {self.DEVICE_USED}",
                translate("Speckless", "Name of the model, and what did the work."),
            ),
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self._add_data()
        self._add_speckle()
        self._add_network()
        self._add_course()
        self._add_advanced()
        self._add_outputs()

    def _add_folder(self, name: str, title: str, help: str) -> None:
        behavior = QgsProcessingParameterFile.Behavior.Folder
        self.add(QgsProcessingParameterFile(name, title, behavior, optional=True), help)

    def _add_data(self) -> None:
        self._add_folder(
            self.CLEAN_FOLDER,
            translate("Speckless", "Folder of clean images"),
            translate(
                "Speckless",
                "Searched with its subfolders: 8-bit pictures (PNG, TIFF, JPEG, BMP; aerial "
                "photographs serve well), or rasters of backscatter almost without speckle.",
            ),
        )
        for name, title, help in (
            (
                self.NOISY, translate("Speckless", "Noisy rasters"),
                translate("Speckless", "With speckle as it is. Every band is learnt from."),
            ),
            (
                self.REFERENCES, translate("Speckless", "Their references"),
                translate(
                    "Speckless",
                    "One for each, of the same pixels and bands, put together by name or else by "
                    "order; or one for all. Nodata and zero count as not known.",
                ),
            ),
        ):  # fmt: skip
            self.add(
                QgsProcessingParameterMultipleLayers(
                    name, title, QgsProcessing.TypeRaster, optional=True
                ),
                help,
            )
        self._add_folder(
            self.NOISY_FOLDER,
            translate("Speckless", "Folder of noisy rasters"),
            translate("Speckless", "Instead of a list, with the next."),
        )
        self._add_folder(
            self.REFERENCE_FOLDER,
            translate("Speckless", "Folder of references"),
            translate("Speckless", "Files of the same names, endings aside."),
        )
        self.add_domain(translate("Speckless", "Of rasters; 8-bit pictures are gray levels."))

    def _add_speckle(self) -> None:
        self.add_looks(translate("Speckless", "Of the noisy rasters."))
        self.add_choice(
            self.SPECKLE,
            translate("Speckless", "Simulated speckle"),
            list(SPECKLES),
            translate(
                "Speckless",
                "Over clean images. correlated: as a coherent imager makes it, through point "
                "spreads of all widths up to 1 pixel: for real products. white: independent "
                "between pixels, as in most papers.",
            ),
        )
        self.add_number(
            self.LOOKS_FROM,
            translate("Speckless", "Simulated looks, from"),
            1.0,
            translate("Speckless", "The lowest number of looks the model is to serve."),
            least=0.1,
            most=1000.0,
        )
        self.add_number(
            self.LOOKS_TO,
            translate("Speckless", "Simulated looks, to"),
            8.0,
            translate("Speckless", "The highest; it may equal the lowest."),
            least=0.1,
            most=1000.0,
        )
        self.add(
            QgsProcessingParameterBoolean(
                self.STRETCH, translate("Speckless", "Stretch pictures over decades"), True
            ),
            translate(
                "Speckless",
                "Gives 8-bit pictures the range of values and the bright targets of radar images. "
                "Without it their gray levels are the intensity.",
            ),
        )

    def _add_network(self) -> None:
        self.add_choice(
            self.ARCHITECTURE,
            translate("Speckless", "Network"),
            list(TRAINABLE),
            translate("Speckless", "docs/models.md of the plugin tells what each is good for."),
            "ffdnet",
        )
        self.add(
            QgsProcessingParameterEnum(
                self.PARENT,
                translate("Speckless", "Go on from model (fresh weights if empty)"),
                options=[card.id for card in installed_models()],
                optional=True,
                usesStaticStrings=True,
            ),
            translate("Speckless", "Its network is taken; the one above does not count."),
        )
        self.add(
            QgsProcessingParameterFile(
                self.MODEL_FILE,
                translate("Speckless", "Go on from own model file"),
                QgsProcessingParameterFile.Behavior.File,
                optional=True,
                fileFilter=translate("Speckless", "Speckless models (*.safetensors)"),
            ),
            translate("Speckless", "Used instead of the model above."),
        )
        self.add_choice(
            self.LOSS,
            translate("Speckless", "Loss"),
            list(LOSSES),
            translate(
                "Speckless",
                "log sees dark pixels as well as bright ones: for radar images. mse is that of "
                "intensity, for gray levels; psnr counts every image alike.",
            ),
            "log",
        )

    def _add_course(self) -> None:
        self.add_number(
            self.MINUTES,
            translate("Speckless", "Time (minutes, 0 for no limit)"),
            30.0,
            translate(
                "Speckless",
                "The schedule is made as long as the first steps show this time to allow.",
            ),
            least=0,
            most=1e9,
        )
        self.add_number(
            self.STEPS,
            translate("Speckless", "Steps, at most"),
            None,
            translate("Speckless", "Length of the schedule, as far as the time allows."),
            least=1,
            most=1e9,
            whole=True,
        )
        self.add_number(
            self.VALIDATION,
            translate("Speckless", "Share held out"),
            0.1,
            translate(
                "Speckless",
                "Images, or of few images their lower parts, that are not learnt from but show how "
                "good the model is on others.",
            ),
            least=0,
            most=0.9,
        )
        self.add(
            QgsProcessingParameterBoolean(
                self.ADD_TO_MODELS, translate("Speckless", "Add the model to the list"), False
            ),
            translate(
                "Speckless",
                "Puts a copy into the folder of models in the user profile, under the name of "
                "the file; numbered where that is taken.",
            ),
        )

    def _add_advanced(self) -> None:
        for name, title, help in (
            (
                self.ARGUMENTS, translate("Speckless", "Arguments of the network"),
                translate(
                    "Speckless",
                    "Such as layers=8, channels=32 for a smaller, faster one; its own if empty.",
                ),
            ),
            (
                self.TITLE, translate("Speckless", "Title of the model"),
                translate("Speckless", "Shown in lists."),
            ),
        ):  # fmt: skip
            self.add(QgsProcessingParameterString(name, title, optional=True), help, advanced=True)
        self.add_number(
            self.PATCH,
            translate("Speckless", "Side of a patch (pixels)"),
            64,
            translate("Speckless", "Images must hold patches; take less for small ones."),
            least=16,
            most=512,
            whole=True,
            advanced=True,
        )
        self.add_number(
            self.BATCH,
            translate("Speckless", "Patches in a step"),
            16,
            translate("Speckless", "Memory and the time of a step grow with it."),
            least=1,
            most=1024,
            whole=True,
            advanced=True,
        )
        self.add_number(
            self.LEARNING_RATE,
            translate("Speckless", "Learning rate"),
            1e-3,
            translate(
                "Speckless",
                "Of the Adam optimiser, at its highest. Lower it where the training diverges, or "
                "to go on from a good model.",
            ),
            least=0,
            most=1.0,
            advanced=True,
        )
        self.add_number(
            self.SEED,
            translate("Speckless", "Seed"),
            0,
            translate("Speckless", "Of all that is random; the same gives the same."),
            least=0,
            most=2**31 - 1,
            whole=True,
            advanced=True,
        )
        self.add_choice(
            self.HALF,
            translate("Speckless", "Half precision on disk"),
            HALVES,
            translate(
                "Speckless",
                "Halves the file. auto does where the figures of the held-out images do not move.",
            ),
        )
        self.add_device(PRECISIONS[:3])

    def _add_outputs(self) -> None:
        self.add(
            QgsProcessingParameterFileDestination(
                self.MODEL_OUTPUT,
                translate("Speckless", "Model"),
                translate("Speckless", "Speckless models (*.safetensors)"),
            ),
            translate("Speckless", "Weights and a card that tells data, recipe and figures."),
        )
        self.add_report(
            translate(
                "Speckless",
                "One HTML file to read and print: curves of loss and held-out figures, samples "
                "before and after, settings, the card.",
            ),
        )
        self.add_figures(
            [
                (self.STEPS_DONE, translate("Speckless", "Steps done")),
                (self.HELD_OUT_LOSS, translate("Speckless", "Held-out loss")),
                (self.LOG_RMSE, translate("Speckless", "Held-out log-RMSE")),
                (self.PSNR, translate("Speckless", "Held-out PSNR")),
            ],
            [
                (self.MODEL_ID, translate("Speckless", "Name of the model")),
                (self.DEVICE_USED, translate("Speckless", "Device used")),
            ],
        )

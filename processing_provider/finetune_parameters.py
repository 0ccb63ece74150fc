"""What speckless:finetune asks for and gives: names, labels and help, side by side."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..plugin.core.tuning import DEPTHS, METHODS
from .models import tunable_models
from .network_algorithm import PRECISIONS, NetworkAlgorithm
from .papers import AINDNET, DESPECKNET, DOPAMINE

translate = QCoreApplication.translate

AUGMENTS = ["AFT", "FT"]
LARGEST_STRIDE = 8
FEWEST_PIXELS, MOST_PIXELS = 64, 2**26


class FineTuneParameters(NetworkAlgorithm):
    """The declaration of "Fine-tune model on SAR image"."""

    TRAINING_AREA = "TRAINING_AREA"
    METHOD = "METHOD"
    REFERENCE = "REFERENCE"
    MU = "MU"
    XI = "XI"
    LAMBDA = "LAMBDA"
    EPOCHS = "EPOCHS"
    LEARNING_RATE = "LEARNING_RATE"
    AUGMENT = "AUGMENT"
    DEPTH = "DEPTH"
    SEED = "SEED"
    STRIDE = "STRIDE"
    PIXELS = "PIXELS"
    ADD_TO_MODELS = "ADD_TO_MODELS"
    MODEL_OUTPUT = "MODEL_OUTPUT"
    OUTPUT = "OUTPUT"
    REPORT = "REPORT"
    RISK_BEFORE = "RISK_BEFORE"
    RISK_AFTER = "RISK_AFTER"
    RISK_CHANGE = "RISK_CHANGE"
    RISK_CHANGE_ERROR = "RISK_CHANGE_ERROR"
    BEST_EPOCH = "BEST_EPOCH"
    STRIDE_USED = "STRIDE_USED"
    MODEL_ID = "MODEL_ID"

    def introduction(self) -> list[str]:
        return [
            translate(
                "Speckless",
                "DoPAMINE learns from the very image it is to despeckle, without a clean one: "
                "its map a·Z + b is blind to the pixel itself, which makes an unbiased estimate "
                "of its squared error possible. That estimate is the loss. Some of the pixels "
                "are left out of it; by their estimated error (the risk) the best epoch is "
                "chosen, the untuned start among them.",
            ),
            translate(
                "Speckless",
                "The tuned model is a file of its own for <i>Despeckle SAR image</i>. The premise "
                "is speckle independent between pixels; where neighbours are correlated, the "
                "risk comes out too low, so only every n-th pixel is learnt from, and the log "
                "says so. A scene with more pixels than asked for is sampled by windows spread "
                "over it.",
            ),
        ]

    def output_help(self) -> list[tuple[str, str]]:
        return [
            (
                f"{self.RISK_BEFORE}, {self.RISK_AFTER}",
                translate(
                    "Speckless",
                    "Estimated mean squared error of the held-out pixels, over the scene's mean "
                    "intensity squared, or for models made for SAR over that of each pixel's "
                    "surroundings: a number without unit, comparable within one run only.",
                ),
            ),
            (
                f"{self.RISK_CHANGE}, {self.RISK_CHANGE_ERROR}",
                translate(
                    "Speckless",
                    "After less before, negative where the model got better, and the standard "
                    "error of that. Both risks are of the same pixels, so their difference is "
                    "known far better than either.",
                ),
            ),
            (
                f"{self.BEST_EPOCH}, {self.STRIDE_USED}, {self.LOOKS_USED}",
                translate(
                    "Speckless",
                    "Epoch whose weights were taken (0: those before), distance of the pixels "
                    "learnt from together, number of looks as given or estimated.",
                ),
            ),
            (
                f"{self.MODEL_ID}, {self.DEVICE_USED}",
                translate("Speckless", "Name of the tuned model, and what did the work."),
            ),
        ]

    def references(self) -> list[str]:
        return [
            DOPAMINE,
            DESPECKNET,
            AINDNET,
        ]

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.add_raster(
            translate(
                "Speckless",
                "One model is tuned on all of them. By default all but alpha and mask bands.",
            )
        )
        models, default = tunable_models()
        self.add_model(
            models,
            default,
            translate(
                "Speckless",
                "To start from. DoPAMINE models (affine, with maps a and b) and deSpeckNet models "
                "learn from the image alone; any other learns from the image and a reference.",
            ),
        )
        self._add_scene()
        self._add_tuning()
        self._add_advanced()
        self._add_outputs()

    def _add_scene(self) -> None:
        self.add_domain(translate("Speckless", "The result has the same domain."))
        self.add_looks()
        self.add_number_of_looks(
            self.KNOB,
            translate("Speckless", "Knob, in looks"),
            translate(
                "Speckless",
                "L the tuned model despeckles for; that of the scene if empty. A lower value than "
                "the scene's tunes towards a smoother result, a higher one towards a sharper one "
                "that keeps more speckle.",
            ),
        )
        self.add_extent(
            translate("Speckless", "Part of the image to learn from, and to despeckle. In any CRS.")
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.TRAINING_AREA,
                translate("Speckless", "Training area (polygons)"),
                [QgsProcessing.TypeVectorPolygon],
                optional=True,
            ),
            translate(
                "Speckless",
                "Learn from the pixels whose centres lie in these polygons, in any CRS; the "
                "despeckled image is not limited by them. Choose what matters to you in the scene.",
            ),
        )

    def _add_method(self) -> None:
        self.add_choice(
            self.METHOD,
            translate("Speckless", "Method"),
            ["auto", *METHODS],
            translate(
                "Speckless",
                "auto goes by the model. aft: DoPAMINE's, by its unbiased risk. despecknet: its "
                "phase 2, by how well estimate times estimated speckle give the image. transfer: "
                "AINDNet on pairs with REFERENCE, its normalisation, noise level estimator and "
                "last layer only. retrain: any model on such pairs, all weights.",
            ),
        )
        self.add(
            QgsProcessingParameterRasterLayer(
                self.REFERENCE, translate("Speckless", "Reference (speckle-free)"), optional=True
            ),
            translate(
                "Speckless",
                "For transfer and retrain: the same scene without speckle, such as a temporal "
                "mean, on the same pixels, in the same domain and bands. Where it has no data, "
                "nothing is learnt.",
            ),
        )

    def _add_tuning(self) -> None:
        self._add_method()
        self.add_number(
            self.EPOCHS,
            translate("Speckless", "Epochs (0: by method)"),
            0,
            translate(
                "Speckless",
                "Rounds over the pixels, at most; it ends after three that the held-out pixels "
                "do not bear out. By default, as in the papers, 10 for DoPAMINE and 1 for "
                "deSpeckNet; 10 on pairs.",
            ),
            least=0,
            most=10000,
            whole=True,
        )
        self.add_number(
            self.LEARNING_RATE,
            translate("Speckless", "Learning rate (by depth if empty)"),
            None,
            translate(
                "Speckless",
                "Of the Adam optimiser, per step. By default 6e-5 for full, 3e-5 where the "
                "speckle is correlated (the paper: 1.2e-5), 3e-4 for head, 1e-3 for scale. "
                "Lower it where the risk rises.",
            ),
            least=0.0,
        )
        self.add_choice(
            self.AUGMENT,
            translate("Speckless", "Augmentation"),
            AUGMENTS,
            translate(
                "Speckless",
                "AFT: every epoch sees all 8 flips and rotations, 8 steps an image; in the paper "
                "it gains more and overfits later. FT: only the image as it is, one step.",
            ),
        )
        self.add_choice(
            self.DEPTH,
            translate("Speckless", "Depth"),
            list(DEPTHS),
            translate(
                "Speckless",
                "full: all weights, as in the paper; a step costs three passes of the network over "
                "the pixels, long without a GPU. It gained 0.3 dB on average, 0.1 to 1.1 by image, "
                "on test images with white speckle. head: only the 1×1 layers at the end; the "
                "features before them are computed once a flip, which makes the whole about 15 "
                "times cheaper; it gained 0.05 to 0.15 dB on average. scale: a factor on each "
                "feature and the last layer; cheaper still, with the fewest numbers to learn: for "
                "small areas.",
            ),
        )
        self.add_number(
            self.SEED,
            translate("Speckless", "Seed"),
            0,
            translate(
                "Speckless",
                "Draws the pixels held out, the windows and the order; the same gives the same.",
            ),
            least=0,
            most=2**31 - 1,
            whole=True,
        )
        self.add(
            QgsProcessingParameterBoolean(
                self.ADD_TO_MODELS,
                translate("Speckless", "Add the tuned model to the list"),
                defaultValue=False,
            ),
            translate(
                "Speckless",
                "Puts a copy into the folder of models in the user profile, under the name of "
                "the file, or that of the start and the image; numbered where that is taken.",
            ),
        )

    def _add_advanced(self) -> None:
        self.add_number(
            self.STRIDE,
            translate("Speckless", "Stride (pixels, 0 for automatic)"),
            0,
            translate(
                "Speckless",
                "Learn from every n-th pixel of every n-th row together, which cures speckle "
                "that is correlated between neighbours. Automatic takes the least (up to 4) at "
                "which the correlation is below 0.1.",
            ),
            least=0,
            most=LARGEST_STRIDE,
            whole=True,
            advanced=True,
        )
        self.add_number(
            self.PIXELS,
            translate("Speckless", "Pixels to learn from, at most"),
            512 * 512,
            translate(
                "Speckless",
                "Of all bands together. Time and memory grow with it; the paper takes 512 × 512.",
            ),
            least=FEWEST_PIXELS,
            most=MOST_PIXELS,
            whole=True,
            advanced=True,
        )
        for name, title, value, help in (
            (
                self.MU,
                translate("Speckless", "Weight of image - estimate (deSpeckNet)"),
                0.01,
                translate("Speckless", "μ₂ of the paper: keeps the estimate near the image."),
            ),
            (
                self.XI,
                translate("Speckless", "Weight of image - estimate × speckle (deSpeckNet)"),
                1.0,
                translate("Speckless", "ξ of the paper."),
            ),
            (
                self.LAMBDA,
                translate("Speckless", "Weight of the total variation (deSpeckNet)"),
                0.0,
                translate(
                    "Speckless",
                    "λ of the paper: smooths. 0 for detected products, 1e-4 for single-look ones.",
                ),
            ),
        ):
            self.add_number(
                name,
                title,
                value,
                help,
                least=0.0,
                advanced=True,
            )
        self.add_self_ensemble()
        self.add_device(PRECISIONS[:3])

    def _add_outputs(self) -> None:
        self.add(
            QgsProcessingParameterFileDestination(
                self.MODEL_OUTPUT,
                translate("Speckless", "Tuned model"),
                translate("Speckless", "Speckless models (*.safetensors)"),
            ),
            translate(
                "Speckless",
                "Weights and a card that tells their parent, recipe and risks. For MODEL_FILE of "
                "Despeckle SAR image, on this image or on others like it.",
            ),
        )
        self.add_extra_raster(
            self.OUTPUT,
            translate("Speckless", "Despeckled by the tuned model"),
            translate("Speckless", "Whole image, or the extent; in the style of the input."),
        )
        self.add_report(
            translate(
                "Speckless",
                "One HTML file to read and print: settings, the course of the risk with standard "
                "errors, pictures and maps of a before and after.",
            ),
        )
        self.add_figures(
            [
                (self.RISK_BEFORE, translate("Speckless", "Estimated risk before")),
                (self.RISK_AFTER, translate("Speckless", "Estimated risk after")),
                (self.RISK_CHANGE, translate("Speckless", "Change of the risk")),
                (self.RISK_CHANGE_ERROR, translate("Speckless", "Standard error of the change")),
                (self.BEST_EPOCH, translate("Speckless", "Best epoch")),
                (self.STRIDE_USED, translate("Speckless", "Stride used")),
                (self.LOOKS_USED, translate("Speckless", "Number of looks used")),
            ],
            [
                (self.MODEL_ID, translate("Speckless", "Name of the tuned model")),
                (self.DEVICE_USED, translate("Speckless", "Device used")),
            ],
        )

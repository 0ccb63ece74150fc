"""The card of a model: what it is, what it expects, how good it was measured to be.

A card travels inside the weights file (safetensors header, key ``card``), so one file is all
that has to be copied. Reading it needs neither torch nor the safetensors package.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import ModelError

_MAX_HEADER_BYTES = 16 * 1024 * 1024

# Holes are filled from valid pixels no farther away than this.
FILL_RADIUS = 4

SCALES = ("none", "mean", "geometric")


@dataclass(frozen=True)
class ModelCard:
    """Description of one set of weights.

    Attributes
    ----------
    id : str
        Stable identifier, ``architecture-tag``; used in scripts and processing models.
    title : str
        Name shown in lists.
    architecture : str
        Key of `registry.ARCHITECTURES`.
    arguments : dict
        Keyword arguments of the architecture's constructor.
    radius : int
        Receptive radius in pixels: an output pixel depends on no pixel farther away.
    divisor : int
        Tiles must start at multiples of this many pixels (networks that downsample).
    affine : bool
        The estimate is a·Z + b with a and b blind to their own pixel.
    blind : bool
        The network does not read the number of looks.
    looks_range : tuple of float
        Looks seen in training, lowest and highest.
    scale : {"none", "mean", "geometric"}
        Frozen scene statistic the input is divided by, and the output multiplied with.
    training, quality : dict
        Recipe, data and budget; measured figures with their protocol.
    tensors_sha256 : str
        Digest of names, shapes, types and bytes of all tensors.
    """

    id: str
    title: str
    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)
    radius: int = 0
    divisor: int = 1
    affine: bool = False
    blind: bool = True
    looks_range: tuple[float, float] = (1.0, 1.0)
    scale: str = "none"
    parameters: int = 0
    description: str = ""
    citation: str = ""
    licence: str = "GPL-2.0-or-later"
    training: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    tensors_sha256: str = ""
    parent: str = ""

    @property
    def halo(self) -> int:
        """Pixels around a tile that its estimate depends on, filled holes included."""
        return self.radius + FILL_RADIUS

    def scene_scale(self, mean: float, geometric_mean: float) -> float:
        """The frozen statistic of the scene that the model's input is divided by."""
        return {"none": 1.0, "mean": mean, "geometric": geometric_mean}[self.scale]

    def to_json(self) -> str:
        """Serialise to JSON text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Parse JSON text; unknown keys of newer versions are ignored.

        Raises
        ------
        ModelError
            When the text is no card.
        """
        try:
            values = json.loads(text)
            known = {f.name for f in fields(cls)}
            values = {key: value for key, value in values.items() if key in known}
            values["looks_range"] = tuple(float(v) for v in values["looks_range"])
            card = cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"The model card cannot be read ({error}).") from error
        if card.scale not in SCALES:
            raise ModelError(f"The model card asks for an unknown scale '{card.scale}'.")
        return card

    @classmethod
    def read(cls, path: str | Path) -> ModelCard:
        """Read the card out of a weights file without loading the weights.

        Raises
        ------
        ModelError
            When the file is missing, is not a safetensors file, or carries no card.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                prefix = file.read(8)
                length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
                if not 0 < length <= _MAX_HEADER_BYTES:
                    raise ModelError(f"{path} is not a model file (safetensors).")
                header = json.loads(file.read(length))
        except OSError as error:
            raise ModelError(f"The model file {path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise ModelError(f"{path} is not a model file (safetensors).") from error
        metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
        if "card" not in metadata:
            raise ModelError(
                f"{path} carries no Speckless model card. Use a file written by Speckless."
            )
        return cls.from_json(metadata["card"])

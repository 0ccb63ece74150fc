"""The card of a model: what it is, what it expects, how good it was measured to be.

A card travels inside the weights file (safetensors header, key ``card``), so one file is all
that has to be copied. Reading it needs neither torch nor the safetensors package.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import ModelError

_MAX_HEADER_BYTES = 16 * 1024 * 1024

# Holes are filled from valid pixels no farther away than this.
FILL_RADIUS = 4

SCALES = ("none", "mean", "geometric")

# A card may come from a stranger: what lists and checks rely on.
_KINDS = {
    "id": str, "title": str, "architecture": str, "scale": str, "arguments": dict,
    "training": dict, "quality": dict, "radius": int, "affine": bool, "blind": bool,
    "per_scene": bool, "stages": int, "knob_level": dict,
}  # fmt: skip


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
    maps : tuple of str
        Further maps the network gives: "noise", the estimated speckle; "level", its estimated
        relative standard deviation (1/√L).
    per_scene : bool
        Normalises by statistics of the scene, frozen once per run.
    stages : int
        Stages of an unrolled network, of which fewer may be used; 0 for other networks.
    knob_level : dict
        What keeps the level of a network told fewer looks than the scene has, see
        `knob_level.level_factor`; empty where nothing is to be kept.
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
    maps: tuple[str, ...] = ()
    per_scene: bool = False
    stages: int = 0
    knob_level: dict[str, Any] = field(default_factory=dict)
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

    @property
    def for_radar(self) -> bool:
        """Made for the range of values of radar images, not for that of photographs."""
        return self.scale == "geometric"

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
            values["maps"] = tuple(str(name) for name in values.get("maps", ()))
            card = cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"The model card cannot be read ({error}).") from error
        for name, kind in _KINDS.items():
            if not isinstance(getattr(card, name), kind):
                raise ModelError(f"The model card cannot be read ({name} is no {kind.__name__}).")
        if not card.id.strip():
            raise ModelError("The model card cannot be read (the id is empty).")
        if card.scale not in SCALES:
            raise ModelError(f"The model card asks for an unknown scale '{card.scale}'.")
        return card

    @classmethod
    def read(cls, path: str | Path) -> ModelCard:
        """Read the card out of a weights file without loading the weights.

        Raises
        ------
        ModelError
            When the file is missing, is not a safetensors file, is cut short, or carries no card.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                prefix = file.read(8)
                length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
                if not 0 < length <= _MAX_HEADER_BYTES:
                    raise ModelError(f"{path} is not a model file (safetensors).")
                header = json.loads(file.read(length))
                size = file.seek(0, os.SEEK_END)
        except OSError as error:
            raise ModelError(f"The model file {path} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path} is not a model file (safetensors).") from error
        metadata = header.get("__metadata__") if isinstance(header, dict) else None
        if not isinstance(metadata, dict) or "card" not in metadata:
            raise ModelError(
                f"{path} carries no Speckless model card. Use a file written by Speckless."
            )
        if size < 8 + length + _data_bytes(header):
            raise ModelError(f"The model file {path} is damaged: it is cut short. Get it again.")
        return cls.from_json(metadata["card"])


def _data_bytes(header: dict[str, Any]) -> int:
    """Bytes of tensors that a safetensors header announces; 0 where it makes no sense."""
    try:
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        return max((int(entry["data_offsets"][1]) for entry in entries), default=0)
    except (KeyError, IndexError, TypeError, ValueError):
        return 0

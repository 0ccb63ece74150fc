"""What the user chose once for all, kept by QGIS under the group ``speckless``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from .paths import user_model_folder

GROUP = "speckless"


@dataclass
class Settings:
    """The settings, with what holds when nothing was chosen.

    Attributes
    ----------
    engine_python : str
        Interpreter of the engine; empty for the Python of QGIS. The environment variable
        ``SPECKLESS_PYTHON`` goes before it.
    device : str
        What "auto" stands for in the algorithms: "auto", "cpu", "cuda", "cuda:1", "mps".
    model_folder : str
        Folder with more weights; empty for ``speckless/models`` in the profile.
    threads : int
        CPU threads of the engine; 0 for its own choice, one a core.
    memory_limit : int
        MiB the engine may take, about; 0 for no bound.
    """

    engine_python: str = ""
    device: str = "auto"
    model_folder: str = ""
    threads: int = 0
    memory_limit: int = 0

    @classmethod
    def load(cls) -> Settings:
        """Read the settings of the running QGIS."""
        from qgis.core import QgsSettings

        stored = QgsSettings()
        loaded = cls()
        for field in fields(cls):
            default = getattr(loaded, field.name)
            value = str(stored.value(f"{GROUP}/{field.name}", default, type=str)).strip()
            if isinstance(default, int):
                # A damaged setting must not keep the plugin from loading.
                setattr(loaded, field.name, int(value) if value.isdecimal() else default)
            else:
                setattr(loaded, field.name, value or default)
        return loaded

    def save(self) -> None:
        """Store the settings in the user's profile."""
        from qgis.core import QgsSettings

        stored = QgsSettings()
        for field in fields(self):
            stored.setValue(f"{GROUP}/{field.name}", getattr(self, field.name))

    def model_folders(self) -> list[Path]:
        """Folders searched for weights besides the plugin's own."""
        return [Path(self.model_folder).expanduser() if self.model_folder else user_model_folder()]

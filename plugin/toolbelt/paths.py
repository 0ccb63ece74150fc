"""Where things are: in the plugin's folder and in the user's profile."""

from __future__ import annotations

from pathlib import Path

PLUGIN_FOLDER = Path(__file__).resolve().parents[2]


def plugin_path(*parts: str) -> Path:
    """Path of something shipped with the plugin."""
    return PLUGIN_FOLDER.joinpath(*parts)


def user_model_folder() -> Path:
    """Folder in the user's profile for weights of their own; it need not exist."""
    from qgis.core import QgsApplication

    return Path(QgsApplication.qgisSettingsDirPath()) / "speckless" / "models"

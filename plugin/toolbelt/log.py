"""Messages to the panel *Log Messages* of QGIS; to Python's logging outside QGIS."""

from __future__ import annotations

import logging

TAG = "Speckless"


def info(message: str) -> None:
    """Log what happened."""
    _log(message, "Info", logging.INFO)


def warning(message: str) -> None:
    """Log what the user should know."""
    _log(message, "Warning", logging.WARNING)


def _log(message: str, level: str, number: int) -> None:
    try:
        from qgis.core import Qgis, QgsMessageLog
    except ImportError:
        logging.getLogger(TAG).log(number, message)
        return
    # No notification: a bar over the map is for outcomes, not for the log.
    QgsMessageLog.logMessage(message, TAG, getattr(Qgis.MessageLevel, level), False)

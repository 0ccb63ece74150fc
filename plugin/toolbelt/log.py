"""Messages to the panel *Log Messages* of QGIS; to Python's logging outside QGIS."""

from __future__ import annotations

import logging

TAG = "Speckless"


def warning(message: str) -> None:
    """Log what the user should know."""
    try:
        from qgis.core import Qgis, QgsMessageLog
    except ImportError:
        logging.getLogger(TAG).warning(message)
        return
    # No notification: a bar over the map is for outcomes, not for the log.
    QgsMessageLog.logMessage(message, TAG, Qgis.MessageLevel.Warning, False)

"""Messages to the panel *Log Messages* of QGIS; to Python's logging outside QGIS."""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime

TAG = "Speckless"

# The last warnings of this session with their times, for the diagnostics report.
recent: deque[tuple[datetime, str]] = deque(maxlen=20)


def info(message: str) -> None:
    """Log what happened."""
    _log(message, logging.INFO)


def warning(message: str) -> None:
    """Log what the user should know."""
    recent.append((datetime.now(), message))
    _log(message, logging.WARNING)


def _log(message: str, level: int) -> None:
    try:
        from qgis.core import Qgis, QgsMessageLog
    except ImportError:
        logging.getLogger(TAG).log(level, message)
        return
    is_info = level == logging.INFO
    shown = Qgis.MessageLevel.Info if is_info else Qgis.MessageLevel.Warning
    # No notification: a bar over the map is for outcomes, not for the log.
    QgsMessageLog.logMessage(message, TAG, shown, False)

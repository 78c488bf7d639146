"""Log lines: one JSON object each, or plain text on a terminal."""

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from mylist.config.settings import Settings
from mylist.domain.timestamps import iso_format
from mylist.telemetry import tracing

_logger = logging.getLogger(__name__)


def configure(settings: Settings, request_id: Callable[[], str | None]) -> None:
    """Send all logs to standard error, from the level of the settings on.

    Args:
        settings: the settings in force.
        request_id: returns the id of the request in flight, if any.
    """
    handler = logging.StreamHandler(sys.stderr)
    readable = sys.stderr.isatty() and settings.app_env != "production"
    handler.setFormatter(_text_formatter() if readable else JsonFormatter(request_id))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Sanic logs every start and stop of its parts. Its errors come through the error handler.
    logging.getLogger("sanic").setLevel(logging.WARNING)
    # The driver's debug messages quote whole documents.
    logging.getLogger("pymongo").setLevel(logging.INFO)
    # It logs every request that it sends.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.INFO)


def switch_debug(settings: Settings) -> None:
    """Log everything from now on, including every request, or return to the level of the settings."""
    usual = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root = logging.getLogger()
    root.setLevel(usual if root.level == logging.DEBUG else logging.DEBUG)
    _logger.warning("The log level is now %s", logging.getLevelName(root.level).lower())


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, request and trace id, traceback.

    Args:
        request_id: returns the id of the request in flight, if any.
    """

    def __init__(self, request_id: Callable[[], str | None]) -> None:
        super().__init__()
        self._request_id = request_id

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": iso_format(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := self._request_id():
            line["requestId"] = request_id
            if trace_id := tracing.trace_id():
                line["traceId"] = trace_id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _text_formatter() -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")
    formatter.converter = time.localtime
    return formatter

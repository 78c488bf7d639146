"""Logs: one JSON object a line, or plain text on a terminal."""

import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from sanic import Request
from sanic.exceptions import ServerError

from mylist import tracing
from mylist.lists.item import iso_format
from mylist.settings import Settings

_logger = logging.getLogger(__name__)


def configure(settings: Settings) -> None:
    """Sends all logs to standard error, from the level of the settings on."""
    handler = logging.StreamHandler(sys.stderr)
    readable = sys.stderr.isatty() and settings.app_env != "production"
    handler.setFormatter(_text_formatter() if readable else JsonFormatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Sanic tells of every start and stop of its parts; its errors come through the error handler.
    logging.getLogger("sanic").setLevel(logging.WARNING)
    # The driver's debug messages quote whole documents.
    logging.getLogger("pymongo").setLevel(logging.INFO)
    # It tells of every request that it makes.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.INFO)


def switch_debug(settings: Settings) -> None:
    """Logs everything from now on, every request included, or again from the level of the settings on."""
    usual = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root = logging.getLogger()
    root.setLevel(usual if root.level == logging.DEBUG else logging.DEBUG)
    _logger.warning("Logging from level %s on", logging.getLevelName(root.level).lower())


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, request and trace id, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Gives the line."""
        line: dict[str, Any] = {
            "time": iso_format(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _whose()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _whose() -> dict[str, str]:
    """Tells which request the line belongs to, if to any."""
    try:
        request_id = Request.get_current().id
    except ServerError:
        return {}
    trace_id = tracing.trace_id()
    return {"requestId": str(request_id)} | ({"traceId": trace_id} if trace_id else {})


def _text_formatter() -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")
    formatter.converter = time.localtime
    return formatter

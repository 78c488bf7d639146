"""Logs: one JSON object a line, or plain text on a terminal."""

import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from mylist.lists.item import iso_format
from mylist.settings import Settings


def configure(settings: Settings) -> None:
    """Sends all logs to standard error, from the level of the settings on."""
    handler = logging.StreamHandler(sys.stderr)
    readable = sys.stderr.isatty() and settings.app_env != "production"
    handler.setFormatter(_text_formatter() if readable else JsonFormatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Sanic tells of every start and stop of its parts; its errors come through the error handler.
    logging.getLogger("sanic").setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Gives the line."""
        line: dict[str, Any] = {
            "time": iso_format(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _text_formatter() -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")
    formatter.converter = time.localtime
    return formatter

"""Log lines."""

import logging
import sys

import msgspec

from mylist.telemetry.logging_config import JsonFormatter


def test_a_log_line_is_one_json_object() -> None:
    record = logging.LogRecord("mylist.x", logging.WARNING, __file__, 1, "two\nlines of %s", ("text",), None)
    record.created = 1705746600.0

    line = JsonFormatter(lambda: None).format(record)

    assert "\n" not in line
    assert msgspec.json.decode(line) == {
        "time": "2024-01-20T10:30:00.000Z",
        "level": "warning",
        "logger": "mylist.x",
        "message": "two\nlines of text",
    }


def test_the_log_line_of_an_exception_has_its_traceback() -> None:
    try:
        int("inner")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())

    assert "ValueError: invalid literal" in msgspec.json.decode(JsonFormatter(lambda: None).format(record))["traceback"]

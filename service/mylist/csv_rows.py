"""Reads CSV (RFC 4180) row by row, in bounded memory. After a broken row, reading goes on with the next line."""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_ROW_LINES = 500
"""A quote that stays open for more lines is a stray quote."""
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NO_CLOSING_QUOTE = "a quotation mark opens a field that does not end; double marks within a field, or remove the mark"


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a file.

    Attributes:
        number: from 1.
        raw: its bytes without the line break; the first 200 of a line that is too long.
        is_too_long: whether it exceeds the maximum length of a line.
    """

    number: int
    raw: bytes
    is_too_long: bool = False


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row: its text, and its cells.

    Attributes:
        line: the row's lines joined, with the number of the first.
        cells: empty if the row cannot be read.
        error: why the row cannot be read, in one line; empty if it can be read.
    """

    line: TextLine
    cells: list[str]
    error: str = ""


class _EndlessRowError(Exception):
    """A row is too long."""


def rows(lines: Iterator[TextLine], *, max_bytes: int) -> Iterator[CsvRow]:
    """Yield the rows of a text, without blank lines.

    If a row cannot be read, only its first line is the error. The following lines are read again as rows.

    Args:
        lines: the lines. A line longer than `max_bytes` must have `is_too_long` set.
        max_bytes: maximum size of a row of several lines, in bytes.
    """
    waiting: deque[TextLine] = deque()
    taken: list[TextLine] = []

    def feed() -> Iterator[str]:
        size = 0
        while line := (waiting.popleft() if waiting else next(lines, None)):
            size = size + len(line.raw) if taken else len(line.raw)
            taken.append(line)
            if taken[1:] and (len(taken) > MAX_ROW_LINES or size > max_bytes):
                raise _EndlessRowError
            # UTF-8 is checked once the row is complete.
            yield line.raw.decode(errors="surrogateescape") + "\n"

    reader = csv.reader(feed(), strict=True)
    while True:
        taken.clear()
        error = ""
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_EndlessRowError, csv.Error) as failure:
            is_endless = isinstance(failure, _EndlessRowError) or "end of data" in str(failure)
            error = (
                _NO_CLOSING_QUOTE
                if is_endless
                else f"it is not CSV: {failure}; a quotation mark within a field must be doubled"
            )
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
            reader = csv.reader(feed(), strict=True)
        if not cells and not error:  # a blank line
            continue
        first = taken[0]
        raw = first.raw if len(taken) == 1 else b"\n".join(line.raw for line in taken)
        error = error or encoding_problem(raw)
        yield CsvRow(TextLine(first.number, raw, first.is_too_long), [] if error else cells, error)


def encoding_problem(raw: bytes) -> str:
    """Return why bytes are not valid UTF-8; empty if they are valid."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1}; save the file as UTF-8"
    return ""


def width_problem(cells: int, columns: int) -> str:
    """Return why a row with so many cells does not fit its header; empty if it does."""
    if cells == columns:
        return ""
    reason = "is the file cut?" if cells < columns else "is a field with commas not in quotes?"
    return f"it has {cells} fields, and the header has {columns}; {reason}"


def delimiter_problem(header: Sequence[str]) -> str:
    """Return a message if a header uses another usual delimiter instead of commas; empty otherwise."""
    for delimiter, called in _OTHER_DELIMITERS.items():
        if len(header) == 1 and delimiter in header[0]:
            return f"its columns are separated by {called}, and must be separated by commas"
    return ""

"""CSV with a header, as RFC 4180 has it: commas, fields with commas, quotes or line breaks in double quotes."""

import csv
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from mylist.catalogue_files.record import Record, decoded, read
from mylist.catalogue_files.text_lines import MAX_LINE_BYTES, TextLine, UnreadableFileError
from mylist.catalogue_files.title_schema import FIELDS, InvalidTitleError, validate
from mylist.domain.content import CONTENT_TYPES

_REQUIRED = ("contentType", "title")
_EXTERNAL = "externalIds."
_MAX_LINES = 500
"""Of one record; a quote that is open for longer was never meant to be."""
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_DATA = re.compile(r"[0-9a-fA-F]{24}|tt\d{7,}|" + "|".join(CONTENT_TYPES))
_FLAGS = {"true": True, "false": False, "1": True, "0": False}
_NO_CLOSING_QUOTE = "a quotation mark opens a field that does not end; double the marks within a field, or take it out"

csv.field_size_limit(MAX_LINE_BYTES)


class _EndlessRecordError(Exception):
    """A record goes on for too long."""


def records(rows: Iterator[TextLine]) -> Iterator[Record]:
    """Yield the records of lines, the first of which is the header. A broken one is an error, and the next line counts.

    Raises:
        UnreadableFileError: the header is missing or none of this catalogue's.
    """
    parts = _parts(rows)
    header = next(parts)
    columns = _columns(header)

    def parse(part: _Part) -> dict[str, Any]:
        cells = part.cells()
        if len(cells) != len(columns):
            raise InvalidTitleError(
                f"it has {len(cells)} fields, and the header has {len(columns)}; is a field with commas not in quotes?"
            )
        title: dict[str, Any] = {}
        for (name, external, convert), cell in zip(columns, cells, strict=True):
            if cell:
                if external:
                    title.setdefault("externalIds", {})[name] = cell
                else:
                    title[name] = convert(cell) if convert else cell
        return validate(title)

    for part in parts:
        yield read(part.line, partial(parse, part))


class _Part:
    """A record: its lines as one, and its cells."""

    __slots__ = ("_cells", "_error", "line")

    def __init__(self, line: TextLine, cells: list[str], error: str = "") -> None:
        self.line = line
        self._cells = cells
        self._error = error

    def cells(self) -> list[str]:
        """Return the cells.

        Raises:
            InvalidTitleError: it is no record.
        """
        if self._error:
            raise InvalidTitleError(self._error)
        return self._cells


def _parts(rows: Iterator[TextLine]) -> Iterator[_Part]:
    """Yield records. Of one that cannot be read, the first line alone is the error; those after it are read again."""
    waiting: deque[TextLine] = deque()
    taken: list[TextLine] = []

    def feed() -> Iterator[str]:
        size = 0
        while line := (waiting.popleft() if waiting else next(rows, None)):
            size = size + len(line.raw) if taken else len(line.raw)
            taken.append(line)
            if taken[1:] and (len(taken) > _MAX_LINES or size > MAX_LINE_BYTES):
                raise _EndlessRecordError
            # The record gets the text again; this reader must not fail for an encoding.
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
        except (_EndlessRecordError, csv.Error) as failure:
            is_endless = isinstance(failure, _EndlessRecordError) or "end of data" in str(failure)
            error = _NO_CLOSING_QUOTE if is_endless else f"it is no CSV: {failure}; a mark within a field is doubled"
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
            reader = csv.reader(feed(), strict=True)
        if not cells and not error:  # a blank line
            continue
        first = taken[0]
        raw = first.raw if len(taken) == 1 else b"\n".join(line.raw for line in taken)
        line = TextLine(first.number, raw, first.is_too_long)
        if not error:
            try:
                decoded(raw)
            except InvalidTitleError as failure:
                error = str(failure)
        yield _Part(line, cells, error)


_Column = tuple[str, bool, Callable[[str], Any] | None]
"""The name of a field, or of an external id; whether it is one; what makes a value of a cell, None for text."""


def _columns(header: _Part) -> list[_Column]:
    try:
        names = [name.strip() for name in header.cells()]
    except InvalidTitleError as error:
        raise UnreadableFileError(f"its header cannot be read: {error}") from None
    for delimiter, called in _OTHER_DELIMITERS.items():
        if len(names) == 1 and delimiter in names[0]:
            raise UnreadableFileError(f"its columns are separated by {called}, and must be by commas")
    lacking = [name for name in _REQUIRED if name not in names]
    if lacking and any(_DATA.fullmatch(name) for name in names):
        raise UnreadableFileError("its header is missing: line 1 must name the columns, as in id,contentType,title")
    if not lacking and not any(name == "id" or name.startswith(_EXTERNAL) for name in names):
        lacking = [f"id or {_EXTERNAL}NAME"]
    if lacking:
        raise UnreadableFileError(
            f"its header lacks {' and '.join(lacking)}; it has {', '.join(names)[:200]}; "
            "the schema says how they are called"
        )
    if double := [name for name, count in Counter(names).items() if count > 1]:
        raise UnreadableFileError(f"its header names {', '.join(double)} twice")
    return [_column(name) for name in names]


def _column(name: str) -> _Column:
    if name.startswith(_EXTERNAL):
        return name.removeprefix(_EXTERNAL), True, None
    return name, False, _CONVERSIONS.get(name) if name in FIELDS else None


def _whole_number(cell: str) -> int | str:
    return int(cell) if re.fullmatch(r"-?[0-9]{1,18}", cell) else cell


def _flag(cell: str) -> bool | str:
    return _FLAGS.get(cell.lower(), cell)


def _names(cell: str) -> Any:  # noqa: ANN401 - the schema says what it may be
    """Return a list that is written as `Crime|Drama`, or as JSON."""
    return _json(cell) if cell.startswith("[") else cell.split("|")


def _json(cell: str) -> Any:  # noqa: ANN401 - the schema says what it may be
    try:
        return msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidTitleError(f"a field is no JSON: {error}") from None


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "releaseYear": _whole_number,
    "endYear": _whole_number,
    "runtimeMinutes": _whole_number,
    "isAdult": _flag,
    "genres": _names,
    "actors": _names,
    "episodes": _json,
}

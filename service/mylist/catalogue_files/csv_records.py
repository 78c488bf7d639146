"""Reads CSV with a header (RFC 4180): fields with commas, quotes or line breaks are in double quotes."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from mylist.catalogue_files.record import Record, read
from mylist.catalogue_files.text_lines import MAX_LINE_BYTES, UnreadableFileError
from mylist.catalogue_files.title_schema import FIELDS, InvalidTitleError, validate
from mylist.csv_rows import CsvRow, TextLine, delimiter_problem, rows, width_problem
from mylist.domain.content import CONTENT_TYPES

_REQUIRED = ("contentType", "title")
_EXTERNAL = "externalIds."
_DATA = re.compile(r"[0-9a-fA-F]{24}|tt\d{7,}|" + "|".join(CONTENT_TYPES))
_FLAGS = {"true": True, "false": False, "1": True, "0": False}

csv.field_size_limit(MAX_LINE_BYTES)


def records(lines: Iterator[TextLine]) -> Iterator[Record]:
    """Yield the records of lines; the first line is the header. Reading goes on after a broken record.

    Raises:
        UnreadableFileError: the header is missing, or not one of this catalogue.
    """
    parts = rows(lines, max_bytes=MAX_LINE_BYTES)
    header = next(parts)
    columns = _columns(header)

    def parse(part: CsvRow) -> dict[str, Any]:
        cells = _cells(part)
        if problem := width_problem(len(cells), len(columns)):
            raise InvalidTitleError(problem)
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


_Column = tuple[str, bool, Callable[[str], Any] | None]
"""The name of a field or an external id, whether it is an external id, and the parser of its cells (None: text)."""


def _cells(row: CsvRow) -> list[str]:
    """Return the cells of a row.

    Raises:
        InvalidTitleError: it cannot be read.
    """
    if row.error:
        raise InvalidTitleError(row.error)
    return row.cells


def _columns(header: CsvRow) -> list[_Column]:
    try:
        names = [name.strip() for name in _cells(header)]
    except InvalidTitleError as error:
        raise UnreadableFileError(f"its header cannot be read: {error}") from None
    if names[0].startswith("tconst") and "contentType" not in names:
        raise UnreadableFileError(
            "it is IMDb's file with other delimiters than tabs: import title.basics.tsv as it was downloaded"
        )
    if problem := delimiter_problem(names):
        raise UnreadableFileError(problem)
    lacking = [name for name in _REQUIRED if name not in names]
    if lacking and any(_DATA.fullmatch(name) for name in names):
        raise UnreadableFileError("its header is missing: line 1 must name the columns, as in id,contentType,title")
    if not lacking and not any(name == "id" or name.startswith(_EXTERNAL) for name in names):
        lacking = [f"id or {_EXTERNAL}NAME"]
    if lacking:
        raise UnreadableFileError(
            f"its header lacks {' and '.join(lacking)}; it has {', '.join(names)[:200]}. "
            "The schema has the names of the columns"
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
    """Parse a list that is written as `Crime|Drama`, or as JSON."""
    return _json(cell) if cell.startswith("[") else cell.split("|")


def _json(cell: str) -> Any:  # noqa: ANN401 - the schema says what it may be
    try:
        return msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidTitleError(f"a field is not JSON: {error}") from None


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "releaseYear": _whole_number,
    "endYear": _whole_number,
    "runtimeMinutes": _whole_number,
    "isAdult": _flag,
    "genres": _names,
    "actors": _names,
    "episodes": _json,
}

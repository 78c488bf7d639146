"""Recognizes the file of a list by its header or its structure, and reads it line by line."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from typing import Any, Literal

import msgspec

from mylist.csv_rows import CsvRow, TextLine, delimiter_problem, rows, width_problem
from mylist.domain.errors import UnknownListFormatError
from mylist.list_files import imdb, letterboxd, plain, trakt
from mylist.list_files.entry import Added, Entry
from mylist.list_files.json_elements import NoArrayError, elements
from mylist.list_files.values import InvalidValueError

MAX_ROW_BYTES = 64 * 1024
CSV, JSON = "text/csv", "application/json"
ListFormat = Literal["imdb", "letterboxd", "trakt", "titles"]
"""The origin of a file; `titles` is a list that a person wrote or this service exported."""
ACCEPTED = {
    CSV: "IMDb's export of a watchlist or list (columns Position, Const, Created, Title, Year), Letterboxd's "
    "watchlist.csv (Date, Name, Year, Letterboxd URI) or list (Position, Name, Year, URL, Description), Trakt's list "
    "(rank, listed_at, type, title, year, trakt_id, imdb_id), an export of this service, or columns such as "
    "title, year, type, addedAt, imdb",
    JSON: "a JSON array: Trakt's lists-watchlist.json (type, listed_at, movie or show), or objects such as "
    '{"title":"Alien","year":1979,"type":"movie","addedAt":"2024-01-20"}',
}
_MAX_PREAMBLE_ROWS = 8
_DAY_MS = int(timedelta(days=1) / timedelta(milliseconds=1))
_LATER_DATES = ("watchedat", "lastwatchedat", "ratedat", "collectedat")
"""The fields of Trakt's history, ratings and collections that replace `listed_at`."""
_NOT_A_LIST = "it is {}'s file of watched or rated titles, but must be a watchlist or another list"

_TURN = 100
_PAUSE = Entry(0)
"""Yielded instead of an entry during the first pass over the lines, to give others a turn."""

_Read = Callable[[int, Mapping[str, Any]], Entry]


@dataclass(frozen=True, slots=True)
class _Form:
    """The format of a file.

    Attributes:
        name: the origin of the file.
        read: converts the fields of a line to an entry.
        is_exact: whether equal times are exact, as in an export of this service.
    """

    name: ListFormat
    read: _Read
    is_exact: bool = False


class TooManyLinesError(Exception):
    """The file of a list has more lines than an import may have."""


class ListFile:
    """The file of a list.

    Args:
        body: the file.
        media_type: `CSV` or `JSON`.
        now: milliseconds since 1970 UTC.
        max_lines: maximum number of lines.

    Attributes:
        format: the origin of the file.

    Raises:
        UnknownListFormatError: the format is unknown.
    """

    def __init__(self, body: bytes | bytearray, media_type: str, now: int, *, max_lines: int) -> None:
        self._body = body
        self._media_type = media_type
        self._now = now
        self._max_lines = max_lines
        self._form = self._csv_form(self._rows())[0] if media_type == CSV else self._json_form()
        self.format: ListFormat = self._form.name if self._form else "titles"

    def entries(self) -> Iterator[Entry]:
        """Yield the entry of each line. Lines with equal times get times that keep them in order.

        A first pass counts the lines and detects the direction of the dates: if the first line of a file is the oldest,
        the first line of each day is the oldest of that day. During this pass, pauses are yielded (`is_pause`).

        Raises:
            TooManyLinesError: the file has more than `max_lines` lines; only pauses were yielded.
        """
        if self._form is None:
            return
        counts: Counter[int] = Counter()
        rises = 0
        before: int | None = None
        for number, entry in enumerate(self._read(), start=1):
            if number > self._max_lines:
                raise TooManyLinesError
            if entry.added and not entry.problem:
                at = self._moment(entry.added)
                rises += 0 if before is None else (at > before) - (at < before)
                before = at
                counts[at] += 1
            if not number % _TURN:
                yield _PAUSE
        if self._form.is_exact:
            yield from self._read()
            return
        seen: Counter[int] = Counter()
        for entry in self._read():
            if not entry.added or entry.problem:
                yield entry
                continue
            at = self._moment(entry.added)
            place = seen[at]
            seen[at] += 1
            later = place if rises > 0 else counts[at] - 1 - place
            # No item that gets the current time may be later than now.
            yield replace(entry, added=Added(at + later - (counts[at] - 1 if at == self._now else 0)))

    def _moment(self, added: Added) -> int:
        """Return when something was saved. A day that has begun only in other time zones counts as now."""
        if added.is_day and self._now < added.at <= self._now + _DAY_MS:
            return self._now
        return added.at

    def _read(self) -> Iterator[Entry]:
        if self._form is None:
            return
        if self._media_type == JSON:
            for number, (text, problem) in enumerate(elements(self._body), start=1):
                yield _read_element(self._form.read, number, text, problem)
            return
        all_rows = self._rows()
        form, columns = self._csv_form(all_rows)
        if form is None:
            return
        for row in all_rows:
            if row.error or any(map(str.strip, row.cells)):
                yield _read_row(form.read, row, columns)

    def _rows(self) -> Iterator[CsvRow]:
        return rows(_lines(self._body), max_bytes=MAX_ROW_BYTES)

    def _csv_form(self, all_rows: Iterator[CsvRow]) -> tuple[_Form | None, list[str]]:
        """Consume the header and everything before it from the rows; return None without a header."""
        first = next(all_rows, None)
        if first is None:
            return None, []
        if first.error or first.line.is_too_long:
            raise self._unknown(f"line {first.line.number}: {first.error or 'it is too long'}")
        columns = _folded(first.cells)
        if letterboxd.is_banner(first.cells) or columns == letterboxd.PREAMBLE:
            for _ in range(_MAX_PREAMBLE_ROWS):
                row = next(all_rows, None)
                columns = _folded(row.cells) if row else []
                if columns[:2] == ["position", "name"]:
                    return _Form("letterboxd", letterboxd.entry), columns
            raise self._unknown(
                "it begins like Letterboxd's file of a list, but the row with Position and Name is missing"
            )
        if problem := delimiter_problem(first.cells):
            raise self._unknown(problem)
        double = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
        form = self._form_of(columns)
        if form is None:
            raise self._unknown(f"its first line has the columns {', '.join(first.cells)[:200]}")
        if double:
            raise self._unknown(f"its header names {', '.join(double)[:100]} twice")
        return form, columns

    def _form_of(self, columns: Sequence[str]) -> _Form | None:
        names = set(columns)
        if "const" in names:
            if not names & {"position", "created"}:
                raise self._unknown(_NOT_A_LIST.format("IMDb"))
            return _Form("imdb", imdb.entry)
        if "letterboxduri" in names and "name" in names:
            if names & {"rating", "review", "watcheddate"}:
                raise self._unknown(_NOT_A_LIST.format("Letterboxd"))
            return _Form("letterboxd", letterboxd.entry)
        if {"traktid", "type"} <= names:
            if names & set(_LATER_DATES) and "listedat" not in names:
                raise self._unknown(_NOT_A_LIST.format("Trakt"))
            return _Form("trakt", trakt.entry_of_row)
        if plain.names_titles(names):
            return _Form("titles", plain.entry, is_exact=plain.CONTENT_ID in names)
        return None

    def _json_form(self) -> _Form | None:
        """Return the format, from the first element that reveals it; None for an empty file."""
        if not self._body.strip():
            return None
        try:
            for text, problem in elements(self._body):
                fields = {} if problem or len(text) > MAX_ROW_BYTES else _fields_of(text)
                if "listedat" in fields or any(isinstance(fields.get(each), dict) for each in trakt.KINDS):
                    if fields.keys() & set(_LATER_DATES) and "listedat" not in fields:
                        raise self._unknown(_NOT_A_LIST.format("Trakt"))
                    return _Form("trakt", trakt.entry_of_element)
                if plain.names_titles(fields):
                    return _Form("titles", plain.entry, is_exact=plain.CONTENT_ID in fields)
                if fields:
                    raise self._unknown(f"its first element has the fields {', '.join(fields)[:200]}")
                raise self._unknown(problem or "its first element is not a JSON object")
        except NoArrayError as error:
            raise self._unknown(str(error)) from None
        return None

    def _unknown(self, problem: str) -> UnknownListFormatError:
        return UnknownListFormatError(problem, ACCEPTED[self._media_type])


def is_pause(entry: Entry) -> bool:
    """Return whether an entry is only a pause, at which others get a turn."""
    return entry is _PAUSE


def _lines(body: bytes | bytearray) -> Iterator[TextLine]:
    for number, raw in enumerate(BytesIO(body), start=1):
        if len(raw) > MAX_ROW_BYTES:
            yield TextLine(number, raw[:200].replace(b'"', b""), is_too_long=True)
        else:
            yield TextLine(number, raw.rstrip(b"\r\n"))


def _folded(cells: Sequence[str]) -> list[str]:
    """Return the names of columns or fields in lower case, without blanks and underscores."""
    return [
        cell.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").lower().replace(" ", "").replace("_", "") for cell in cells
    ]


def _read_row(read: _Read, row: CsvRow, columns: Sequence[str]) -> Entry:
    number = row.line.number
    if row.line.is_too_long:
        return Entry(number, problem=f"it is longer than {MAX_ROW_BYTES:,} bytes")
    if row.error:
        return Entry(number, problem=row.error)
    cells = row.cells
    while len(cells) > len(columns) and not cells[-1].strip():
        cells.pop()
    if problem := width_problem(len(cells), len(columns)):
        return Entry(number, problem=problem)
    return _entry(read, number, dict(zip(columns, cells, strict=True)))


def _read_element(read: _Read, number: int, text: bytes, problem: str) -> Entry:
    if problem:
        return Entry(number, problem=problem)
    if len(text) > MAX_ROW_BYTES:
        return Entry(number, problem=f"it is longer than {MAX_ROW_BYTES:,} bytes")
    if not (fields := _fields_of(text)):
        return Entry(number, problem="it is not a JSON object")
    return _entry(read, number, fields)


def _entry(read: _Read, number: int, fields: Mapping[str, Any]) -> Entry:
    try:
        entry = read(number, fields)
    except InvalidValueError as error:
        return Entry(number, problem=str(error))
    if not (entry.titles or entry.external_ids or entry.content_id or entry.unlisted):
        return replace(entry, problem="it has neither a title nor an id")
    return entry


def _fields_of(text: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object, with folded names; empty for anything else."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return dict(zip(_folded(list(value)), value.values(), strict=True)) if isinstance(value, dict) else {}

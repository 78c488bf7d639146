"""A whole list as CSV (RFC 4180), for spreadsheets. An import accepts it as well."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList, items_of
from mylist.domain.release_date import release_date
from mylist.domain.timestamps import iso_format_milliseconds

COLUMNS = ("contentId", "contentType", "title", "year", "addedAt", "externalIds")
_LINES_PER_PART = 500
_GUARDED = re.compile(r"'*[=+\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}]")
"""Text that a spreadsheet would run as a formula, also after leading apostrophes."""
_CONTENT = b'","content":'


class _Title(Struct, rename="camel"):
    title: Any = None
    release_date: Any = None
    release_year: Any = None
    external_ids: Any = None


_title = msgspec.json.Decoder(_Title | None)


def guarded(cell: str) -> str:
    """Return a text, with a leading apostrophe if a spreadsheet would run it as a formula."""
    return f"'{cell}" if _GUARDED.match(cell) else cell


def unguarded(cell: str) -> str:
    """Return the text that `guarded` was given for this cell."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell, 1) else cell


def csv_lines(packed: PackedList, entries: Sequence[CatalogueEntry]) -> Iterator[bytes]:
    """Yield the header and the rows of a list, in parts."""
    yield _encoded([COLUMNS])
    for start in range(0, packed.total, _LINES_PER_PART):
        end = min(start + _LINES_PER_PART, packed.total)
        items = items_of(packed.records(start, end))
        yield _encoded([_row(*each) for each in zip(items, entries[start:end], strict=True)])


def _encoded(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors="replace")


def _row(item: Item, entry: CatalogueEntry) -> list[str]:
    title = _title.decode(entry.after[len(_CONTENT) : -1]) or _Title()
    ids = title.external_ids if isinstance(title.external_ids, Mapping) else {}
    return [
        item.content_id.hex(),
        item.content_type,
        guarded(title.title) if isinstance(title.title, str) else "",
        _year(title),
        iso_format_milliseconds(item.added_at).decode(),
        guarded(" ".join(f"{name}:{value}" for name, value in ids.items() if isinstance(value, str | int))),
    ]


def _year(title: _Title) -> str:
    date = None
    if isinstance(title.release_date, str):
        with suppress(ValueError):
            date = datetime.fromisoformat(title.release_date)
    released = release_date({"releaseDate": date, "releaseYear": title.release_year})
    return f"{released.year:04}" if released else ""

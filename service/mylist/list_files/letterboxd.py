"""Letterboxd's exports: watchlist.csv, and the file of a list."""

from collections.abc import Mapping, Sequence
from typing import Any

from mylist.list_files.entry import Entry
from mylist.list_files.values import added_of, titles_of, year_of

_BANNER = "letterboxd list export v"
PREAMBLE = ["date", "name", "tags", "url", "description"]
"""The columns of the list's own data, which precede its films in the file."""


def is_banner(cells: Sequence[str]) -> bool:
    """Return whether a row is the first row of a list's file."""
    return bool(cells) and cells[0].strip().lower().startswith(_BANNER)


def entry(number: int, fields: Mapping[str, Any]) -> Entry:
    """Return the entry of a row. Most are films, some are shows, and the file does not say which.

    Raises:
        InvalidValueError: a field has a value that cannot be read.
    """
    return Entry(
        number,
        titles=titles_of(fields.get("name")),
        year=year_of(fields.get("year")),
        presumed_type="movie",
        added=added_of(fields.get("date")),
    )

"""Trakt's exports of a watchlist or another list, in JSON and in CSV."""

from collections.abc import Mapping
from typing import Any

from mylist.domain.content import ContentType
from mylist.list_files.entry import Entry
from mylist.list_files.values import added_of, external_ids_of, text_of, titles_of, year_of

_TYPES: dict[str, ContentType] = {"movie": "movie", "show": "tvshow"}
_UNLISTED = {"season": "a season", "episode": "an episode", "person": "a person"}
KINDS = (*_TYPES, *_UNLISTED)
_IDS = ("imdb", "tmdb", "tvdb", "trakt")


def entry_of_row(number: int, fields: Mapping[str, Any]) -> Entry:
    """Return the entry of a row of CSV.

    Raises:
        InvalidValueError: a field has a value that cannot be read.
    """
    kind = text_of(fields.get("type")).lower()
    ids = {name: fields.get(f"{name}id") for name in _IDS}
    return _entry(number, kind, fields, ids, fields.get("listedat"))


def entry_of_element(number: int, fields: Mapping[str, Any]) -> Entry:
    """Return the entry of an element of JSON.

    Raises:
        InvalidValueError: a field has a value that cannot be read.
    """
    kind = text_of(fields.get("type")).lower()
    kind = kind if kind in KINDS else next((each for each in KINDS if isinstance(fields.get(each), dict)), "")
    about = fields.get(kind)
    about = about if isinstance(about, dict) else {}
    ids = about.get("ids")
    return _entry(number, kind, about, ids if isinstance(ids, dict) else {}, fields.get("listedat"))


def _entry(number: int, kind: str, about: Mapping[str, Any], ids: Mapping[str, Any], listed_at: object) -> Entry:
    unlisted = _UNLISTED.get(kind, "")
    return Entry(
        number,
        titles=titles_of(about.get("title"), about.get("name") if unlisted else None),
        year=None if unlisted else year_of(about.get("year")),
        content_type=_TYPES.get(kind),
        external_ids=() if unlisted else external_ids_of((name, ids.get(name)) for name in _IDS),
        added=added_of(listed_at),
        unlisted=unlisted,
    )

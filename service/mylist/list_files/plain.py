"""A list of titles that a person wrote or this service exported, in CSV or JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from mylist.domain.content import ContentType, is_content_type, parse_content_id
from mylist.domain.external_id import ExternalId, is_external_name, parse_typed_external_id
from mylist.list_files.entry import Entry
from mylist.list_files.values import InvalidValueError, added_of, external_ids_of, text_of, titles_of, year_of
from mylist.lists.export_csv import unguarded

CONTENT_ID = "contentid"
_EXTERNAL_IDS = "externalids"
_PREFIX = f"{_EXTERNAL_IDS}."
_TITLES = ("title", "name")
_TYPES: dict[str, ContentType] = {
    "movie": "movie",
    "film": "movie",
    "tvshow": "tvshow",
    "show": "tvshow",
    "series": "tvshow",
}
_ID_COLUMNS = {f"{name}{suffix}": name for name in ("imdb", "tmdb", "tvdb") for suffix in ("", "id")}


def names_titles(names: Iterable[str]) -> bool:
    """Return whether fields with these names identify a movie or show. The names are in lower case, without blanks."""
    return any(
        each in _TITLES or each in {CONTENT_ID, _EXTERNAL_IDS} or each in _ID_COLUMNS or each.startswith(_PREFIX)
        for each in names
    )


def entry(number: int, fields: Mapping[str, Any]) -> Entry:
    """Return the entry of a row or an element.

    Raises:
        InvalidValueError: a field has a value that cannot be read.
    """
    fields = {name: unguarded(value) if isinstance(value, str) else value for name, value in fields.items()}
    content_type = _type_of(fields.get("contenttype") or fields.get("type"))
    external_ids = external_ids_of(_external_ids(fields))
    content_id = None
    if text := text_of(fields.get(CONTENT_ID)):
        content_id = parse_content_id(text)
        if content_id is None:
            external_id, content_type = _external_id(text, content_type)
            external_ids = external_id, *external_ids
    if content_id and content_type is None:
        raise InvalidValueError('the contentType is missing: it must be "movie" or "tvshow"')
    return Entry(
        number,
        titles=titles_of(fields.get("title") or fields.get("name"), fields.get("originaltitle")),
        year=year_of(fields.get("year") or fields.get("releaseyear")),
        content_type=content_type,
        external_ids=external_ids,
        content_id=content_id,
        added=added_of(fields.get("addedat") or fields.get("date")),
    )


def _external_id(text: str, content_type: ContentType | None) -> tuple[ExternalId, ContentType | None]:
    """Return the external id in the place of a content id, and its type: from the line, or from its prefix.

    Raises:
        InvalidValueError: the value is neither, or its type differs from the line's.
    """
    typed = parse_typed_external_id(text)
    if typed is None:
        raise InvalidValueError(
            f"the contentId is {text[:40]!a}, and must be 24 hexadecimal digits, or an external id such as "
            "imdb:tt0133093"
        )
    if content_type and typed.content_type not in {None, content_type}:
        raise InvalidValueError(f"the type is {content_type}, and the contentId is {text[:40]!a}; remove one of them")
    return typed.external_id, content_type or typed.content_type


def _type_of(value: object) -> ContentType | None:
    text = text_of(value)
    if not text:
        return None
    if is_content_type(text):
        return text
    if (known := _TYPES.get(text.lower())) is None:
        raise InvalidValueError(f'the type is {text[:40]!a}, and must be "movie" or "tvshow"')
    return known


def _external_ids(fields: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    for column, value in fields.items():
        if column == _EXTERNAL_IDS and isinstance(value, Mapping):
            yield from value.items()
        elif column == _EXTERNAL_IDS:
            for each in text_of(value).split():
                name, _, external_id = each.partition(":")
                yield name, external_id
        elif column in _ID_COLUMNS:
            yield _ID_COLUMNS[column], value
        elif column.startswith(_PREFIX) and is_external_name(column.removeprefix(_PREFIX)):
            yield column.removeprefix(_PREFIX), value

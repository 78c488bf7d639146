"""Parses the values in the fields of a line: dates, years, titles and ids, in the forms that the services write."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from mylist.domain.external_id import ExternalId, parse_external_id
from mylist.domain.timestamps import UNIX_EPOCH, to_milliseconds
from mylist.list_files.entry import Added

MAX_TITLE_LENGTH = 1000
"""Characters, as in the catalogue."""
_YEAR = re.compile(r"(\d{4})(?:\s*[-\N{EN DASH}]\s*(?:\d{4})?)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_C_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (\d{4})", re.ASCII)
"""The form of "Sat Dec 31 00:00:00 2016", which IMDb wrote until 2017."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NO_ID = {"", "0", "None", "null"}


class InvalidValueError(ValueError):
    """A field has an invalid value; the message says which, and what it may be, in one line."""


def text_of(value: object) -> str:
    """Return a value as text; a missing one as an empty text."""
    return "" if value is None else str(value).strip()


def titles_of(*values: object) -> tuple[str, ...]:
    """Return the titles in some values, each once.

    Raises:
        InvalidValueError: a title is too long.
    """
    titles = tuple(dict.fromkeys(filter(None, map(text_of, values))))
    if any(len(each) > MAX_TITLE_LENGTH for each in titles):
        raise InvalidValueError(f"the title must have at most {MAX_TITLE_LENGTH:,} characters")
    return titles


def year_of(value: object) -> int | None:
    """Return a year, of 2013-2023 (a show) the first; None for an empty value.

    Raises:
        InvalidValueError: the value is not a year.
    """
    text = text_of(value)
    if text in _NO_ID or text == "0000":
        return None
    if not (match := _YEAR.fullmatch(text)):
        raise InvalidValueError(f"the year is {text[:40]!a}, and must be as in 1999")
    return int(match[1])


def added_of(value: object) -> Added | None:
    """Return when something was saved; None for an empty value.

    Raises:
        InvalidValueError: the value is not a date.
    """
    text = text_of(value)
    if not text:
        return None
    is_day = bool(_DAY.fullmatch(text))
    if match := _C_TIME.fullmatch(text):
        month, day, time, year = match.groups()
        is_day = time == "00:00:00"
        number = _MONTHS.index(month) + 1 if month in _MONTHS else 0
        text = f"{year}-{number:02}-{int(day):02}T{time}+00:00"
    moment = _moment(text, is_day=is_day)
    if moment is None:
        raise InvalidValueError(f"the date is {text[:40]!a}, and must be as in 2024-01-20 or 2024-01-20T10:30:00Z")
    if moment < UNIX_EPOCH:
        raise InvalidValueError("the date is before 1970, and must be later")
    return Added(to_milliseconds(moment), is_day)


def _moment(text: str, *, is_day: bool) -> datetime | None:
    """Return the moment of a text: a day, which means its start in UTC, or a time with its zone; None for neither."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if is_day else None


def external_ids_of(pairs: Iterable[tuple[str, object]]) -> tuple[ExternalId, ...]:
    """Return the external ids of names and values, without empty values.

    Raises:
        InvalidValueError: an external id is malformed.
    """
    ids = []
    for name, value in pairs:
        text = text_of(value)
        if text in _NO_ID:
            continue
        if (each := parse_external_id(f"{name}:{text}")) is None:
            raise InvalidValueError(
                f"{name[:40]!a} and {text[:40]!a} are not an external id, which must be like imdb and tt0133093"
            )
        ids.append(each)
    return tuple(ids)

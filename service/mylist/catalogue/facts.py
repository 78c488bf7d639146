"""What lists are sorted and filtered by, of a content document that may hold anything."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mylist.lists.item import to_milliseconds

_TITLE_LENGTH = 100


def title_of(document: Mapping[str, Any]) -> bytes | None:
    """Gives the first 100 characters of the title, casefolded and without NUL, as UTF-8; None without a title."""
    title = document.get("title")
    return title.casefold().replace("\0", "")[:_TITLE_LENGTH].encode() if isinstance(title, str) else None


def released_at(document: Mapping[str, Any]) -> int | None:
    """Gives the release date in milliseconds since 1970 UTC; None without one."""
    date = document.get("releaseDate")
    return to_milliseconds(date.replace(tzinfo=UTC)) if isinstance(date, datetime) else None


def genres_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Gives the genres, casefolded; what is no text is none."""
    genres = document.get("genres")
    # Few and on many documents, so each is kept once.
    return tuple(sys.intern(fold(each)) for each in genres if isinstance(each, str)) if isinstance(genres, list) else ()


def fold(genre: str) -> str:
    """Gives the form of a genre by which it is compared."""
    return str(genre).casefold()

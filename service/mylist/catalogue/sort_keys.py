"""The attributes by which lists are sorted and filtered, read from content documents of any shape."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mylist.domain.catalogue_entry import fold_genre
from mylist.domain.timestamps import to_milliseconds

_MAX_TITLE_LENGTH = 100
"""Characters."""


def title_of(document: Mapping[str, Any]) -> bytes | None:
    """Return the first 100 characters of the title, casefolded and without NUL, as UTF-8; None without a title."""
    title = document.get("title")
    return title.casefold().replace("\0", "")[:_MAX_TITLE_LENGTH].encode() if isinstance(title, str) else None


def released_at(document: Mapping[str, Any]) -> int | None:
    """Return the release date in milliseconds since 1970 UTC; None without one."""
    date = document.get("releaseDate")
    return to_milliseconds(date.replace(tzinfo=UTC)) if isinstance(date, datetime) else None


def genres_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the genres, casefolded; values that are not text are left out."""
    genres = document.get("genres")
    # Few genres, many documents: interned, so that equal genres share one string.
    return (
        tuple(sys.intern(fold_genre(each)) for each in genres if isinstance(each, str))
        if isinstance(genres, list)
        else ()
    )

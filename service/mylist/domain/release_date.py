"""When a movie or show was released, read from a content document of any shape."""

from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any


def release_date(document: Mapping[str, Any]) -> datetime | None:
    """Return the `releaseDate`, or else the first of January of the `releaseYear`, in UTC; None without either."""
    date, year = document.get("releaseDate"), document.get("releaseYear")
    if isinstance(date, datetime):
        return date.replace(tzinfo=UTC)
    if isinstance(year, bool) or not (isinstance(year, int) and MINYEAR <= year <= MAXYEAR):
        return None
    return datetime(year, 1, 1, tzinfo=UTC)

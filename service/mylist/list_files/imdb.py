"""IMDb's exports of a watchlist or another list, in CSV."""

from collections.abc import Mapping
from typing import Any

from mylist.domain.content import ContentType
from mylist.list_files.entry import Entry
from mylist.list_files.values import added_of, external_ids_of, text_of, titles_of, year_of

_MOVIES = "movie short tvmovie tvshort tvspecial video musicvideo featurefilm shortfilm documentary"
_SHOWS = "tvseries tvminiseries miniseries"
_TYPES: dict[str, ContentType] = {
    **dict.fromkeys(_MOVIES.split(), "movie"),
    **dict.fromkeys(_SHOWS.split(), "tvshow"),
}
"""By IMDb's name without blanks and hyphens, in lower case: IMDb has used three spellings."""
_UNLISTED = {
    "tvepisode": "an episode",
    "tvpilot": "a pilot",
    "videogame": "a video game",
    "podcastseries": "a podcast",
    "podcastepisode": "an episode of a podcast",
}


def entry(number: int, fields: Mapping[str, Any]) -> Entry:
    """Return the entry of a row.

    Raises:
        InvalidValueError: a field has a value that cannot be read.
    """
    const = text_of(fields.get("const"))
    kind = text_of(fields.get("titletype")).lower().replace(" ", "").replace("-", "")
    unlisted = _UNLISTED.get(kind, "")
    if const.startswith("nm"):
        unlisted = "a person"
    # For accounts in other languages the types are translated, so they are ignored.
    content_type = _TYPES.get(kind)
    return Entry(
        number,
        titles=titles_of(fields.get("title"), fields.get("originaltitle"), fields.get("name")),
        year=None if unlisted else year_of(fields.get("year")),
        content_type=content_type,
        external_ids=external_ids_of([("imdb", const)]),
        added=added_of(fields.get("created")),
        unlisted=unlisted,
    )

r"""Reads IMDb's title.basics.tsv, as IMDb publishes it.

Its columns are separated by tabs and never quoted: a quotation mark is part of a title, also a single one. `\N` means
unknown.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from mylist.catalogue_files.record import Record, decoded, not_blank, read
from mylist.catalogue_files.text_lines import UnreadableFileError
from mylist.catalogue_files.title_schema import InvalidTitleError, validate
from mylist.csv_rows import TextLine
from mylist.domain.content import ContentType

COLUMNS = (
    "tconst",
    "titleType",
    "primaryTitle",
    "originalTitle",
    "isAdult",
    "startYear",
    "endYear",
    "runtimeMinutes",
    "genres",
)
_TYPES: dict[str, ContentType | None] = {
    "movie": "movie",
    "short": "movie",
    "tvMovie": "movie",
    "tvShort": "movie",
    "tvSpecial": "movie",
    "video": "movie",
    "tvSeries": "tvshow",
    "tvMiniSeries": "tvshow",
    "tvEpisode": None,
    "tvPilot": None,
    "videoGame": None,
}
"""Our content types of IMDb's types; None for types that this catalogue does not keep."""
_ROW = re.compile(rb"tt\d+\t")
_FLAGS = {"0": False, "1": True}
_UNKNOWN = r"\N"


def is_imdb(first: bytes) -> bool:
    """Return whether a file with this first line is from IMDb."""
    return first.startswith((b"tconst\t", b"nconst\t", b"titleId\t")) or bool(_ROW.match(first))


def records(rows: Iterator[TextLine]) -> Iterator[Record]:
    """Yield the records of lines; the first line is the header.

    Raises:
        UnreadableFileError: the header is missing, or is that of another file.
    """
    header = next(rows).raw.decode(errors="replace")
    if _ROW.match(header.encode()):
        raise UnreadableFileError(f"its header is missing: line 1 must be {' '.join(COLUMNS)}, separated by tabs")
    names = header.split("\t")
    if lacking := [name for name in COLUMNS if name not in names]:
        raise UnreadableFileError(
            f"it lacks IMDb's columns {', '.join(lacking)}: titles are in title.basics.tsv; it has {', '.join(names)}"
        )
    places = [names.index(name) for name in COLUMNS]

    def parse(raw: bytes) -> dict[str, Any] | None:
        cells = decoded(raw).split("\t")
        if len(cells) != len(names):
            reason = "; is the file cut?" if len(cells) < len(names) else ""
            raise InvalidTitleError(f"it has {len(cells)} fields, and the header has {len(names)}{reason}")
        return _title(*(cells[place] for place in places))

    return (read(line, partial(parse, line.raw)) for line in not_blank(rows))


def _title(  # noqa: PLR0913 - the columns of the file
    tconst: str,
    title_type: str,
    primary: str,
    original: str,
    adult: str,
    start: str,
    end: str,
    minutes: str,
    genres: str,
) -> dict[str, Any] | None:
    try:
        content_type = _TYPES[title_type]
    except KeyError:
        raise InvalidTitleError(f"`titleType` is {title_type[:40]!a}, but must be one of {', '.join(_TYPES)}") from None
    if content_type is None:
        return None
    title: dict[str, Any] = {
        "contentType": content_type,
        "title": primary,
        "originalTitle": original,
        "externalIds": {"imdb": tconst},
        "isAdult": _FLAGS.get(adult, adult),
        "releaseYear": _number(start),
        "endYear": _number(end),
        "runtimeMinutes": _number(minutes),
        "genres": genres.split(",") if genres != _UNKNOWN else _UNKNOWN,
    }
    return validate({name: value for name, value in title.items() if value != _UNKNOWN})


def _number(text: str) -> int | str:
    """Return a whole number; other text unchanged, which the schema then refuses."""
    return int(text) if text.isascii() and text.isdecimal() else text

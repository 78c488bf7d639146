"""Reads JSON Lines: titles in the form of the schema, and TMDB's daily id exports (movie_ids and tv_series_ids).

A line is TMDB's if it has a whole number as `id` and `original_title` (a movie) or `original_name` (a show). Other
exports of TMDB, such as person_ids, have `name` instead.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from mylist.catalogue_files.record import Record, decoded, not_blank, read
from mylist.catalogue_files.text_lines import UnreadableFileError
from mylist.catalogue_files.title_schema import InvalidTitleError, validate
from mylist.csv_rows import TextLine

_TMDB_TITLES = {"original_title": "movie", "original_name": "tvshow"}
"""The fields of TMDB's exports that have the title, and the type that each implies."""


def records(rows: Iterator[TextLine]) -> Iterator[Record]:
    """Yield the records of lines.

    Raises:
        UnreadableFileError: the file is one JSON value over several lines.
    """
    is_first = True
    for line in not_blank(rows):
        if is_first and (line.raw.strip() == b"{" or line.raw.lstrip().startswith(b"[")):
            raise UnreadableFileError(
                "it is one JSON value, and must be JSON Lines, one object per line: convert an array with "
                "`jq -c '.[]'`, and objects that span several lines with `jq -c .`"
            )
        is_first = False
        yield _read(line)


def _read(line: TextLine) -> Record:
    is_tmdb = False

    def parse() -> dict[str, Any]:
        nonlocal is_tmdb
        value = _value(line.raw)
        if isinstance(value, dict) and type(value.get("id")) is int and "contentType" not in value:
            is_tmdb = True
            value = _of_tmdb(value)
        return validate(value)

    record = read(line, parse)
    record.keeps_title = is_tmdb
    return record


def _value(raw: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        decoded(raw)
        raise InvalidTitleError(f"it is not JSON: {error}") from None
    except RecursionError:
        raise InvalidTitleError("it is nested too deep") from None


def _of_tmdb(line: dict[str, Any]) -> dict[str, Any]:
    for name, content_type in _TMDB_TITLES.items():
        if name in line:
            title = {
                "contentType": content_type,
                "title": line[name],
                "originalTitle": line[name],
                "externalIds": {"tmdb": line["id"]},
            }
            return title if "adult" not in line else {**title, "isAdult": line["adult"]}
    raise InvalidTitleError(
        "it has neither `contentType` nor TMDB's `original_title` or `original_name`; of TMDB's daily exports, "
        "movie_ids and tv_series_ids have titles"
    )

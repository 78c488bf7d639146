"""Records which titles the lines of a run have named, in bounded memory."""

import sqlite3
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from xxhash import xxh3_128_digest

from mylist.domain.content import TAG_OF_TYPE, ContentType

_CACHE_KB = 262_144
"""Memory for about five million titles. More go to an unnamed temporary file, which is slower."""


class NoTemporaryFileError(Exception):
    """The names of titles cannot be kept; the message is one line."""


class SeenTitles:
    """Records the ids of titles, and the place where each was first named."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._cursor = self._database.cursor()
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KB}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE seen (key BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID",
            "BEGIN",
        ):
            self._cursor.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        if isinstance(error, sqlite3.Error):
            raise NoTemporaryFileError(
                f"the ids of the titles cannot be kept in a temporary file ({error}): set TMPDIR to a folder with room"
            ) from error

    def first_place(self, keys: Iterable[bytes]) -> int | None:
        """Return the place where one of the keys was first named; None if none was."""
        for key in keys:
            row = self._cursor.execute("SELECT place FROM seen WHERE key = ?", (key,)).fetchone()
            if row is not None:
                return int(row[0])
        return None

    def add(self, keys: Iterable[bytes], place: int) -> None:
        """Record the keys. A key that was named before keeps its place."""
        self._cursor.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", [(key, place) for key in keys])


def id_key(content_type: ContentType, content_id: bytes) -> bytes:
    """Return the key of a title by its id."""
    return TAG_OF_TYPE[content_type] + content_id


def external_keys(content_type: ContentType, external_ids: Mapping[str, str]) -> list[bytes]:
    """Return the keys of a title by its external ids; TMDB, for example, numbers movies and shows separately."""
    return [xxh3_128_digest(f"{content_type}\0{name}\0{value}") for name, value in external_ids.items()]
